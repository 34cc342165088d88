//! Application Auto Scaling API, for the provisioned concurrency of functions.

use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use serde_json::Value;

use super::access::{Caller, Demand};
use super::aws_json::{Fault, JsonCall, reply};
use super::facts::NoKeys;
use super::{Front, HttpResponse};
use crate::control::autoscaling::AutoscalingError;
use crate::control::{Control, Error};
use call::Call;

mod call;
mod page;
mod request;
mod shape;
#[cfg(test)]
mod tests;

/// Prefix of the header that names an operation.
pub(super) const TARGET_PREFIX: &str = "AnyScaleFrontendService.";
/// Limit of a request.
const REQUEST_BYTES_MAX: usize = 64 << 10;

impl Front {
    pub(super) async fn serve_autoscaling<B>(
        &self,
        operation: &str,
        parts: &Parts,
        body: B,
    ) -> HttpResponse
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let answered = self.answer_autoscaling(operation, parts, body).await;
        match answered {
            Ok(document) => reply(StatusCode::OK, document.to_string()),
            Err(fault) => fault.into_reply(),
        }
    }

    async fn answer_autoscaling<B>(
        &self,
        operation: &str,
        parts: &Parts,
        body: B,
    ) -> Result<Value, Fault>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let service = "application-autoscaling";
        let read = self.json_call(service, REQUEST_BYTES_MAX, parts, body);
        let JsonCall { body, caller } = read.await?;
        let call = Call::parse(operation, &body.bytes)?;
        self.authorize_autoscaling(&call, operation, caller.as_deref(), parts)?;
        call.answer(&self.control).await
    }

    /// Authorizes a request. A change needs the permission to change the provisioned concurrency as well, which AWS's
    /// service-linked role has in place of the caller.
    fn authorize_autoscaling(
        &self,
        call: &Call,
        operation: &str,
        caller: Option<&Caller>,
        parts: &Parts,
    ) -> Result<(), Fault> {
        let home = self.control.home();
        // A host without keys has no callers and allows everything.
        let Some(caller) = caller else {
            return Ok(());
        };
        let target = call.target();
        let resource = target.map(|it| home.arn_at(&it.name, it.qualifier.as_ref()));
        let action = format!("application-autoscaling:{operation}");
        let own = Demand::new(action, call.resource(home));
        let of_function = resource.filter(|_| call.scales()).map(|resource| Demand {
            function: target.cloned(),
            ..Demand::new("lambda:PutProvisionedConcurrencyConfig", resource)
        });
        let snapshot = self.invoker.snapshot();
        let function = target.and_then(|it| snapshot.function(&it.name));
        let tags = function.map(|it| it.tags.clone());
        let context = self.context(&caller.principal, parts, tags, &NoKeys);
        for demand in [Some(own), of_function].into_iter().flatten() {
            // The owner needs no policy; a Deny of the function's own policy holds for it too.
            if demand.function.is_none() && caller.owns(&home.account) {
                continue;
            }
            let permitted = self.permit(caller, &demand, &context);
            permitted.map_err(|denied| Fault::denied(denied.text))?;
        }
        Ok(())
    }
}

impl Call {
    /// Carries out an authorized call.
    async fn answer(self, control: &Control) -> Result<Value, Fault> {
        let is_of_tags = self.is_of_tags();
        let done = self.run(control).await;
        done.map_err(|fault| match fault.name {
            "ObjectNotFoundException" if is_of_tags => Fault {
                name: "ResourceNotFoundException",
                ..fault
            },
            _ => fault,
        })
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let name = match &error {
            Error::Autoscaling(error) => match error {
                AutoscalingError::NoTarget(_)
                | AutoscalingError::NoTargetOfId
                | AutoscalingError::NoPolicy(..)
                | AutoscalingError::NoAction(..) => "ObjectNotFoundException",
                AutoscalingError::TooManyPolicies | AutoscalingError::TooManyActions => {
                    "LimitExceededException"
                }
                AutoscalingError::TooManyTags => "TooManyTagsException",
                AutoscalingError::Unqualified
                | AutoscalingError::NoResource(_)
                | AutoscalingError::BoundsMissing
                | AutoscalingError::MinAboveMax
                | AutoscalingError::Action(_) => "ValidationException",
            },
            Error::Function(_) => "ObjectNotFoundException",
            Error::Concurrent => "ConcurrentUpdateException",
            error => {
                tracing::error!(error = error as &dyn std::error::Error, "a request failed");
                return Self::of_host("InternalServiceException", "The host failed. See its log.");
            }
        };
        Self::new(name, error.to_string())
    }
}
