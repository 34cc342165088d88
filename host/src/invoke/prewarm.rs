//! Environments that are opened before an invocation needs them. Unlike provisioned ones they are evicted as usual.

use std::sync::Arc;

use super::initialization::Initialization;
use super::lease::Opened;
use super::live::Deployment;
use super::{Error, Invoker, Pipeline, Target, resolve};
use crate::names::RequestId;
use crate::sandbox::Failure;
use crate::units::INIT_TIMEOUT;

/// Number of idle environments, or the failure of a version to start.
type Prewarmed = Result<usize, (Failure, Arc<str>)>;

impl Invoker {
    /// Opens environments of a target's version until it has `count` idle ones. Returns the number of idle ones, or the
    /// failure of the function to start.
    ///
    /// # Errors
    /// If there is no such function, it isolates tenants, or the host is full.
    pub async fn prewarm(&self, target: &Target, count: usize) -> Result<Prewarmed, Error> {
        let pipeline = &self.0;
        let snapshot = pipeline.live.snapshot();
        let (_, version) = snapshot.resolve(target, &pipeline.clock)?;
        if version.settings.tenant_isolation {
            // Each tenant has its own environments, and nobody would lease those of none.
            return Err(resolve::Error::TenantMissing.into());
        }
        let deployment = pipeline.live.deployment(&version);
        // Guests start where the scheduler lets them, as in a call.
        let share = pipeline.share(&deployment).clone();
        let work = Arc::clone(pipeline).open_idle(deployment, count);
        share.run(work).await
    }
}

impl Pipeline {
    async fn open_idle(
        self: Arc<Self>,
        deployment: Arc<Deployment>,
        count: usize,
    ) -> Result<Prewarmed, Error> {
        for _ in deployment.pool.idle()..count {
            let id = RequestId::random(&self.clock);
            let initialization = Initialization::OnDemand;
            let opening = self.open(&deployment, None, &id, initialization, INIT_TIMEOUT);
            match Box::pin(opening).await? {
                Opened::Ready(environment) => {
                    let now = self.clock.instant();
                    deployment.pool.give_back(environment, now);
                }
                Opened::Failed { failure, .. } => {
                    return Ok(Err((failure, Arc::clone(&deployment.version.label))));
                }
            }
        }
        Ok(Ok(deployment.pool.idle()))
    }
}
