//! Concurrency: how many invocations may run at once, in the account and in one function. A permit
//! is proof of admission and gives its place back when dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::Pipeline;
use super::resolve::Resolved;

/// Which limit was reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// The function's own.
    #[error("the function's reserved concurrency is in use")]
    Reserved,
    /// The account's.
    #[error("the account's concurrency is in use")]
    Account,
}

/// A limit and how much of it is in use.
#[derive(Debug)]
pub struct Gate {
    limit: u32,
    in_use: AtomicU32,
}

/// One place behind a [`Gate`].
#[derive(Debug)]
pub struct Permit(Arc<Gate>);

/// An invocation that may run.
#[derive(Debug)]
pub struct Admitted {
    pub(super) resolved: Resolved,
    pub(super) permit: Permit,
}

impl Gate {
    /// A gate that lets `limit` invocations through at once.
    pub fn new(limit: u32) -> Arc<Self> {
        Arc::new(Self {
            limit,
            in_use: AtomicU32::new(0),
        })
    }

    /// Takes a place, if one is free.
    pub fn enter(self: &Arc<Self>) -> Option<Permit> {
        let free = |in_use: u32| (in_use < self.limit).then_some(in_use + 1);
        self.in_use
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, free)
            .ok()?;
        Some(Permit(Arc::clone(self)))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.in_use.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Pipeline {
    /// A function with reserved concurrency draws on its own reserve, every other on the account's.
    pub(super) fn admit(&self, resolved: Resolved) -> Result<Admitted, Error> {
        let (gate, refusal) = match &resolved.function.reserved {
            Some(reserved) => (reserved, Error::Reserved),
            None => (&self.account, Error::Account),
        };
        let permit = gate.enter().ok_or(refusal)?;
        Ok(Admitted { resolved, permit })
    }
}
