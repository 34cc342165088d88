//! From a name to the one immutable version that will run.

use std::sync::Arc;

use super::Pipeline;
use super::admit::Shares;
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
    /// Tenants do not share environments of this function, and the caller named no tenant.
    #[error("the function isolates tenants, and no tenant was named")]
    TenantMissing,
    /// The caller named a tenant, and the function does not isolate them.
    #[error("the function does not isolate tenants")]
    TenantUnexpected,
}

/// An invocation whose code is known.
#[derive(Debug)]
pub struct Resolved {
    pub(super) invoke: Invoke,
    pub(super) function: Arc<Function>,
    pub(super) version: Arc<Version>,
    pub(super) invoked_arn: Arc<str>,
    pub(super) shares: Shares,
}

impl Resolved {
    /// The tenant whose environments may be used, where tenants do not share them.
    pub(super) fn tenant_id(&self) -> Option<&str> {
        self.invoke.tenant_id.as_deref()
    }
}

impl Pipeline {
    pub(super) fn resolve(&self, invoke: Invoke) -> Result<Resolved, Error> {
        let snapshot = self.live.snapshot();
        let (function, version) = snapshot.resolve(&invoke.target, &self.clock)?;
        let shares = Shares {
            revision: snapshot.revision(),
            reserved: function.reserved,
            provisioned: function.provisioned_total(),
            set_aside: snapshot.set_aside_total(),
        };
        match (version.settings.tenant_isolation, &invoke.tenant_id) {
            (true, None) => return Err(Error::TenantMissing),
            (false, Some(_)) => return Err(Error::TenantUnexpected),
            (true, Some(_)) | (false, None) => {}
        }
        let invoked_arn = match &invoke.target.qualifier {
            None => Arc::clone(&function.arn),
            Some(qualifier) => format!("{}:{qualifier}", function.arn).into(),
        };
        Ok(Resolved {
            invoke,
            function,
            version,
            invoked_arn,
            shares,
        })
    }
}
