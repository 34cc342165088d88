//! One attempt to run a queued event: through the pipeline of synchronous invocations, on the code that is current
//! now. Its end decides whether the event has ended, waits or is tried again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Shared;
use super::destination::{Ended, Last};
use super::dispatch::Working;
use super::head::Head;
use super::lane::Purpose;
use super::lanes::{Scope, Verdict};
use super::retry::{self, GivenUp, Limits};
use super::step::Step;
use crate::invoke::live::admission::Lack;
use crate::invoke::snapshot::Function;
use crate::invoke::{self, Finished, Invoke, Target, admit, lease, resolve};
use crate::payload::{Document, Event, trace};
use crate::store;
use crate::store::queue::{Change, Item, ItemBody};

/// Pauses between attempts to write the end of an event.
const COMMIT_PAUSE_FIRST: Duration = Duration::from_millis(100);
const COMMIT_PAUSE_LAST: Duration = Duration::from_secs(10);

/// An event of a lane.
struct Queued<'a> {
    item: &'a Item,
    target: Target,
    head: Head,
}

impl Shared {
    /// Works on an item to its end or its next attempt.
    pub(super) async fn work(self: Arc<Self>, working: Working) {
        let item = &working.item;
        let step = match Purpose::of(&item.lane) {
            Some(Purpose::Invoke(target)) => self.attempt(item, target).await,
            Some(Purpose::Deliver(arn)) => self.deliver(&arn, item).await,
            None => {
                tracing::error!(lane = %item.lane, "an item of the queue is not of this release");
                Step::Refused(Scope::Function)
            }
        };
        let id = item.id;
        let delay = |wait, head| {
            let due = self.timeline.now().after(wait);
            vec![Change::Delay { id, due, head }]
        };
        let (changes, verdict) = match step {
            Step::Refused(scope) => return working.finish(Verdict::Refused(scope)),
            Step::End(followers) => {
                let adds = followers.into_iter().map(Change::Add);
                let changes = std::iter::once(Change::End(id)).chain(adds).collect();
                (changes, Verdict::Done)
            }
            Step::Delay(wait, head) => (delay(wait, head), Verdict::Done),
            Step::Postpone(wait, head) => (delay(wait, head), Verdict::Refused(Scope::Function)),
        };
        self.commit(changes).await;
        working.finish(verdict);
    }

    /// Writes the end of an event, and repeats that until it succeeds: on a full disk, for example.
    async fn commit(&self, changes: Vec<Change>) {
        let mut pause = COMMIT_PAUSE_FIRST;
        while let Err(error) = self.queue.change(changes.clone()).await {
            tracing::error!(%error, "the end of an event could not be written; that is repeated");
            self.timeline.clock().sleep(pause).await;
            pause = COMMIT_PAUSE_LAST.min(pause * 2);
        }
    }

    async fn attempt(&self, item: &Item, target: Target) -> Step {
        let head = match Head::decode(&item.head) {
            Ok(head) => head,
            Err(error) => {
                tracing::error!(%error, lane = %item.lane, "the head of an event is damaged; the event is dropped");
                return Step::End(Vec::new());
            }
        };
        let kept = head.clone();
        let queued = Queued { item, target, head };
        match self.try_attempt(queued).await {
            Ok(step) => step,
            Err(error) => unread(kept, &error),
        }
    }

    async fn try_attempt(&self, mut queued: Queued<'_>) -> Result<Step, store::Error> {
        let snapshot = self.invoker.snapshot();
        let Some(function) = snapshot.function(&queued.target.name) else {
            return Ok(self.drop_event(&queued, "the function was deleted"));
        };
        let limits = Limits::of(function, queued.target.qualifier.as_ref());
        if let Err(reason) = self.may_run(&queued, function, limits) {
            return self.conclude(queued, Some(reason), None).await;
        }
        let document = self.document(queued.item).await?;
        // Again: a large payload may have waited to be read.
        if let Err(reason) = self.may_run(&queued, function, limits) {
            return self.conclude(queued, Some(reason), None).await;
        }
        queued.head.refusals = 0;
        let ended = self.run(&queued, document).await;
        self.next(queued, limits, ended).await
    }

    fn may_run(
        &self,
        queued: &Queued<'_>,
        function: &Function,
        limits: Limits,
    ) -> Result<(), GivenUp> {
        if function.reserved == Some(0) {
            return Err(GivenUp::ZeroReservedConcurrency);
        }
        limits.before(self.timeline.since(queued.head.accepted))
    }

    /// Payload of an event. Large ones take turns to be read and parsed; not to run, since slow functions would hold
    /// up all others.
    async fn document(&self, item: &Item) -> Result<Document, store::Error> {
        let turn = match &item.body {
            ItemBody::Inline(_) => None,
            ItemBody::File { .. } => self.large.acquire().await.ok(),
        };
        let bytes = self.queue.body(item).await?;
        let damaged = |error| store::Error::Failed(Box::new(error));
        match turn {
            None => parse(bytes).map_err(damaged),
            Some(_) => match tokio::task::spawn_blocking(move || parse(bytes)).await {
                Ok(parsed) => parsed.map_err(damaged),
                Err(ended) => Err(store::Error::Failed(Box::new(ended))),
            },
        }
    }

    async fn run(
        &self,
        queued: &Queued<'_>,
        document: Document,
    ) -> Result<Finished, invoke::Error> {
        let Queued { target, head, .. } = queued;
        let age = self.timeline.since(head.accepted);
        let invoke = Invoke {
            client_context: head.client_context.clone(),
            trace_id: head.trace_id.clone(),
            tenant_id: head.tenant_id.clone(),
            ..Invoke::new(head.id, target.clone(), Event::Json(document))
        };
        let resolved = self.invoker.resolve(invoke).await?;
        let finished = self.invoker.run(resolved).await?;
        self.metrics
            .asynchronous(target.name.as_str())
            .age
            .observe(age);
        Ok(finished)
    }

    async fn next(
        &self,
        mut queued: Queued<'_>,
        limits: Limits,
        ended: Result<Finished, invoke::Error>,
    ) -> Result<Step, store::Error> {
        let finished = match ended {
            Ok(finished) => finished,
            Err(error) => return self.after_refusal(queued, limits, &error).await,
        };
        match &finished.outcome {
            Ok(_) => {
                queued.head.attempts += 1;
                self.conclude(queued, None, Some(finished)).await
            }
            // A failure of the host counts too: the function has run, and may need more than the host has.
            Err(_) => {
                queued.head.attempts += 1;
                let age = self.timeline.since(queued.head.accepted);
                match limits.after_error(queued.head.attempts, age) {
                    Ok(wait) => Ok(Step::Delay(wait, queued.head.encode())),
                    Err(reason) => self.conclude(queued, Some(reason), Some(finished)).await,
                }
            }
        }
    }

    async fn after_refusal(
        &self,
        queued: Queued<'_>,
        limits: Limits,
        error: &invoke::Error,
    ) -> Result<Step, store::Error> {
        error.log();
        match error {
            invoke::Error::Resolve(
                resolve::Error::NotFound(_)
                | resolve::Error::TenantMissing
                | resolve::Error::TenantUnexpected,
            ) => Ok(self.drop_event(&queued, "its version or alias cannot be invoked any more")),
            invoke::Error::Resolve(resolve::Error::Recursive(target)) => {
                let name = target.name.as_str();
                self.metrics.asynchronous(name).recursions.add(1);
                let reason = GivenUp::RecursiveInvocation;
                self.conclude(queued, Some(reason), None).await
            }
            invoke::Error::Resolve(resolve::Error::NotActive { .. })
            | invoke::Error::Admit(admit::Error::Reserved)
            | invoke::Error::Lease(lease::Error::Full(Lack::Burst)) => {
                self.refused(queued, limits, Scope::Function).await
            }
            invoke::Error::Admit(admit::Error::Account) | invoke::Error::Lease(_) => {
                self.refused(queued, limits, Scope::Host).await
            }
        }
    }

    /// The event is tried again after the pause of its lane, unless it is too old by then.
    async fn refused(
        &self,
        queued: Queued<'_>,
        limits: Limits,
        scope: Scope,
    ) -> Result<Step, store::Error> {
        let pause = self.lanes().pause_after_refusal(&queued.item.lane);
        let age = self.timeline.since(queued.head.accepted);
        match limits.before(age + pause) {
            Ok(()) => Ok(Step::Refused(scope)),
            Err(reason) => self.conclude(queued, Some(reason), None).await,
        }
    }

    /// The event ends: with success, or given up. What follows from it is queued in the same commit.
    async fn conclude(
        &self,
        queued: Queued<'_>,
        given_up: Option<GivenUp>,
        finished: Option<Finished>,
    ) -> Result<Step, store::Error> {
        let Queued { item, target, head } = &queued;
        let snapshot = self.invoker.snapshot();
        let mut followers = Vec::new();
        if let Some(function) = snapshot.function(&target.name) {
            let ended = Ended {
                target,
                head,
                given_up,
                last: finished.map(Last::of),
                // With this invocation counted, unless it was none.
                trace_id: head.trace_id.as_deref().map(|trace| {
                    let advanced = trace::advance(trace, &function.lineage);
                    advanced.unwrap_or_else(|_| trace.to_owned())
                }),
            };
            if ended.has_followers(function) {
                let request = self.queue.body(item).await?;
                followers = self.followers(&snapshot, function, &ended, &request);
            }
        }
        // Counted last: an event whose payload cannot be read has not ended.
        if let Some(reason) = given_up {
            self.drop_event(&queued, reason.as_str());
        }
        Ok(Step::End(followers))
    }

    /// The event ends without having succeeded.
    fn drop_event(&self, queued: &Queued<'_>, reason: &str) -> Step {
        let name = queued.target.name.as_str();
        self.metrics.asynchronous(name).dropped.add(1);
        tracing::debug!(request_id = %queued.head.id, function = name, reason, "an event was dropped");
        Step::End(Vec::new())
    }
}

/// The event waits by itself, and holds up no other of its lane.
fn unread(mut head: Head, error: &store::Error) -> Step {
    tracing::error!(%error, request_id = %head.id, "an event could not be read from the store; that is repeated");
    head.refusals = head.refusals.saturating_add(1);
    Step::Delay(retry::after_unread(head.refusals), head.encode())
}

fn parse(bytes: Bytes) -> Result<Document, crate::payload::json::Invalid> {
    Document::parse(bytes)
}

impl GivenUp {
    /// Name of the reason in the invocation record.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::RetriesExhausted => "RetriesExhausted",
            Self::EventAgeExceeded => "EventAgeExceeded",
            Self::ZeroReservedConcurrency => "ZeroReservedConcurrency",
            Self::RecursiveInvocation => "RecursiveInvocation",
        }
    }
}
