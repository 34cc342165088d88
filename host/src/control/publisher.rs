//! The publisher: one task that makes the snapshot of what the store says. It learns the names of functions
//! that changed, reads each whole and replaces it; a read that fails is repeated until it succeeds.
//! A second host's publisher is fed with names in the same way, from the store's list of changes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, oneshot, watch};

use super::configuration::FunctionRecord;
use super::family::{Family, KINDS_BELOW};
use super::ledger::Ledger;
use super::lifecycle::Subject;
use super::record::decode;
use super::{Control, Error, Plane, function, publication};
use crate::clock::Clock;
use crate::invoke::snapshot::Snapshot;
use crate::names::FunctionName;
use crate::store::Record;

/// Pause after a read that failed; doubled each time, up to the last.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LAST: Duration = Duration::from_secs(10);

/// Records read at a time when all are read.
const PAGE: usize = 1_000;

/// Time that a caller waits for a publication. The change is durable and follows all the same.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// The sender of snapshots, and the functions that are due.
#[derive(Debug)]
pub(super) struct Publisher {
    snapshot: watch::Sender<Arc<Snapshot>>,
    // A std mutex: entries are counted and moved, and nothing awaits inside.
    changing: Mutex<BTreeMap<FunctionName, Changing>>,
    wake: Notify,
}

/// A function with commits in flight or a publication due.
#[derive(Debug, Default)]
struct Changing {
    /// Commits that have begun and not ended.
    open: u32,
    /// Whether it must be read and published.
    is_due: bool,
    waiting: Vec<oneshot::Sender<()>>,
}

/// Functions that one commit is about to change.
#[derive(Debug)]
pub(super) struct Marks {
    publisher: Arc<Publisher>,
    names: Vec<FunctionName>,
}

/// The publications that one commit has made due.
#[derive(Debug)]
pub(super) struct Published(Vec<oneshot::Receiver<()>>);

impl Publisher {
    pub(super) fn new(snapshot: watch::Sender<Arc<Snapshot>>) -> Arc<Self> {
        Arc::new(Self {
            snapshot,
            changing: Mutex::default(),
            wake: Notify::new(),
        })
    }

    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.borrow())
    }

    /// Puts a snapshot of all functions in the place of the one before.
    pub(super) fn replace(&self, snapshot: Snapshot) {
        self.snapshot.send_replace(Arc::new(snapshot));
    }

    /// Wakes the task, for it to see that its control plane has gone.
    pub(super) fn close(&self) {
        self.wake.notify_one();
    }

    /// Notes that a commit begins that changes these functions.
    pub(super) fn mark(self: &Arc<Self>, names: Vec<FunctionName>) -> Marks {
        let mut changing = self.lock();
        for name in &names {
            changing.entry(name.clone()).or_default().open += 1;
        }
        drop(changing);
        Marks {
            publisher: Arc::clone(self),
            names,
        }
    }

    /// Waits until everything that was committed of a function is published, so that a client that
    /// reads `Active` can invoke.
    pub(super) async fn caught_up(&self, name: &FunctionName, clock: &Clock) {
        let waiting = {
            let mut changing = self.lock();
            let Some(entry) = changing.get_mut(name) else {
                return;
            };
            let (sender, receiver) = oneshot::channel();
            entry.waiting.push(sender);
            receiver
        };
        Published(vec![waiting]).wait(clock).await;
    }

    /// Takes the functions that are due, with those who wait for them.
    fn take_due(&self) -> Vec<(FunctionName, Vec<oneshot::Sender<()>>)> {
        let mut changing = self.lock();
        let due = changing.iter_mut().filter(|(_, entry)| entry.is_due);
        due.map(|(name, entry)| {
            entry.is_due = false;
            (name.clone(), std::mem::take(&mut entry.waiting))
        })
        .collect()
    }

    /// Ends the wait of those who waited for a publication that is made.
    fn done(&self, name: &FunctionName, waiting: Vec<oneshot::Sender<()>>) {
        for sender in waiting {
            // A caller that left does not wait.
            let _ = sender.send(());
        }
        Self::forget_if_quiet(&mut self.lock(), name);
    }

    fn failed(&self, name: &FunctionName, mut waiting: Vec<oneshot::Sender<()>>) {
        let mut changing = self.lock();
        let entry = changing.entry(name.clone()).or_default();
        entry.is_due = true;
        entry.waiting.append(&mut waiting);
    }

    /// Drops an entry that nothing is under way for; whoever still waits on it is released.
    fn forget_if_quiet(changing: &mut BTreeMap<FunctionName, Changing>, name: &FunctionName) {
        let is_quiet = |entry: &Changing| entry.open == 0 && !entry.is_due;
        if changing.get(name).is_some_and(is_quiet) {
            changing.remove(name);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<FunctionName, Changing>> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Marks {
    /// Notes that the commit is done, and makes the functions due.
    pub(super) fn committed(mut self) -> Published {
        let names = std::mem::take(&mut self.names);
        let mut changing = self.publisher.lock();
        let mut waiting = Vec::with_capacity(names.len());
        for name in names {
            let entry = changing.entry(name).or_default();
            entry.open = entry.open.saturating_sub(1);
            entry.is_due = true;
            let (sender, receiver) = oneshot::channel();
            entry.waiting.push(sender);
            waiting.push(receiver);
        }
        drop(changing);
        self.publisher.wake.notify_one();
        Published(waiting)
    }
}

/// A commit that failed, or whose task ended, changes nothing.
impl Drop for Marks {
    fn drop(&mut self) {
        let mut changing = self.publisher.lock();
        for name in &self.names {
            if let Some(entry) = changing.get_mut(name) {
                entry.open = entry.open.saturating_sub(1);
            }
            Publisher::forget_if_quiet(&mut changing, name);
        }
    }
}

impl Published {
    /// Waits for the publications, within a bound: where the store cannot be read, they follow later.
    pub(super) async fn wait(self, clock: &Clock) {
        let all = futures_util::future::join_all(self.0);
        if clock.timeout(WAIT_MAX, all).await.is_none() {
            tracing::warn!("a change is durable and not yet in force: the store could not be read");
        }
    }
}

/// Publishes what is due, until the control plane has gone.
pub(super) async fn run(publisher: Arc<Publisher>, plane: Weak<Plane>, clock: Clock) {
    let mut pause = RETRY_FIRST;
    loop {
        publisher.wake.notified().await;
        loop {
            let Some(plane) = plane.upgrade() else { return };
            let control = Control(plane);
            let mut is_failed = false;
            for (name, waiting) in publisher.take_due() {
                match control.publish(&name).await {
                    Ok(()) => publisher.done(&name, waiting),
                    Err(error) => {
                        tracing::error!(%name, %error, "a change could not be published; it is repeated");
                        publisher.failed(&name, waiting);
                        is_failed = true;
                    }
                }
            }
            drop(control);
            if !is_failed {
                pause = RETRY_FIRST;
                break;
            }
            clock.sleep(pause).await;
            pause = RETRY_LAST.min(pause * 2);
        }
    }
}

impl Control {
    /// Publishes every function of the store, and resumes the jobs that they wait for.
    pub(super) async fn publish_all(&self) -> Result<(), Error> {
        let mut families = BTreeMap::new();
        self.each(function::KIND, |record| {
            let record: FunctionRecord = decode(record)?;
            families.insert(record.name.clone(), Family::new(record));
            Ok(())
        })
        .await?;
        for kind in KINDS_BELOW {
            self.each(kind, |record| {
                let name = record.key.id.split('/').next().unwrap_or_default();
                let family = families.get_mut(name);
                family.map_or(Ok(()), |family| family.add(record))
            })
            .await?;
        }
        let mut snapshot = Snapshot::default();
        let mut settling = Vec::new();
        let mut ledger = Ledger::default();
        for (name, family) in families {
            ledger.add(family.shares());
            if family.record.is_settling() {
                settling.push(name.clone());
            }
            let function = publication::function(self.home(), family)?;
            snapshot.replace(&name, Some(function));
        }
        snapshot.advance();
        self.0.publisher.replace(snapshot);
        self.restore_ledger(ledger).await?;
        let jobs = settling.into_iter().map(Subject::Function);
        jobs.for_each(|subject| self.start_job(subject));
        Ok(())
    }

    /// Visits all records of a kind.
    pub(super) async fn each(
        &self,
        kind: &'static str,
        mut visit: impl FnMut(&Record) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut after: Option<String> = None;
        loop {
            let page = self
                .0
                .records
                .list(kind, "", after.as_deref(), PAGE)
                .await?;
            page.iter().try_for_each(&mut visit)?;
            match page.into_iter().last() {
                Some(last) => after = Some(last.key.id),
                None => return Ok(()),
            }
        }
    }

    /// Reads a function whole and replaces it in the snapshot.
    async fn publish(&self, name: &FunctionName) -> Result<(), Error> {
        let family = self.family(name).await?;
        let is_settling = family.as_ref().is_some_and(|it| it.record.is_settling());
        let function = family.map(|it| publication::function(self.home(), it));
        let function = function.transpose()?;
        self.0.publisher.snapshot.send_modify(|current| {
            let mut next = Snapshot::clone(current);
            next.replace(name, function);
            next.advance();
            *current = Arc::new(next);
        });
        if is_settling {
            self.start_job(Subject::Function(name.clone()));
        }
        Ok(())
    }
}
