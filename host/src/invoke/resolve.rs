//! Resolution of a target to one immutable version.

use std::sync::Arc;
use std::time::Duration;

use super::Pipeline;
use super::admit::Shares;
use super::request::{Invoke, Mode};
use super::snapshot::{Alias, Function, Readiness, Snapshot, Version};
use super::target::Target;
use crate::clock::Clock;
use crate::names::Qualifier;
use crate::payload::{Event, trace};
use crate::sandbox::outlet::Protocol;

/// Failure of resolution.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Function, version or alias does not exist.
    #[error("function {} not found", .0.name)]
    NotFound(Target),
    /// Version is not ready.
    #[error("function {} is not active", .target.name)]
    NotActive {
        /// Target.
        target: Target,
        /// Readiness.
        state: Readiness,
    },
    /// The function was invoked too often in one chain, and stops loops.
    #[error("function {} is in a recursive loop", .0.name)]
    Recursive(Target),
    /// Tenant isolation requires a tenant id.
    #[error("the function isolates tenants, and no tenant was named")]
    TenantMissing,
    /// Tenant id given for a function without tenant isolation.
    #[error("the function does not isolate tenants")]
    TenantUnexpected,
}

/// An invocation with its version.
#[derive(Debug)]
pub struct Resolved {
    pub(super) invoke: Invoke,
    pub(super) function: Arc<Function>,
    pub(super) version: Arc<Version>,
    pub(super) invoked_arn: Arc<str>,
    pub(super) shares: Shares,
    /// Protocol of the caller, which the response must fit.
    pub(super) protocol: Protocol,
}

impl Resolved {
    /// The invocation, to be resolved again when it runs.
    pub fn into_invoke(self) -> Invoke {
        self.invoke
    }

    /// Time that the invocation may take.
    pub(super) fn time_max(&self) -> Duration {
        let timeout = self.version.timeout;
        self.invoke.time_max.map_or(timeout, |it| it.min(timeout))
    }

    /// Tenant id, for functions with tenant isolation.
    pub(super) fn tenant_id(&self) -> Option<&str> {
        self.invoke.tenant_id.as_deref()
    }
}

impl Snapshot {
    /// Concurrency settings of a function.
    pub(super) fn shares(&self, function: &Function) -> Shares {
        Shares {
            revision: self.revision(),
            reserved: function.reserved,
            provisioned: function.provisioned_total(),
            set_aside: self.set_aside_total(),
        }
    }

    /// The version that an invocation has a permit for, unless it was replaced meanwhile.
    fn reserved_for(&self, invoke: &Invoke) -> Option<(Arc<Function>, Arc<Version>)> {
        let version = &invoke.reservation.as_ref()?.version;
        let function = self.function(&invoke.target.name)?;
        self.has(version)
            .then(|| (Arc::clone(function), Arc::clone(version)))
    }
}

impl Pipeline {
    pub(super) fn resolve(&self, mut invoke: Invoke) -> Result<Resolved, Error> {
        let snapshot = self.live.snapshot();
        let (function, version) = match snapshot.reserved_for(&invoke) {
            Some(reserved) => reserved,
            None => snapshot.resolve(&invoke.target, &self.clock)?,
        };
        let shares = snapshot.shares(&function);
        match (version.settings.tenant_isolation, &invoke.tenant_id) {
            (true, None) => return Err(Error::TenantMissing),
            (false, Some(_)) => return Err(Error::TenantUnexpected),
            (true, Some(_)) | (false, None) => {}
        }
        // A queued event counts when it runs: a loop ends in its destination then.
        if let Some(trace) = invoke
            .trace_id
            .as_deref()
            .filter(|_| invoke.mode != Mode::Event)
        {
            match trace::advance(trace, &function.lineage) {
                Ok(advanced) => invoke.trace_id = Some(advanced),
                Err(trace::Loop) if function.stops_loops => {
                    return Err(Error::Recursive(invoke.target));
                }
                Err(trace::Loop) => {}
            }
        }
        let invoked_arn = match &invoke.target.qualifier {
            None => Arc::clone(&function.arn),
            Some(qualifier) => format!("{}:{qualifier}", function.arn).into(),
        };
        let protocol = match invoke.event {
            Event::Http(_) => Protocol::Http,
            Event::Json(_) => Protocol::Lambda,
        };
        Ok(Resolved {
            protocol,
            invoke,
            function,
            version,
            invoked_arn,
            shares,
        })
    }
}

impl Snapshot {
    /// The function and the version of a target; a weighted alias is drawn.
    pub(super) fn resolve(
        &self,
        target: &Target,
        clock: &Clock,
    ) -> Result<(Arc<Function>, Arc<Version>), Error> {
        let missing = || Error::NotFound(target.clone());
        let function = self.function(&target.name).ok_or_else(missing)?;
        let version = match &target.qualifier {
            None | Some(Qualifier::Latest) => Some(&function.latest),
            Some(Qualifier::Version(number)) => function.versions.get(number),
            Some(Qualifier::Alias(name)) => {
                let alias = function.aliases.get(name).ok_or_else(missing)?;
                match alias.pick(clock) {
                    Some(number) => function.versions.get(&number),
                    None => Some(&function.latest),
                }
            }
        };
        let version = version.ok_or_else(missing)?;
        match version.readiness {
            Readiness::Active => Ok((Arc::clone(function), Arc::clone(version))),
            state => Err(Error::NotActive {
                target: target.clone(),
                state,
            }),
        }
    }
}

impl Alias {
    /// Draws a version; `None` is the unpublished one.
    fn pick(&self, clock: &Clock) -> Option<u64> {
        let Some((version, share)) = self.additional else {
            return self.version;
        };
        let dice = f64::from(u32::from_le_bytes(clock.random())) / f64::from(u32::MAX);
        if dice < share {
            Some(version)
        } else {
            self.version
        }
    }
}
