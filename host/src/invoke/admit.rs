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

/// Counts what runs behind it. The limit is asked anew each time, so that it may change.
#[derive(Debug, Default)]
pub struct Gate(AtomicU32);

/// What counts the invocations of a function that has a reserve.
#[derive(Debug, Default)]
pub struct Gates {
    all: Arc<Gate>,
    /// Those that run on nothing provisioned.
    on_demand: Arc<Gate>,
}

/// One place behind a [`Gate`].
#[derive(Debug)]
pub struct Permit(Arc<Gate>);

/// An invocation that may run.
#[derive(Debug)]
pub struct Admitted {
    pub(super) resolved: Resolved,
    pub(super) permit: Permit,
    /// In a function with a reserve, a place of what is provisioned or of what is not.
    pub(super) share: Option<Permit>,
}

impl Gate {
    /// Takes a place, if fewer than `limit` are taken.
    pub fn enter(self: &Arc<Self>, limit: u32) -> Option<Permit> {
        let free = |in_use: u32| (in_use < limit).then_some(in_use + 1);
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, free)
            .ok()?;
        Some(Permit(Arc::clone(self)))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Pipeline {
    /// A function with reserved concurrency draws on its own reserve, every other on what is left of
    /// the account's. What of a reserve is provisioned for a version, no other version can have.
    pub(super) fn admit(&self, resolved: Resolved) -> Result<Admitted, Error> {
        let function = &resolved.function;
        let (Some(reserved), Some(gates)) = (function.reserved, &function.gates) else {
            let all = self.config.concurrency;
            let left = all.saturating_sub(resolved.reserved_total);
            let permit = self.account.enter(left).ok_or(Error::Account)?;
            return Ok(Admitted {
                resolved,
                permit,
                share: None,
            });
        };
        // First: what is provisioned may move between versions while calls run on it.
        let permit = gates.all.enter(reserved).ok_or(Error::Reserved)?;
        let on_demand = || {
            let left = reserved.saturating_sub(function.provisioned_total());
            gates.on_demand.enter(left)
        };
        let share = resolved.version.provisioning.enter().or_else(on_demand);
        let share = Some(share.ok_or(Error::Reserved)?);
        Ok(Admitted {
            resolved,
            permit,
            share,
        })
    }
}
