//! Delivery endpoints of `[[triggers]]`: S3, SNS and EventBridge post events to `/_lamina/triggers/NAME`. Each delivery is
//! authenticated by a token or a signature, judged by the function's policy as a request of the service, and stored as an
//! asynchronous invocation before it is answered.

use std::collections::HashMap;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, StatusCode};

use super::access::{Caller, Demand};
use super::body::{self, Body};
use super::facts::NoKeys;
use super::{Front, HttpResponse, TRACE_ID, at_length, json as document, sender};
use crate::config::{Trigger, TriggerSource};
use crate::invoke::{Invoke, Mode, Target};
use crate::names::RequestId;
use crate::outbound::aws::Aws;
use crate::payload::{Document, Event};
use crate::units::ASYNC_EVENT_BYTES_MAX;

mod certificate;
mod context;
mod event_bridge;
mod refused;
mod s3;
mod sns;
mod token;

use certificate::Certificates;
use context::TriggerContext;
use refused::Refused;

/// Path of all triggers; a name follows.
pub(super) const PATH: &str = "/_lamina/triggers/";

const ACTION: &str = "lambda:InvokeFunction";

/// Triggers of a host.
#[derive(Debug)]
pub struct Triggers {
    by_name: HashMap<String, Trigger>,
    certificates: Certificates,
    /// SNS, which certificates come from and subscriptions are confirmed at.
    aws: Aws,
}

/// Event for a function.
#[derive(Debug)]
struct Delivery {
    event: Document,
    /// ARN of its source, for policies.
    source_arn: String,
}

impl Triggers {
    pub fn new(triggers: &[Trigger], aws: Aws) -> Self {
        let named = triggers.iter().map(|it| (it.name.clone(), it.clone()));
        Self {
            by_name: named.collect(),
            certificates: Certificates::default(),
            aws,
        }
    }
}

impl Trigger {
    /// Requires that an event comes from a source of this trigger.
    fn require_source(&self, arn: &str) -> Result<(), Refused> {
        if self.source_arns.iter().any(|it| it == arn) {
            return Ok(());
        }
        let text = format!(
            "the event comes from {arn:?}, which is not in source_arns of the trigger {:?}",
            self.name
        );
        Err(Refused::forbidden(text))
    }
}

impl Front {
    pub(super) async fn serve_trigger<B>(
        &self,
        name: &str,
        request_id: RequestId,
        parts: &Parts,
        body: B,
    ) -> HttpResponse
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        match self.answer_trigger(name, request_id, parts, body).await {
            Ok(()) => document(StatusCode::OK, "{}"),
            Err(refused) => {
                let Refused { status, text, .. } = &refused;
                tracing::warn!(trigger = name, %status, text, "a delivery was refused");
                refused.into_response()
            }
        }
    }

    async fn answer_trigger<B>(
        &self,
        name: &str,
        request_id: RequestId,
        parts: &Parts,
        body: B,
    ) -> Result<(), Refused>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let trigger = self.triggers.by_name.get(name);
        let trigger = trigger.ok_or_else(|| {
            let text = "this host has no such trigger: see [[triggers]] in lamina.toml";
            Refused::new(StatusCode::NOT_FOUND, text)
        })?;
        if parts.method != Method::POST {
            let text = "a trigger takes POST only";
            return Err(Refused::new(StatusCode::METHOD_NOT_ALLOWED, text));
        }
        if let Some(token) = &trigger.token {
            token::check(parts, token)?;
        }
        let from = body::From {
            sender: sender(parts),
            is_signed: false,
        };
        // Nothing is proven yet, also where there is a token: it says nothing about the sender.
        let bodies = &self.unproven_bodies;
        let read = bodies.read(body, ASYNC_EVENT_BYTES_MAX, &from).await;
        let Body { bytes, room, .. } = read.map_err(Refused::of_body)?;
        let parsed = at_length(parts, bytes.len(), || Document::parse(bytes.clone()));
        let parsed = parsed.map_err(|error| Refused::malformed(error.to_string()))?;
        let delivery = match trigger.source {
            TriggerSource::S3 => s3::read(&parsed, trigger, &self.control.home().region)?,
            TriggerSource::EventBridge => Some(event_bridge::read(parsed, trigger)?),
            TriggerSource::Sns => self.take_sns(trigger, parts, &parsed).await?,
        };
        if let Some(delivery) = delivery {
            self.permit_delivery(trigger, &delivery.source_arn, parts)?;
            self.accept_delivery(trigger, request_id, parts, delivery.event)
                .await?;
        }
        drop(room);
        Ok(())
    }

    /// Judges a delivery by the function's own policy, on a host without keys, too: a service never owns the account.
    fn permit_delivery(
        &self,
        trigger: &Trigger,
        source_arn: &str,
        parts: &Parts,
    ) -> Result<(), Refused> {
        let caller = Caller::service(trigger.source.principal());
        let home = self.control.home();
        let target = target(trigger);
        let resource = home.arn_at(&target.name, target.qualifier.as_ref());
        let snapshot = self.invoker.snapshot();
        let tags = snapshot.function(&target.name).map(|it| it.tags.clone());
        let account = trigger.source_account.as_ref().unwrap_or(&home.account);
        let context = TriggerContext::new(
            self.context(&caller.principal, parts, tags, &NoKeys),
            trigger.source.principal(),
            source_arn,
            account,
        );
        let demand = Demand {
            function: Some(target),
            ..Demand::new(ACTION, resource)
        };
        let permitted = self.permit(&caller, &demand, &context);
        permitted.map_err(|denied| {
            Refused::forbidden(format!(
                "{}. Allow it: aws lambda add-permission --function-name {} --statement-id {} --action {ACTION} \
                 --principal {} --source-arn {source_arn}",
                denied.text, trigger.function.name, trigger.name, trigger.source.principal()
            ))
        })
    }

    async fn accept_delivery(
        &self,
        trigger: &Trigger,
        request_id: RequestId,
        parts: &Parts,
        event: Document,
    ) -> Result<(), Refused> {
        let mut invoke = Invoke::new(request_id, target(trigger), Event::Json(event));
        invoke.mode = Mode::Event;
        let trace = parts.headers.get(TRACE_ID).and_then(|it| it.to_str().ok());
        invoke.trace_id = trace.map(str::to_owned);
        let resolved = self.invoker.resolve(invoke).await;
        let resolved = resolved.map_err(|error| Refused::of_invoke(&error))?;
        let accepted = self.events.accept(resolved).await;
        accepted.map_err(|error| Refused::of_event(&error))
    }
}

fn target(trigger: &Trigger) -> Target {
    Target {
        name: trigger.function.name.clone(),
        qualifier: trigger.function.alias.clone(),
    }
}
