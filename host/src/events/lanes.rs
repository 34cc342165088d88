//! Schedule of the lanes: which lane's items to claim next, and how many. Pure; the dispatcher does the work.
//!
//! - Lanes take turns, so that a lane with one item waits for no long one.
//! - Slots bound the items that are worked on at once. A lane takes more only while it holds less than four times the
//!   slots that are left free: one lane alone gets four fifths of them, and the next lane finds some free.
//! - A lane that is refused (throttled, host full, destination down) has its limit lowered to what did succeed; with
//!   nothing in flight it pauses, 1 s at first, twice as long after each further refusal, 5 minutes at most.
//! - A lane that pauses for want of concurrency tries as soon as another lane's item ends, once in each pause: lanes
//!   that refill each freed environment at once would leave it none.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::lane::{concurrency_max, function};
use crate::clock::Timestamp;
use crate::store::queue::Lane;

/// Items claimed at a time, so that lanes take turns soon.
const CLAIM_MAX: u32 = 64;
/// Slots a lane may hold for each slot that is free.
const SHARE: u32 = 4;
/// Lanes at their share that are looked at again for each slot that becomes free.
const STARVED_RETRIED_MAX: usize = 8;
/// Pause of a lane that has ceded its only freed environment to another.
const CEDED_PAUSE: Duration = Duration::from_secs(1);
/// AWS's back-off for throttles and errors of the service.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_LAST: Duration = Duration::from_secs(300);

/// Schedule of all lanes with items that are due, are worked on or become due.
#[derive(Debug)]
pub(super) struct Lanes {
    lanes: HashMap<Lane, State>,
    ready: VecDeque<Lane>,
    /// Lanes that hold their share, and are looked at again when a slot becomes free.
    starved: VecDeque<Lane>,
    /// Lanes that pause, and may try as soon as concurrency is freed; and the extent of their refusal.
    hungry: VecDeque<(Lane, Scope)>,
    timers: BTreeSet<(Timestamp, Lane)>,
    free: u32,
}

#[derive(Debug)]
struct State {
    status: Status,
    in_flight: u32,
    /// Upper bound of `limit`, in force until an item is refused.
    limit_max: u32,
    /// Items in flight at most.
    limit: u32,
    /// Items that succeeded since the limit changed.
    successes: u32,
    /// Due time of its next item, as far as it is known.
    due: Option<Timestamp>,
    /// Back-off after refusals.
    pause: Option<Duration>,
    resumes: Option<Timestamp>,
    /// True while it is in `hungry`.
    is_hungry: bool,
    /// True if its next item tries because another lane's ended.
    is_early: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Status {
    /// In no list: nothing is due, or the own limit is reached.
    Out,
    Ready,
    Starved,
    Timed(Timestamp),
    /// Being claimed from.
    Claiming,
}

/// Next step of a lane.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Next {
    /// Claim up to so many items of a lane.
    Claim(Lane, u32),
    /// Wait for a change, or until this time.
    Wait(Option<Timestamp>),
}

/// End of the work on an item.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// The item has ended, or waits for its next attempt.
    Done,
    /// The item was refused and can be claimed again.
    Refused(Scope),
}

/// Extent of a refusal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scope {
    /// The host is full.
    Host,
    /// The function, or the destination, takes no more.
    Function,
}

impl Lanes {
    pub(super) fn new(slots: u32) -> Self {
        Self {
            lanes: HashMap::new(),
            ready: VecDeque::new(),
            starved: VecDeque::new(),
            hungry: VecDeque::new(),
            timers: BTreeSet::new(),
            free: slots,
        }
    }

    /// Notes that a lane has an item that is due at this time.
    pub(super) fn wake(&mut self, lane: &Lane, due: Timestamp, now: Timestamp) {
        let state = self.state(lane);
        state.due = Some(state.due.map_or(due, |known| known.min(due)));
        if state.status != Status::Claiming {
            self.place(lane, now);
        }
    }

    /// Lane to claim from now. It takes no other turn until [`claimed`](Self::claimed).
    pub(super) fn next(&mut self, now: Timestamp) -> Next {
        while let Some((at, lane)) = self.timers.first().cloned().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, Arc::clone(&lane)));
            self.state(&lane).status = Status::Ready;
            self.ready.push_back(lane);
        }
        while self.free > 0
            && let Some(lane) = self.ready.pop_front()
        {
            let state = self.state(&lane);
            state.status = Status::Out;
            // A refusal since it was put in line may have changed what it wants.
            if state.wanted(now) != Status::Ready {
                self.place(&lane, now);
                continue;
            }
            let allowed = self.allowed(&lane);
            let state = self.state(&lane);
            if allowed > 0 {
                state.status = Status::Claiming;
                state.due = None;
                return Next::Claim(lane, allowed);
            }
            state.status = Status::Starved;
            self.starved.push_back(lane);
        }
        Next::Wait(self.timers.first().map(|(at, _)| *at))
    }

    /// Notes the result of a claim: the number of items taken, and the due time of the next one. Items that came
    /// during the claim may not be in its result, and have woken the lane.
    pub(super) fn claimed(
        &mut self,
        lane: &Lane,
        taken: u32,
        next_due: Option<Timestamp>,
        now: Timestamp,
    ) {
        self.free = self.free.saturating_sub(taken);
        let state = self.state(lane);
        state.in_flight += taken;
        state.status = Status::Out;
        state.due = match (state.due, next_due) {
            (Some(woken), Some(next)) => Some(woken.min(next)),
            (one, other) => one.or(other),
        };
        self.place(lane, now);
    }

    /// Notes the end of the work on an item.
    pub(super) fn finished(&mut self, lane: &Lane, verdict: Verdict, now: Timestamp) {
        self.free += 1;
        let state = self.state(lane);
        state.in_flight = state.in_flight.saturating_sub(1);
        match verdict {
            Verdict::Done => {
                state.succeed();
                self.sate(lane);
                self.cede(lane, now);
            }
            Verdict::Refused(scope) => {
                state.refuse(now);
                if state.in_flight == 0 && !state.is_early && !state.is_hungry {
                    state.is_hungry = true;
                    self.hungry.push_back((Arc::clone(lane), scope));
                } else {
                    state.is_early = false;
                }
            }
        }
        let state = self.state(lane);
        if state.status != Status::Claiming {
            self.place(lane, now);
        }
        let retried = self.starved.len().min(STARVED_RETRIED_MAX);
        for lane in self.starved.drain(..retried).collect::<Vec<_>>() {
            self.state(&lane).status = Status::Ready;
            self.ready.push_back(lane);
        }
    }

    /// Lets the lane that has been hungry for longest try next, if an end of this lane's item may help it. This lane
    /// does not refill the environment.
    fn cede(&mut self, lane: &Lane, now: Timestamp) {
        let may_help = |(other, scope): &(Lane, Scope)| {
            let is_own = function(lane).is_some() && function(lane) == function(other);
            let can_try = self.lanes.get(other).is_some_and(|it| {
                matches!(it.status, Status::Timed(_))
                    && it.due.is_some_and(|due| due <= now)
                    && it.in_flight == 0
            });
            other != lane && can_try && (*scope == Scope::Host || is_own)
        };
        let Some(index) = self.hungry.iter().position(may_help) else {
            return;
        };
        let Some((other, _)) = self.hungry.remove(index) else {
            return;
        };
        let state = self.state(&other);
        state.is_hungry = false;
        state.is_early = true;
        state.resumes = None;
        if let Status::Timed(at) = std::mem::replace(&mut state.status, Status::Ready) {
            self.timers.remove(&(at, Arc::clone(&other)));
        }
        self.ready.push_front(other);
        let state = self.state(lane);
        state.successes = 0;
        state.limit = state.in_flight.max(1);
        if state.in_flight == 0 {
            state.resumes = Some(now.after(CEDED_PAUSE));
        }
    }

    /// Notes that a lane is no longer hungry.
    fn sate(&mut self, lane: &Lane) {
        let state = self.state(lane);
        state.is_early = false;
        if std::mem::take(&mut state.is_hungry) {
            self.hungry.retain(|(other, _)| other != lane);
        }
    }

    /// Makes all items of a lane due, without pauses: its function was deleted, and they wait for no concurrency.
    pub(super) fn orphaned(&mut self, lane: &Lane, now: Timestamp) {
        let Some(state) = self.lanes.get_mut(lane) else {
            return;
        };
        state.pause = None;
        state.resumes = None;
        state.limit = state.limit_max;
        state.due = Some(now);
        let is_claiming = state.status == Status::Claiming;
        self.sate(lane);
        if !is_claiming {
            self.place(lane, now);
        }
    }

    /// Pause of a lane if its next item is refused too.
    pub(super) fn pause_after_refusal(&self, lane: &Lane) -> Duration {
        let state = self.lanes.get(lane);
        state.map_or(PAUSE_FIRST, State::next_pause)
    }

    /// Items that are worked on.
    pub(super) fn in_flight(&self) -> u32 {
        self.lanes.values().map(|it| it.in_flight).sum()
    }

    /// All lanes that are known.
    pub(super) fn names(&self) -> Vec<Lane> {
        self.lanes.keys().cloned().collect()
    }

    fn state(&mut self, lane: &Lane) -> &mut State {
        self.lanes
            .entry(Arc::clone(lane))
            .or_insert_with(|| State::new(concurrency_max(lane)))
    }

    /// Items that a lane may claim. Afterwards it holds no more than its share of what is left free. While others
    /// are in line, it takes a part, so that they find some too.
    fn allowed(&self, lane: &Lane) -> u32 {
        let Some(state) = self.lanes.get(lane) else {
            return 0;
        };
        let share = self
            .free
            .saturating_mul(SHARE)
            .saturating_sub(state.in_flight)
            / (SHARE + 1);
        // The last free slot goes to a lane that has none.
        let share = share.max(u32::from(state.in_flight == 0));
        let waiting = u32::try_from(self.ready.len()).unwrap_or(u32::MAX);
        let part = self.free / waiting.saturating_add(1).saturating_mul(2);
        let limit = if state.is_probing() { 1 } else { state.limit };
        share
            .min(part.clamp(1, CLAIM_MAX))
            .min(limit.saturating_sub(state.in_flight))
    }

    /// Puts a lane into the list where it belongs. A lane that is in the right one keeps its turn.
    fn place(&mut self, lane: &Lane, now: Timestamp) {
        let state = self.state(lane);
        let status = state.wanted(now);
        match state.status {
            // In line: it leaves the line by its turn, which looks again at what it wants.
            Status::Ready | Status::Starved => return,
            Status::Timed(at) => drop(self.timers.remove(&(at, Arc::clone(lane)))),
            Status::Out | Status::Claiming => {}
        }
        let state = self.state(lane);
        state.status = status;
        let is_forgotten = status == Status::Out && state.is_forgettable();
        match status {
            Status::Ready => self.ready.push_back(Arc::clone(lane)),
            Status::Timed(at) => drop(self.timers.insert((at, Arc::clone(lane)))),
            Status::Out | Status::Starved | Status::Claiming => {}
        }
        if is_forgotten {
            self.sate(lane);
            self.lanes.remove(lane);
        }
    }
}

impl State {
    fn new(limit_max: u32) -> Self {
        Self {
            status: Status::Out,
            in_flight: 0,
            limit_max,
            limit: limit_max,
            successes: 0,
            due: None,
            pause: None,
            resumes: None,
            is_hungry: false,
            is_early: false,
        }
    }

    fn succeed(&mut self) {
        self.pause = None;
        self.resumes = None;
        self.successes = self.successes.saturating_add(1);
        if self.successes >= self.limit {
            let more = self.limit.saturating_add(1 + self.limit / 8);
            self.limit = more.min(self.limit_max);
            self.successes = 0;
        }
    }

    fn refuse(&mut self, now: Timestamp) {
        self.due = Some(now);
        self.successes = 0;
        self.limit = self.in_flight.max(1);
        if self.in_flight == 0 {
            let pause = self.next_pause();
            self.pause = Some(pause);
            self.resumes = Some(now.after(pause));
        }
    }

    fn next_pause(&self) -> Duration {
        self.pause
            .map_or(PAUSE_FIRST, |pause| PAUSE_LAST.min(pause * 2))
    }

    /// True for a lane whose last attempt was refused: one item tries whether it still is.
    fn is_probing(&self) -> bool {
        self.pause.is_some()
    }

    fn wanted(&self, now: Timestamp) -> Status {
        let Some(due) = self.due else {
            return Status::Out;
        };
        let at = self.resumes.map_or(due, |resumes| resumes.max(due));
        if at > now {
            Status::Timed(at)
        } else if self.in_flight >= self.limit {
            Status::Out
        } else {
            Status::Ready
        }
    }

    fn is_forgettable(&self) -> bool {
        self.in_flight == 0 && self.due.is_none()
    }
}

#[cfg(test)]
mod tests;
