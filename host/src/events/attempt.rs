//! One attempt to run a queued event: through the pipeline of synchronous invocations, on the code that is current
//! now. Its end decides whether the event has ended, waits or is tried again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Shared;
use super::dispatch::Working;
use super::head::Head;
use super::lane::Purpose;
use super::lanes::Verdict;
use super::retry::{GivenUp, Limits};
use crate::invoke::snapshot::Function;
use crate::invoke::{self, Finished, Invoke, Target, admit, resolve};
use crate::payload::{Document, Event};
use crate::sandbox::Cause;
use crate::store;
use crate::store::queue::{Change, Item, ItemBody};

/// Pauses between attempts to write the end of an event.
const COMMIT_PAUSE_FIRST: Duration = Duration::from_millis(100);
const COMMIT_PAUSE_LAST: Duration = Duration::from_secs(10);

/// Next step after an attempt.
#[derive(Debug)]
enum Step {
    /// The event is over.
    End,
    /// It waits for another attempt.
    Delay(Duration, Head),
    /// It was refused: throttled, or the host failed. The attempt does not count.
    Refused,
}

/// An event of a lane.
struct Queued<'a> {
    item: &'a Item,
    target: Target,
    head: Head,
}

impl Shared {
    /// Works on an item to its end or its next attempt.
    pub(super) async fn work(self: Arc<Self>, working: Working) {
        let step = match self.attempt(&working.item).await {
            Ok(step) => step,
            Err(error) => {
                tracing::error!(%error, "an event could not be read from the store; that is repeated");
                Step::Refused
            }
        };
        let id = working.item.id;
        let change = match step {
            Step::Refused => return working.finish(Verdict::Refused),
            Step::End => Change::End(id),
            Step::Delay(wait, head) => Change::Delay {
                id,
                due: self.timeline.now().after(wait),
                head: head.encode(),
            },
        };
        self.commit(vec![change]).await;
        working.finish(Verdict::Done);
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

    async fn attempt(&self, item: &Item) -> Result<Step, store::Error> {
        let (Some(Purpose::Invoke(target)), Ok(head)) =
            (Purpose::of(&item.lane), Head::decode(&item.head))
        else {
            tracing::error!(lane = %item.lane, "an item of the queue is not an event of this release");
            return Ok(Step::Refused);
        };
        let queued = Queued { item, target, head };
        let snapshot = self.invoker.snapshot();
        let Some(function) = snapshot.function(&queued.target.name) else {
            return Ok(self.drop_event(&queued, "the function was deleted"));
        };
        let limits = Limits::of(function, queued.target.qualifier.as_ref());
        if let Err(reason) = self.may_run(&queued, function, limits) {
            return Ok(self.give_up(&queued, reason));
        }
        let (_room, document) = self.document(item).await?;
        let ended = self.run(&queued, document).await;
        Ok(self.next(queued, limits, ended))
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
        limits.before(self.age(&queued.head))
    }

    /// Payload of an event. Large ones wait for room in memory.
    async fn document(
        &self,
        item: &Item,
    ) -> Result<(Option<tokio::sync::SemaphorePermit<'_>>, Document), store::Error> {
        let room = match &item.body {
            ItemBody::Inline(_) => None,
            ItemBody::File { .. } => self.large.acquire().await.ok(),
        };
        let bytes = self.queue.body(item).await?;
        let damaged = |error| store::Error::Failed(Box::new(error));
        let document = match room {
            None => parse(bytes).map_err(damaged)?,
            Some(_) => match tokio::task::spawn_blocking(move || parse(bytes)).await {
                Ok(parsed) => parsed.map_err(damaged)?,
                Err(ended) => return Err(store::Error::Failed(Box::new(ended))),
            },
        };
        Ok((room, document))
    }

    async fn run(
        &self,
        queued: &Queued<'_>,
        document: Document,
    ) -> Result<Finished, invoke::Error> {
        let Queued { target, head, .. } = queued;
        let age = self.age(head);
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

    fn next(
        &self,
        queued: Queued<'_>,
        limits: Limits,
        ended: Result<Finished, invoke::Error>,
    ) -> Step {
        let finished = match ended {
            Ok(finished) => finished,
            Err(error) => return self.after_refusal(&queued, limits, &error),
        };
        match &finished.outcome {
            Ok(_) => Step::End,
            Err(failure) if failure.cause == Cause::Host => self.refused(&queued, limits),
            Err(_) => {
                let mut head = queued.head.clone();
                head.attempts += 1;
                match limits.after_error(head.attempts, self.age(&head)) {
                    Ok(wait) => Step::Delay(wait, head),
                    Err(reason) => self.give_up(&queued, reason),
                }
            }
        }
    }

    fn after_refusal(&self, queued: &Queued<'_>, limits: Limits, error: &invoke::Error) -> Step {
        error.log();
        match error {
            invoke::Error::Resolve(
                resolve::Error::NotFound(_)
                | resolve::Error::TenantMissing
                | resolve::Error::TenantUnexpected,
            ) => self.drop_event(queued, "its version or alias cannot be invoked any more"),
            invoke::Error::Resolve(resolve::Error::NotActive { .. })
            | invoke::Error::Admit(admit::Error::Reserved | admit::Error::Account)
            | invoke::Error::Lease(_) => self.refused(queued, limits),
        }
    }

    /// The event is tried again after the pause of its lane, unless it is too old by then.
    fn refused(&self, queued: &Queued<'_>, limits: Limits) -> Step {
        let pause = self.lanes().pause_after_refusal(&queued.item.lane);
        match limits.before(self.age(&queued.head) + pause) {
            Ok(()) => Step::Refused,
            Err(reason) => self.give_up(queued, reason),
        }
    }

    fn give_up(&self, queued: &Queued<'_>, reason: GivenUp) -> Step {
        self.drop_event(queued, reason.as_str())
    }

    /// The event ends without having succeeded.
    fn drop_event(&self, queued: &Queued<'_>, reason: &str) -> Step {
        let name = queued.target.name.as_str();
        self.metrics.asynchronous(name).dropped.add(1);
        tracing::debug!(request_id = %queued.head.id, function = name, reason, "an event was dropped");
        Step::End
    }

    fn age(&self, head: &Head) -> Duration {
        let now = self.timeline.now().millis();
        Duration::from_millis(now.saturating_sub(head.accepted.millis()))
    }
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
        }
    }
}
