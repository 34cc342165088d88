//! From a resolved invocation to an admitted one.

use std::sync::Arc;

use super::Pipeline;
use super::admit::{Error, Permit};
use super::live::Deployment;
use super::resolve::Resolved;
use crate::names::Qualifier;
use crate::telemetry::metrics::Counted;

/// An admitted invocation.
#[derive(Debug)]
pub struct Admitted {
    pub(super) resolved: Resolved,
    pub(super) deployment: Arc<Deployment>,
    pub(super) permit: Permit,
    /// Counts it in the metrics of its function and qualifier.
    pub(super) counted: Counted,
}

impl Pipeline {
    /// A function with reserved concurrency uses only that, others use unreserved concurrency.
    /// Provisioned concurrency of a version serves its invocations only.
    pub(super) fn admit(&self, mut resolved: Resolved) -> Result<Admitted, Error> {
        let reserved = resolved.invoke.reservation.take();
        if let Some(reserved) = reserved.filter(|it| Arc::ptr_eq(&it.version, &resolved.version)) {
            let counted = self.counted(&reserved.deployment, &resolved);
            return Ok(Admitted {
                resolved,
                deployment: reserved.deployment,
                permit: reserved.permit,
                counted,
            });
        }
        let deployment = self.live.deployment(&resolved.version);
        let counted = self.counted(&deployment, &resolved);
        let gate = &deployment.gate;
        let permit = gate.enter(resolved.shares, &deployment.provisioning);
        let permit = permit.inspect_err(|_| counted.metrics().throttled())?;
        Ok(Admitted {
            resolved,
            deployment,
            permit,
            counted,
        })
    }
    fn counted(&self, deployment: &Deployment, resolved: &Resolved) -> Counted {
        let target = &resolved.invoke.target;
        let open = |qualifier: &Qualifier| {
            let qualifier = qualifier.to_string();
            self.metrics.qualified(target.name.as_str(), &qualifier)
        };
        deployment.gate.counted(target.qualifier.as_ref(), open)
    }
}
