//! From a resolved invocation to an admitted one.

use std::sync::Arc;

use super::Pipeline;
use super::admit::{Error, Permit};
use super::live::Deployment;
use super::resolve::Resolved;

/// An admitted invocation.
#[derive(Debug)]
pub struct Admitted {
    pub(super) resolved: Resolved,
    pub(super) deployment: Arc<Deployment>,
    pub(super) permit: Permit,
}

impl Pipeline {
    /// A function with reserved concurrency uses only that, others use unreserved concurrency.
    /// Provisioned concurrency of a version serves its invocations only.
    pub(super) fn admit(&self, mut resolved: Resolved) -> Result<Admitted, Error> {
        let reserved = resolved.invoke.reservation.take();
        if let Some(reserved) = reserved.filter(|it| Arc::ptr_eq(&it.version, &resolved.version)) {
            return Ok(Admitted {
                resolved,
                deployment: reserved.deployment,
                permit: reserved.permit,
            });
        }
        let deployment = self.live.deployment(&resolved.version);
        let permit = deployment
            .gate
            .enter(resolved.shares, &deployment.provisioning)?;
        Ok(Admitted {
            resolved,
            deployment,
            permit,
        })
    }
}
