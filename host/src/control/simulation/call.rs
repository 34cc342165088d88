//! Invocations of a history, and the check of their responses: successes match the data plane at
//! resolution, and refusals have a reason.

use std::sync::Arc;
use std::time::Duration;

use super::host::Planes;
use super::subjects::{Qualified, Subjects};
use crate::invoke::snapshot::{Function, Readiness, Version};
use crate::invoke::{self, Finished, Invoke, Target, admit, lease, resolve};
use crate::names::{Qualifier, RequestId};
use crate::payload::{Document, Event};
use crate::sandbox::{Cause, Failure, FunctionResponse};

/// Invocations run for this long at most, so that limits of some while ago cannot count.
pub(super) const MILLIS_MAX: usize = 1_500;

/// One invocation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) function: usize,
    pub(super) of: Qualified,
    pub(super) millis: usize,
    pub(super) trap: bool,
}

/// An end of an invocation.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum End {
    Answered,
    Trapped,
    TimedOut,
    NotStarted,
    NotFound,
    NotActive,
    OverReserved,
    OverAccount,
    Full,
    NotLoaded,
}

impl Call {
    pub(super) async fn run(self, planes: Planes, subjects: Subjects) -> End {
        let target = subjects.target(self.function, self.of);
        let order = serde_json::json!({"ms": self.millis, "trap": self.trap}).to_string();
        let event = Document::parse(order.into()).expect("it is JSON");
        let id = RequestId::random(&planes.clock);
        let invoke = Invoke::new(id, target.clone(), Event::Json(event));
        // Read in the same poll in which the invocation is resolved.
        let shown = planes.invoker.snapshot();
        let shown = shown.function(&target.name);
        planes.require_true(&target.name, shown);
        let versions = shown.map_or_else(Vec::new, |it| versions(it, &target));
        let ended = planes.invoker.invoke(invoke).await;
        let end = match ended {
            Ok(finished) => self.judge(finished, &versions),
            Err(error) => self.judge_refusal(&error, &versions, shown.map(|it| &**it)),
        };
        let text = format!("{self:?} of {versions:?}");
        end.unwrap_or_else(|problem| panic!("{text}: {problem}"))
    }

    fn judge(self, finished: Finished, versions: &[Arc<Version>]) -> Result<End, String> {
        let label = &finished.executed_version;
        let version = versions.iter().find(|it| it.label == *label);
        let version = version.ok_or_else(|| format!("version {label} ran"))?;
        let time = Duration::from_millis(self.millis as u64);
        match finished.outcome {
            Ok(FunctionResponse::Json(answer)) => {
                let answer: serde_json::Value =
                    serde_json::from_slice(&answer).map_err(|it| it.to_string())?;
                let package = version.code.package.to_string();
                match answer["package"] == package && !self.trap && time <= version.timeout {
                    true => Ok(End::Answered),
                    false => Err(format!("{answer} was answered")),
                }
            }
            Err(failure) => self.judge_failure(&failure, time, version),
            Ok(other) => Err(format!("{other:?} was answered")),
        }
    }

    fn judge_failure(
        self,
        failure: &Failure,
        time: Duration,
        version: &Version,
    ) -> Result<End, String> {
        match failure.cause {
            Cause::Timeout if time >= version.timeout => Ok(End::TimedOut),
            _ if failure.error_type == "InitError" => Ok(End::NotStarted),
            Cause::Environment if self.trap => Ok(End::Trapped),
            _ => Err(format!("{failure:?}")),
        }
    }

    fn judge_refusal(
        self,
        error: &invoke::Error,
        versions: &[Arc<Version>],
        function: Option<&Function>,
    ) -> Result<End, String> {
        let is_active = |it: &Arc<Version>| it.readiness == Readiness::Active;
        match error {
            invoke::Error::Resolve(resolve::Error::NotFound(_)) if versions.is_empty() => {
                Ok(End::NotFound)
            }
            invoke::Error::Resolve(resolve::Error::NotActive { .. })
                if !versions.iter().all(is_active) =>
            {
                Ok(End::NotActive)
            }
            _ if versions.is_empty() => Err(format!("nothing was there, and then {error}")),
            invoke::Error::Admit(admit::Error::Reserved)
                if function.is_some_and(|it| it.reserved.is_some()) =>
            {
                Ok(End::OverReserved)
            }
            invoke::Error::Admit(admit::Error::Account) => Ok(End::OverAccount),
            invoke::Error::Lease(lease::Error::Full(_)) => Ok(End::Full),
            invoke::Error::Lease(lease::Error::Load(_)) => Ok(End::NotLoaded),
            _ => Err(error.to_string()),
        }
    }
}

/// The versions that an invocation of this target may run.
fn versions(function: &Function, target: &Target) -> Vec<Arc<Version>> {
    let numbered = |number: &u64| function.versions.get(number).cloned();
    match target.qualifier.as_ref().unwrap_or(&Qualifier::Latest) {
        Qualifier::Latest => vec![Arc::clone(&function.latest)],
        Qualifier::Version(number) => numbered(number).into_iter().collect(),
        Qualifier::Alias(name) => {
            let Some(alias) = function.aliases.get(name) else {
                return Vec::new();
            };
            let second = alias.additional.as_ref().map(|(number, _)| number);
            let numbers = alias.version.iter().chain(second);
            numbers.filter_map(numbered).collect()
        }
    }
}
