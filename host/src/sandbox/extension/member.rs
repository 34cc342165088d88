//! One extension of an environment as both sides see it: events queue here until the extension asks for them, and the
//! environment is busy until it does.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::buffer::{Buffer, Kind};
use crate::clock::Timestamp;

/// All extensions of an environment.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Crew {
    /// Extensions that have not registered yet.
    unregistered: AtomicUsize,
    /// Extensions that have not asked for the next event.
    busy: AtomicUsize,
    is_failed: AtomicBool,
    failure: Mutex<Option<ExtensionFailure>>,
    /// One task waits: that of the environment's user.
    changed: Notify,
}

/// Failure of an extension. It ends its environment.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct ExtensionFailure {
    pub(in crate::sandbox) error_type: String,
    pub(in crate::sandbox) message: String,
}

/// One extension.
#[derive(Debug)]
pub(in crate::sandbox) struct Member {
    pub(in crate::sandbox) name: Arc<str>,
    crew: Arc<Crew>,
    // A std mutex: short sections, and nothing awaits inside.
    state: Mutex<State>,
    /// The extension waits in `next`.
    wake: Notify,
}

/// The queue holds one event of each kind at most.
#[derive(Debug)]
struct State {
    registered: Option<Registered>,
    queue: VecDeque<Notice>,
    is_busy: bool,
    has_ended: bool,
    buffer: Option<Buffer>,
}

/// Events that an extension has registered for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(in crate::sandbox) struct Registered {
    pub(in crate::sandbox) invoke: bool,
    pub(in crate::sandbox) shutdown: bool,
}

/// Event in the queue.
#[derive(Clone, Debug)]
pub(in crate::sandbox) enum Notice {
    Invoke(Arc<Invocation>),
    Shutdown(ShutdownReason, Timestamp),
    /// The content of the buffer when it is taken.
    Telemetry,
}

/// Event as the extension gets it.
#[derive(Debug)]
pub(in crate::sandbox) enum Next {
    Invoke(Arc<Invocation>),
    Shutdown(ShutdownReason, Timestamp),
    Telemetry(String),
}

/// Facts of an invocation.
#[derive(Debug)]
pub(in crate::sandbox) struct Invocation {
    pub(in crate::sandbox) request_id: String,
    pub(in crate::sandbox) deadline: Timestamp,
    pub(in crate::sandbox) invoked_arn: Arc<str>,
    pub(in crate::sandbox) trace_id: Option<String>,
    pub(in crate::sandbox) tenant_id: Option<String>,
}

/// Reason for the end of an environment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::sandbox) enum ShutdownReason {
    Spindown,
    Timeout,
    Failure,
}

impl Crew {
    /// A crew of `count` extensions that start.
    pub(in crate::sandbox) fn new(count: usize) -> Arc<Self> {
        Arc::new(Self {
            unregistered: AtomicUsize::new(count),
            busy: AtomicUsize::new(count),
            ..Self::default()
        })
    }

    /// Waits until all extensions have registered.
    pub(super) async fn registered(&self) -> Result<(), ExtensionFailure> {
        self.until(|crew| crew.unregistered.load(Ordering::Acquire) == 0)
            .await
    }

    /// Waits until all extensions have asked for the next event.
    pub(super) async fn idle(&self) -> Result<(), ExtensionFailure> {
        self.until(|crew| crew.busy.load(Ordering::Acquire) == 0)
            .await
    }

    /// True if an extension works, or has failed.
    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire) > 0 || self.is_failed.load(Ordering::Acquire)
    }

    async fn until(&self, is_met: impl Fn(&Self) -> bool) -> Result<(), ExtensionFailure> {
        loop {
            if self.is_failed.load(Ordering::Acquire)
                && let Some(failure) = self.lock().clone()
            {
                return Err(failure);
            }
            if is_met(self) {
                return Ok(());
            }
            // A change since the checks has left a permit.
            self.changed.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<ExtensionFailure>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self, count: &AtomicUsize) {
        if count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.changed.notify_one();
        }
    }
}

impl Member {
    pub(in crate::sandbox) fn new(name: Arc<str>, crew: &Arc<Crew>) -> Arc<Self> {
        Arc::new(Self {
            name,
            crew: Arc::clone(crew),
            state: Mutex::new(State {
                registered: None,
                queue: VecDeque::new(),
                is_busy: true,
                has_ended: false,
                buffer: None,
            }),
            wake: Notify::new(),
        })
    }

    /// Registers the extension; false if it has before.
    pub(in crate::sandbox) fn register(&self, events: Registered) -> bool {
        let mut state = self.lock();
        if state.registered.is_some() {
            return false;
        }
        state.registered = Some(events);
        drop(state);
        self.crew.leave(&self.crew.unregistered);
        true
    }

    /// Events that it has registered for.
    pub(in crate::sandbox) fn registered(&self) -> Option<Registered> {
        self.lock().registered
    }

    /// Waits for the next event. Until one comes, the extension is idle.
    pub(in crate::sandbox) async fn next(&self) -> Next {
        loop {
            if let Some(next) = self.take() {
                return next;
            }
            self.wake.notified().await;
        }
    }

    fn take(&self) -> Option<Next> {
        let mut state = self.lock();
        let Some(notice) = state.queue.pop_front() else {
            if state.is_busy {
                state.is_busy = false;
                // Under the lock: an event that is queued now finds the extension idle and counted so.
                self.crew.leave(&self.crew.busy);
            }
            return None;
        };
        Some(match notice {
            Notice::Invoke(invocation) => Next::Invoke(invocation),
            Notice::Shutdown(reason, deadline) => Next::Shutdown(reason, deadline),
            Notice::Telemetry => {
                let buffer = state.buffer.as_mut();
                Next::Telemetry(buffer.map(Buffer::take).unwrap_or_default())
            }
        })
    }

    /// Tells the extension of an invocation, if it has registered for it.
    pub(super) fn invoke(&self, invocation: &Arc<Invocation>) {
        let mut state = self.lock();
        if state.registered.is_some_and(|it| it.invoke) {
            self.give(&mut state, Notice::Invoke(Arc::clone(invocation)));
        }
    }

    /// Tells the extension of the end, after the rest of its telemetry; false if it has not registered for it.
    pub(super) fn shut_down(&self, reason: ShutdownReason, deadline: Timestamp) -> bool {
        let mut state = self.lock();
        if state.has_ended || !state.registered.is_some_and(|it| it.shutdown) {
            return false;
        }
        if state.buffer.as_mut().is_some_and(Buffer::make_due) {
            self.give(&mut state, Notice::Telemetry);
        }
        self.give(&mut state, Notice::Shutdown(reason, deadline));
        true
    }

    /// Begins a subscription, with the records so far.
    pub(super) fn subscribe(&self, buffer: Buffer) {
        self.lock().buffer = Some(buffer);
    }

    /// True if the extension takes records of a kind.
    pub(super) fn takes(&self, kind: Kind) -> bool {
        let state = self.lock();
        state.buffer.as_ref().is_some_and(|it| it.takes(kind))
    }

    /// Buffers a record.
    pub(super) fn record(&self, kind: Kind, record: &str, now: Timestamp) {
        let mut state = self.lock();
        let buffer = state.buffer.as_mut().filter(|it| it.takes(kind));
        if buffer.is_some_and(|it| it.push(record, now)) {
            self.give(&mut state, Notice::Telemetry);
        }
    }

    /// Delivers what has been buffered for its time.
    pub(super) fn deliver(&self, now: Timestamp) {
        let mut state = self.lock();
        if state.buffer.as_mut().is_some_and(|it| it.is_overdue(now)) {
            self.give(&mut state, Notice::Telemetry);
        }
    }

    fn give(&self, state: &mut State, notice: Notice) {
        if state.has_ended {
            return;
        }
        state.queue.push_back(notice);
        if !state.is_busy {
            state.is_busy = true;
            self.crew.busy.fetch_add(1, Ordering::AcqRel);
        }
        self.wake.notify_one();
    }

    /// Reports a failure, of which the first of an environment counts.
    pub(in crate::sandbox) fn fail(&self, error_type: &str, message: &str) {
        let mut failure = self.crew.lock();
        failure.get_or_insert_with(|| ExtensionFailure {
            error_type: error_type.to_owned(),
            message: format!("extension {}: {message}", self.name),
        });
        drop(failure);
        self.crew.is_failed.store(true, Ordering::Release);
        self.crew.changed.notify_one();
    }

    /// The extension has ended.
    pub(in crate::sandbox) fn ended(&self) {
        let mut state = self.lock();
        state.has_ended = true;
        state.queue.clear();
        if std::mem::take(&mut state.is_busy) {
            self.crew.leave(&self.crew.busy);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::extension::buffer::Buffering;

    const ALL: Registered = Registered {
        invoke: true,
        shutdown: true,
    };

    fn invocation() -> Arc<Invocation> {
        Arc::new(Invocation {
            request_id: "1".into(),
            deadline: Timestamp::from_millis(1),
            invoked_arn: "arn".into(),
            trace_id: None,
            tenant_id: None,
        })
    }

    #[tokio::test]
    async fn crew_is_busy_until_every_member_asks() {
        let crew = Crew::new(2);
        let members = ["a", "b"].map(|it| Member::new(it.into(), &crew));
        for member in &members {
            assert!(member.register(ALL) && !member.register(ALL));
        }
        crew.registered().await.unwrap();
        assert!(members[0].take().is_none() && crew.is_busy());
        assert!(members[1].take().is_none() && !crew.is_busy());
        crew.idle().await.unwrap();
        members.iter().for_each(|it| it.invoke(&invocation()));
        for member in &members {
            assert!(crew.is_busy());
            assert!(matches!(member.next().await, Next::Invoke(_)));
            assert!(member.take().is_none());
        }
        assert!(!crew.is_busy());
    }

    #[tokio::test]
    async fn queued_event_keeps_its_member_busy() {
        let crew = Crew::new(1);
        let member = Member::new("a".into(), &crew);
        member.register(ALL);
        member.invoke(&invocation());
        assert!(matches!(member.next().await, Next::Invoke(_)));
        assert!(member.shut_down(ShutdownReason::Spindown, Timestamp::from_millis(1)));
        assert!(matches!(member.next().await, Next::Shutdown(..)));
        assert!(crew.is_busy());
        member.ended();
        assert!(!crew.is_busy());
        assert!(!member.shut_down(ShutdownReason::Spindown, Timestamp::from_millis(1)));
    }

    #[tokio::test]
    async fn telemetry_is_delivered_before_shutdown() {
        let crew = Crew::new(1);
        let member = Member::new("a".into(), &crew);
        member.register(ALL);
        let now = Timestamp::from_millis(1);
        member.subscribe(Buffer::new(&[Kind::Function], Buffering::default()).unwrap());
        member.record(Kind::Platform, "0", now);
        member.record(Kind::Function, "1", now);
        member.record(Kind::Function, "2", now);
        assert!(member.shut_down(ShutdownReason::Failure, now));
        assert!(matches!(member.next().await, Next::Telemetry(it) if it == "[1,2]"));
        assert!(matches!(member.next().await, Next::Shutdown(..)));
    }

    #[tokio::test]
    async fn failure_ends_every_wait() {
        let crew = Crew::new(1);
        let member = Member::new("a".into(), &crew);
        member.fail("Extension.Crash", "it ended");
        member.fail("Extension.Other", "later");
        let failure = crew.registered().await.unwrap_err();
        assert_eq!(failure.error_type, "Extension.Crash");
        assert!(crew.is_busy() && crew.idle().await.is_err());
    }
}
