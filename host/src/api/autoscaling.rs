//! Application Auto Scaling API, for the provisioned concurrency of functions.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use serde_json::Value;

use super::access::{Caller, Demand};
use super::aws_json::{Fault, JsonCall, reply};
use super::facts::{ContextKeys, NoKeys};
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
        let call = Call::parse(operation, &body.bytes, self.control.home())?;
        // A host without keys has no callers and allows everything.
        if let Some(caller) = caller.as_deref() {
            self.authorize_autoscaling(&call, operation, caller, parts)
                .await?;
        }
        call.answer(&self.control).await
    }

    /// Authorizes a request on its scalable target. A change needs the permission to change the provisioned concurrency as
    /// well, which AWS's service-linked role has in place of the caller.
    async fn authorize_autoscaling(
        &self,
        call: &Call,
        operation: &str,
        caller: &Caller,
        parts: &Parts,
    ) -> Result<(), Fault> {
        let (home, keys) = (self.control.home(), TagKeys(call));
        // The owner needs no policy.
        if !caller.owns(&home.account) {
            let found = call.scalable_target(&self.control).await?;
            let resource = call.resource(home, found.as_ref());
            let tags = found.map(|it| Arc::new(it.tags));
            let context = self.context(&caller.principal, parts, tags, &keys);
            let own = Demand::new(format!("application-autoscaling:{operation}"), resource);
            let permitted = self.permit(caller, &own, &context);
            permitted.map_err(|denied| Fault::denied(denied.text))?;
        }
        let Some(target) = call.target() else {
            return Ok(());
        };
        let resource = home.arn_at(&target.name, target.qualifier.as_ref());
        let of_function = Demand {
            function: Some(target.clone()),
            ..Demand::new("lambda:PutProvisionedConcurrencyConfig", resource)
        };
        let snapshot = self.invoker.snapshot();
        let tags = snapshot.function(&target.name).map(|it| it.tags.clone());
        // A Deny of the function's own policy holds for the owner too.
        let context = self.context(&caller.principal, parts, tags, &NoKeys);
        let permitted = self.permit(caller, &of_function, &context);
        permitted.map_err(|denied| Fault::denied(denied.text))
    }
}

/// Condition keys of a request: the tags that it adds or removes.
struct TagKeys<'a>(&'a Call);

impl ContextKeys for TagKeys<'_> {
    fn values(&self, _key: &str) -> Option<Vec<String>> {
        None
    }

    fn tags(&self) -> Option<Vec<(String, Option<String>)>> {
        let pairs = |tags: &BTreeMap<String, String>| {
            let pairs = tags.iter();
            pairs
                .map(|(key, value)| (key.clone(), Some(value.clone())))
                .collect()
        };
        Some(match self.0 {
            Call::Register(_, choice) => pairs(&choice.tags),
            Call::Tag(_, tags) => pairs(tags),
            Call::Untag(_, keys) => keys.iter().map(|key| (key.clone(), None)).collect(),
            _ => Vec::new(),
        })
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
                | AutoscalingError::TagsOfExisting
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
