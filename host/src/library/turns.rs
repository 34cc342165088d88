//! Fair queues for the slow steps of a deployment: fetching from S3, unpacking, compiling. The caller with the
//! fewest running steps is next, and of its functions the one with the fewest. The number of waiting steps is
//! bounded, because each holds a request, its connection and a package on disk.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::telemetry::metrics::Queue;

/// Caller of the host's own steps; no ARN, so no user's.
const HOST: &str = "host";

/// Caller of a deployment step, and the function or layer that it deploys.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Requester {
    caller: Arc<str>,
    resource: Arc<str>,
}

/// Queue for one kind of step.
#[derive(Debug)]
pub(super) struct Turns {
    name: &'static str,
    bounds: Bounds,
    // std mutex, held while the next steps are chosen.
    state: Mutex<State>,
}

/// Limits of concurrent steps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) all: usize,
    /// Lower than `all`, so that one caller never holds every turn.
    pub(super) per_caller: usize,
    /// Waiting steps of all callers; half of them may be one caller's. Steps of the host itself do not count:
    /// each is waited for by an invocation, of which the account's concurrency bounds the number, or by the only
    /// recompilation.
    pub(super) waiting: usize,
}

/// Error of a step that found the queue full.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("too many deployments are waiting for the same step")]
pub struct QueueFull;

#[derive(Debug, Default)]
struct State {
    numbered: u64,
    running: Vec<Requester>,
    waiting: Vec<Waiting>,
    /// Number of the last turn of each caller and function that runs or waits.
    served: HashMap<Requester, u64>,
}

#[derive(Debug)]
struct Waiting {
    requester: Requester,
    number: u64,
    begin: oneshot::Sender<Turn>,
}

/// Permit for one step; drop releases it.
#[derive(Debug)]
pub(super) struct Turn {
    /// `None` after a failed handover.
    turns: Option<Arc<Turns>>,
    requester: Requester,
}

impl Requester {
    /// A caller, and the function or layer that it deploys.
    pub fn new(caller: &str, resource: &str) -> Self {
        Self {
            caller: caller.into(),
            resource: resource.into(),
        }
    }

    /// The host itself, for a function: it compiles again after an upgrade, and merges layers whose tree is lost. The resource is the function and not its version, so that many versions have one share.
    pub fn of_host(resource: &str) -> Self {
        Self::new(HOST, resource)
    }

    /// Key of the caller in `served`.
    fn of_caller(&self) -> Self {
        Self {
            caller: Arc::clone(&self.caller),
            resource: "".into(),
        }
    }
}

impl Turns {
    pub(super) fn new(name: &'static str, bounds: Bounds) -> Arc<Self> {
        Arc::new(Self {
            name,
            bounds,
            state: Mutex::default(),
        })
    }

    /// Waits for a turn. Cancellation leaves the queue.
    ///
    /// # Errors
    /// If too many steps wait, of all callers or of this one.
    pub(super) async fn take(self: &Arc<Self>, requester: &Requester) -> Result<Turn, QueueFull> {
        let begun = self.enqueue(requester)?;
        let begun = begun.await;
        Ok(begun.expect("the sender of a waiting step is dropped by its turn only"))
    }

    fn enqueue(
        self: &Arc<Self>,
        requester: &Requester,
    ) -> Result<oneshot::Receiver<Turn>, QueueFull> {
        let (begin, begun) = oneshot::channel();
        let mut state = self.lock();
        state.waiting.retain(|it| !it.begin.is_closed());
        if state.next_would_wait(requester, self.bounds) && state.is_full(requester, self.bounds) {
            return Err(QueueFull);
        }
        state.numbered += 1;
        let number = state.numbered;
        state.waiting.push(Waiting {
            requester: requester.clone(),
            number,
            begin,
        });
        self.go_on(&mut state);
        Ok(begun)
    }

    /// Numbers of running and waiting steps.
    pub(super) fn gauge(&self) -> Queue {
        let mut state = self.lock();
        state.waiting.retain(|it| !it.begin.is_closed());
        Queue {
            step: self.name,
            running: state.running.len() as u64,
            waiting: state.waiting.len() as u64,
        }
    }

    /// Starts waiting steps while the limits allow.
    fn go_on(self: &Arc<Self>, state: &mut State) {
        while let Some(next) = state.next(self.bounds) {
            let Waiting {
                requester, begin, ..
            } = state.waiting.swap_remove(next);
            state.running.push(requester.clone());
            let turn = Turn {
                turns: Some(Arc::clone(self)),
                requester: requester.clone(),
            };
            match begin.send(turn) {
                Ok(()) => state.note(&requester),
                // Its drop would lock the state, which is locked here.
                Err(mut turn) => {
                    turn.turns = None;
                    state.end(&requester);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// True if a new step of this caller cannot begin at once.
    fn next_would_wait(&self, requester: &Requester, bounds: Bounds) -> bool {
        let of_caller = self
            .running
            .iter()
            .filter(|it| it.caller == requester.caller);
        self.running.len() >= bounds.all || of_caller.count() >= bounds.per_caller
    }

    /// True if no further step of this caller may wait.
    fn is_full(&self, requester: &Requester, bounds: Bounds) -> bool {
        let waiting = self.waiting.iter().map(|it| &*it.requester.caller);
        let waiting = waiting.filter(|caller| *caller != HOST);
        let of_caller = waiting
            .clone()
            .filter(|caller| *caller == &*requester.caller);
        let is_full = of_caller.count() >= bounds.waiting / 2 || waiting.count() >= bounds.waiting;
        is_full && &*requester.caller != HOST
    }

    /// Index of the next step: caller with the fewest running, then the longest unserved, then function likewise,
    /// then in order of arrival.
    fn next(&self, bounds: Bounds) -> Option<usize> {
        if self.running.len() >= bounds.all {
            return None;
        }
        let of_caller = |requester: &Requester| {
            let same = self
                .running
                .iter()
                .filter(|it| it.caller == requester.caller);
            same.count()
        };
        let of_resource =
            |requester: &Requester| self.running.iter().filter(|it| *it == requester).count();
        let served =
            |requester: &Requester| self.served.get(requester).copied().unwrap_or_default();
        let may_begin = |it: &Waiting| of_caller(&it.requester) < bounds.per_caller;
        let waiting = self.waiting.iter().enumerate();
        let first = waiting
            .filter(|(_, it)| may_begin(it))
            .min_by_key(|(_, it)| {
                let requester = &it.requester;
                (
                    of_caller(requester),
                    served(&requester.of_caller()),
                    of_resource(requester),
                    served(requester),
                    it.number,
                )
            });
        first.map(|(at, _)| at)
    }

    /// Records a turn, and forgets callers and functions without steps.
    fn note(&mut self, requester: &Requester) {
        self.numbered += 1;
        let number = self.numbered;
        self.served.insert(requester.of_caller(), number);
        self.served.insert(requester.clone(), number);
        let here = || {
            let waiting = self.waiting.iter().map(|it| &it.requester);
            self.running.iter().chain(waiting)
        };
        self.served.retain(|kept, _| {
            let is_caller = kept.resource.is_empty();
            here().any(|it| it == kept || (is_caller && it.caller == kept.caller))
        });
    }

    fn end(&mut self, requester: &Requester) {
        if let Some(at) = self.running.iter().position(|it| it == requester) {
            self.running.swap_remove(at);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(turns) = self.turns.take() else {
            return;
        };
        let mut state = turns.lock();
        state.end(&self.requester);
        turns.go_on(&mut state);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;

    use super::*;

    const BOUNDS: Bounds = Bounds {
        all: 3,
        per_caller: 2,
        waiting: 100,
    };
    const ONE: Bounds = Bounds {
        all: 1,
        per_caller: 1,
        waiting: 100,
    };

    fn wait(turns: &Arc<Turns>, caller: &str, resource: &str) -> BoxFuture<'static, Turn> {
        let (turns, requester) = (Arc::clone(turns), Requester::new(caller, resource));
        let mut waiting = async move { turns.take(&requester).await.unwrap() }.boxed();
        // It is in the queue from here on.
        match (&mut waiting).now_or_never() {
            Some(turn) => std::future::ready(turn).boxed(),
            None => waiting,
        }
    }

    fn counts(turns: &Turns) -> (u64, u64) {
        let Queue {
            running, waiting, ..
        } = turns.gauge();
        (running, waiting)
    }

    #[test]
    fn caller_with_many_steps_leaves_a_turn_to_another() {
        let turns = Turns::new("compile", BOUNDS);
        let mut slow: Vec<_> = (0..4)
            .map(|n| wait(&turns, "a", &format!("f{n}")))
            .collect();
        assert_eq!(counts(&turns), (2, 2));
        let other = wait(&turns, "b", "g").now_or_never();
        assert!(other.is_some());
        assert_eq!(counts(&turns), (3, 2));
        let first = slow.remove(0).now_or_never();
        drop(first);
        assert_eq!(counts(&turns), (3, 1));
    }

    #[test]
    fn callers_take_turns_whatever_they_queue() {
        let turns = Turns::new("compile", ONE);
        let mut running = wait(&turns, "a", "f").now_or_never();
        let mut waiting = Vec::new();
        for (caller, resource) in [("a", "f"), ("a", "f"), ("a", "g"), ("b", "f"), ("b", "f")] {
            waiting.push((caller, resource, wait(&turns, caller, resource)));
        }
        let mut order = Vec::new();
        while let Some(turn) = running.take() {
            drop(turn);
            let next = waiting
                .iter_mut()
                .position(|(.., it)| match it.now_or_never() {
                    Some(turn) => {
                        running = Some(turn);
                        true
                    }
                    None => false,
                });
            if let Some(next) = next {
                let (caller, resource, _) = waiting.remove(next);
                order.push(format!("{caller}{resource}"));
            }
        }
        assert_eq!(order, ["bf", "ag", "bf", "af", "af"]);
        assert_eq!(counts(&turns), (0, 0));
        assert!(turns.lock().served.len() <= 4);
    }

    #[test]
    fn turn_of_a_cancelled_wait_goes_to_the_next() {
        let turns = Turns::new("compile", ONE);
        let running = wait(&turns, "a", "f").now_or_never();
        let (gone, next) = (wait(&turns, "b", "f"), wait(&turns, "c", "f"));
        drop(gone);
        drop(running);
        assert_eq!(counts(&turns), (1, 0));
        let next = next.now_or_never();
        assert!(next.is_some());
        // A turn that nobody took is given back.
        let given = wait(&turns, "d", "f");
        drop(next);
        assert_eq!(counts(&turns), (1, 0));
        drop(given);
        assert_eq!(counts(&turns), (0, 0));
    }

    #[test]
    fn waiting_steps_are_limited_in_all_and_of_one_caller() {
        let turns = Turns::new("compile", Bounds { waiting: 6, ..ONE });
        let running = wait(&turns, "a", "f").now_or_never();
        let is_full = |caller: &str| {
            let requester = Requester::new(caller, "f");
            turns.enqueue(&requester).is_err()
        };
        let mut waiting: Vec<_> = (0..3).map(|_| wait(&turns, "a", "f")).collect();
        assert!(is_full("a"), "half of the queue is one caller's");
        assert!(!is_full("b"), "the others have the rest");
        waiting.extend((0..3).map(|n| wait(&turns, &format!("c{n}"), "f")));
        assert!(is_full("b"), "the queue is full");
        // An invocation waits for it, and is counted as one.
        waiting.push(wait(&turns, HOST, "f"));
        assert_eq!(counts(&turns), (1, 7));
        drop(waiting.split_off(3));
        assert!(!is_full("b"), "a cancelled step does not count");
        drop(running);
        assert_eq!(counts(&turns), (1, 2));
    }

    #[test]
    fn function_with_many_versions_has_one_share_of_the_hosts_turns() {
        let turns = Turns::new("compile", ONE);
        let running = turns.enqueue(&Requester::of_host("many")).unwrap();
        let many: Vec<_> = (0..50).map(|_| wait(&turns, HOST, "many")).collect();
        let other = wait(&turns, HOST, "other");
        drop(running);
        assert!(other.now_or_never().is_some(), "it waits for one turn only");
        drop(many);
    }
}
