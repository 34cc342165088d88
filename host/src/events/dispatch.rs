//! The dispatcher: one task that claims due items, lane by lane, and starts a task for each.

use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use super::lane::Purpose;
use super::lanes::{Next, Scope, Verdict};
use crate::clock::Timestamp;
use crate::invoke::snapshot::Snapshot;
use crate::store::queue::{Claim, Item, Lane};

/// Pause of a lane that cannot be read from the store.
const UNREAD_PAUSE: Duration = Duration::from_secs(1);

/// Due times are never further ahead: retries wait two minutes and deliveries five at most. An item that is due later
/// is stuck: the clock was set back before this start.
const DUE_AHEAD_MAX: Duration = Duration::from_secs(600);

/// A claimed item in work. Dropped before its end, by a panic, it can be claimed again after a pause.
#[derive(Debug)]
pub(super) struct Working {
    shared: Arc<Shared>,
    pub(super) item: Item,
    is_over: bool,
}

impl Working {
    pub(super) fn new(shared: &Arc<Shared>, item: Item) -> Self {
        Self {
            shared: Arc::clone(shared),
            item,
            is_over: false,
        }
    }

    pub(super) fn finish(mut self, verdict: Verdict) {
        self.end(verdict);
    }

    fn end(&mut self, verdict: Verdict) {
        self.is_over = true;
        // Given up first: the lane may be claimed from as soon as its slot is free.
        if matches!(verdict, Verdict::Refused(_)) {
            self.shared.queue.release(&self.item);
        }
        let now = self.shared.timeline.now();
        let mut lanes = self.shared.lanes();
        lanes.finished(&self.item.lane, verdict, now);
        drop(lanes);
        self.shared.changed.notify_one();
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        if !self.is_over {
            self.end(Verdict::Refused(Scope::Function));
        }
    }
}

/// Claims and starts items until the host stops.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut snapshots = shared.invoker.snapshots();
    while !shared.stop.is_cancelled() {
        // Here too: a dispatcher with much to claim does not wait.
        if snapshots.has_changed().unwrap_or(false) {
            snapshots.mark_unchanged();
            shared.wake_orphans();
        }
        let now = shared.timeline.now();
        let next = shared.lanes().next(now);
        match next {
            Next::Claim(lane, limit) => shared.start(&lane, limit).await,
            Next::Wait(at) => {
                let wait = at.map(|at| at.millis().saturating_sub(now.millis()));
                let wait = Duration::from_millis(wait.unwrap_or_default());
                let sleep = shared.timeline.clock().sleep(wait);
                tokio::select! {
                    () = shared.changed.notified() => {}
                    () = shared.stop.cancelled() => {}
                    Ok(()) = snapshots.changed() => shared.wake_orphans(),
                    () = sleep, if at.is_some() => {}
                }
            }
        }
    }
}

impl Shared {
    /// Claims items of a lane and starts them.
    async fn start(self: &Arc<Self>, lane: &Lane, limit: u32) {
        let claim = match self.claim(lane, limit).await {
            Ok(claim) => claim,
            Err(error) => {
                tracing::error!(%error, %lane, "events could not be read from the store; that is repeated");
                Claim {
                    items: Vec::new(),
                    next_due: Some(self.timeline.now().after(UNREAD_PAUSE)),
                }
            }
        };
        let taken = u32::try_from(claim.items.len()).expect("the limit is a u32");
        let now = self.timeline.now();
        self.lanes().claimed(lane, taken, claim.next_due, now);
        for item in claim.items {
            let working = Working::new(self, item);
            self.tasks.spawn(Arc::clone(self).work(working));
        }
    }

    async fn claim(&self, lane: &Lane, limit: u32) -> Result<Claim, crate::store::Error> {
        // Events of a deleted function wait for nothing. Whether they are dropped is decided once they are claimed:
        // an event that is accepted for a new function of the name comes after that in the snapshot.
        let now = match is_orphan(lane, &self.invoker.snapshot()) {
            true => Timestamp::from_millis(u64::MAX),
            false => self.timeline.now(),
        };
        let limit = usize::try_from(limit).expect("a usize has 32 bits or more");
        let mut claim = self.queue.claim(lane, now, limit).await?;
        let now = self.timeline.now();
        let is_stuck = |due: Timestamp| due > now.after(DUE_AHEAD_MAX);
        if claim.items.is_empty() && claim.next_due.is_some_and(is_stuck) {
            let all = Timestamp::from_millis(u64::MAX);
            claim = self.queue.claim(lane, all, limit).await?;
        }
        // Items that are stuck are claimed by the next turns of the lane.
        claim.next_due = claim
            .next_due
            .map(|due| if is_stuck(due) { now } else { due });
        Ok(claim)
    }

    /// Makes lanes of deleted functions due.
    fn wake_orphans(&self) {
        let (now, snapshot) = (self.timeline.now(), self.invoker.snapshot());
        // Unlocked while names are parsed: the store's writer needs the lock to report a commit.
        let mut known = self.lanes().names();
        known.retain(|lane| is_orphan(lane, &snapshot));
        if known.is_empty() {
            return;
        }
        let mut lanes = self.lanes();
        for lane in &known {
            lanes.orphaned(lane, now);
        }
    }
}

/// True for a lane whose function was deleted.
fn is_orphan(lane: &Lane, snapshot: &Snapshot) -> bool {
    match Purpose::of(lane) {
        Some(Purpose::Invoke(target)) => snapshot.function(&target.name).is_none(),
        Some(Purpose::Deliver(_)) | None => false,
    }
}
