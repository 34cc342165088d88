//! Consequences of the end of an event: its record for the destination, and the event itself for the dead-letter
//! queue. Both are queued in the commit that ends the event, so that neither is lost.

use std::sync::Arc;

use bytes::Bytes;

use super::Shared;
use super::delivery::{Content, Delivery};
use super::head::Head;
use super::lane;
use super::retry::GivenUp;
use crate::invoke::snapshot::{Function, Snapshot, Version};
use crate::invoke::{Finished, Target};
use crate::names::{FunctionRef, Qualifier, RequestId};
use crate::payload::record::{InvocationRecord, Response};
use crate::store::queue::NewItem;
use crate::units::ASYNC_EVENT_BYTES_MAX;

/// Text of a dead letter's `ErrorMessage`, as in AWS.
const ERROR_MESSAGE_CHARS_MAX: usize = 1_024;

/// An event that has ended.
pub(super) struct Ended<'a> {
    pub(super) target: &'a Target,
    pub(super) head: &'a Head,
    /// `None` for a success.
    pub(super) given_up: Option<GivenUp>,
    /// Last attempt, if it ended just now.
    pub(super) last: Option<Last>,
    /// Trace of what follows.
    pub(super) trace_id: Option<String>,
}

/// Last attempt of an event.
pub(super) struct Last {
    executed_version: Arc<str>,
    payload: Bytes,
    /// Error message of the function.
    error: Option<String>,
}

impl Last {
    pub(super) fn of(finished: Finished) -> Self {
        let (payload, error) = match finished.outcome {
            Ok(response) => (response.into_bytes(), None),
            Err(failure) => (failure.document(), Some(failure.message)),
        };
        Self {
            executed_version: finished.executed_version,
            payload,
            error,
        }
    }
}

impl Ended<'_> {
    /// ARN of the destination, if there is one.
    fn destination<'f>(&self, function: &'f Function) -> Option<&'f str> {
        let qualifier = self.target.qualifier.as_ref().unwrap_or(&Qualifier::Latest);
        let destinations = &function.event_invokes.get(qualifier)?.destinations;
        match self.given_up {
            None => destinations.success(),
            Some(_) => destinations.failure(),
        }
    }

    /// ARN of the dead-letter queue or topic, for a failure.
    fn dead_letter<'f>(&self, function: &'f Function) -> Option<&'f str> {
        self.given_up?;
        self.version(function)?.dead_letter.as_deref()
    }

    /// The version that ran last, or would run.
    fn version<'f>(&self, function: &'f Function) -> Option<&'f Arc<Version>> {
        let executed = self.last.as_ref().map(|it| &*it.executed_version);
        let number = match executed {
            Some(label) => label.parse().ok(),
            None => match self.target.qualifier.as_ref() {
                None | Some(Qualifier::Latest) => None,
                Some(Qualifier::Version(number)) => Some(*number),
                Some(Qualifier::Alias(name)) => function.aliases.get(name)?.version,
            },
        };
        match number {
            Some(number) => function.versions.get(&number),
            None => Some(&function.latest),
        }
    }

    /// True if the payload of the event is needed.
    pub(super) fn has_followers(&self, function: &Function) -> bool {
        self.destination(function).is_some() || self.dead_letter(function).is_some()
    }

    fn function_arn(&self, function: &Function) -> String {
        let qualifier = self.target.qualifier.as_ref().unwrap_or(&Qualifier::Latest);
        format!("{}:{qualifier}", function.arn)
    }

    fn record(&self, shared: &Shared, function_arn: &str, request: &Bytes) -> Bytes {
        let response = self.last.as_ref().map(|last| Response {
            executed_version: &last.executed_version,
            is_error: last.error.is_some(),
            payload: &last.payload,
        });
        let record = InvocationRecord {
            at: shared.timeline.clock().now(),
            request_id: self.head.id,
            function_arn,
            condition: self.given_up.map_or("Success", GivenUp::as_str),
            invoke_count: self.head.attempts,
            request,
            response,
        };
        record.to_json()
    }

    fn delivery(&self, shared: &Shared, function_arn: &str, content: Content) -> Delivery {
        Delivery {
            id: self.head.id,
            function: self.target.name.clone(),
            function_arn: function_arn.to_owned(),
            queued: shared.timeline.now(),
            attempts: 0,
            trace_id: self.trace_id.clone(),
            content,
        }
    }
}

impl Shared {
    /// Items that follow from the end of an event with this payload.
    pub(super) fn followers(
        &self,
        snapshot: &Snapshot,
        function: &Function,
        ended: &Ended<'_>,
        request: &Bytes,
    ) -> Vec<NewItem> {
        let function_arn = ended.function_arn(function);
        let mut followers = Vec::new();
        if let Some(arn) = ended.destination(function) {
            let record = ended.record(self, &function_arn, request);
            if arn.split(':').nth(2) == Some("lambda") {
                followers.extend(self.next_function(snapshot, ended, arn, record));
            } else {
                let is_success = ended.given_up.is_none();
                let content = Content::Record { is_success };
                let delivery = ended.delivery(self, &function_arn, content);
                followers.push(self.queued(arn, &delivery, record));
            }
        }
        if let Some(arn) = ended.dead_letter(function) {
            let error = ended.last.as_ref().and_then(|it| it.error.as_deref());
            // Without a function error, AWS gives the status of a throttle.
            let (code, message) = match error {
                Some(message) => (200, message),
                None => (429, "Rate Exceeded."),
            };
            let content = Content::DeadLetter {
                code,
                message: message.chars().take(ERROR_MESSAGE_CHARS_MAX).collect(),
            };
            let delivery = ended.delivery(self, &function_arn, content);
            followers.push(self.queued(arn, &delivery, request.clone()));
        }
        followers
    }

    fn queued(&self, arn: &str, delivery: &Delivery, body: Bytes) -> NewItem {
        NewItem {
            lane: lane::deliver(arn),
            due: self.timeline.now(),
            head: delivery.encode(),
            body,
        }
    }

    /// Event for a function that is the destination. One that is not there, or cannot take an event of this size, is a
    /// failure of the delivery.
    fn next_function(
        &self,
        snapshot: &Snapshot,
        ended: &Ended<'_>,
        arn: &str,
        record: Bytes,
    ) -> Option<NewItem> {
        let named = FunctionRef::parse(arn).ok();
        let known = named.filter(|it| snapshot.function(&it.name).is_some());
        let fits = record.len() <= ASYNC_EVENT_BYTES_MAX;
        let Some(named) = known.filter(|_| fits) else {
            let name = ended.target.name.as_str();
            self.metrics.asynchronous(name).destination_failures.add(1);
            tracing::error!(
                request_id = %ended.head.id, function = name, destination = arn, fits,
                "a record was not delivered: the function is missing, or the record is larger than an event may be"
            );
            return None;
        };
        let target = Target {
            name: named.name,
            qualifier: named.qualifier,
        };
        let now = self.timeline.now();
        let head = Head {
            id: RequestId::random(self.timeline.clock()),
            accepted: now,
            attempts: 0,
            refusals: 0,
            client_context: None,
            trace_id: ended.trace_id.clone(),
            tenant_id: None,
        };
        self.metrics
            .asynchronous(target.name.as_str())
            .received
            .add(1);
        Some(NewItem {
            lane: lane::invoke(&target),
            due: now,
            head: head.encode(),
            body: record,
        })
    }
}
