//! From a name to the one immutable version that will run.

use std::sync::Arc;

use super::Pipeline;
use super::request::{Invoke, Target};
use super::snapshot::{Function, Readiness, Version};

/// Why there is nothing to run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such function, version or alias.
    #[error("function {} not found", .0.name)]
    NotFound(Target),
    /// There is, and it is not ready.
    #[error("function {} is not active", .target.name)]
    NotActive {
        /// The function.
        target: Target,
        /// What it is instead.
        state: Readiness,
    },
}

/// An invocation whose code is known.
#[derive(Debug)]
pub struct Resolved {
    pub(super) invoke: Invoke,
    pub(super) function: Arc<Function>,
    pub(super) version: Arc<Version>,
    pub(super) invoked_arn: Arc<str>,
}

impl Pipeline {
    pub(super) fn resolve(&self, invoke: Invoke) -> Result<Resolved, Error> {
        let (function, version) = self
            .snapshot
            .borrow()
            .resolve(&invoke.target, &self.clock)?;
        let invoked_arn = match &invoke.target.qualifier {
            None => Arc::clone(&function.arn),
            Some(qualifier) => format!("{}:{qualifier}", function.arn).into(),
        };
        Ok(Resolved {
            invoke,
            function,
            version,
            invoked_arn,
        })
    }
}
