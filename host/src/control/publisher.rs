//! The publisher: one task that makes the snapshot from the store. Commits name the functions and mappings
//! that changed; the task reads each whole and replaces it, and repeats a read that fails until it succeeds.
//! It needs names only, so the changes of another host can feed it in the same way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, oneshot, watch};

use super::event_source::mapping::MappingRecord;
use super::function_records::FunctionRecords;
use super::ledger::Ledger;
use super::lifecycle::Subject;
use super::record::decode;
use super::{Control, Error, Plane, event_source, kind, publication};
use crate::clock::Clock;
use crate::invoke::snapshot::Snapshot;
use crate::names::FunctionName;
use crate::store::Record;

/// Back-off after a read that failed; doubled each time, up to the last.
const RETRY_FIRST: Duration = Duration::from_millis(100);
pub(super) const RETRY_LAST: Duration = Duration::from_secs(10);

/// Records read at a time when all are read.
const PAGE: usize = 1_000;

/// Time that a caller waits for a publication. The change is durable and follows all the same.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// The sender of snapshots, and the functions and mappings that are due.
#[derive(Debug)]
pub(super) struct Publisher {
    snapshot: watch::Sender<Arc<Snapshot>>,
    // A std mutex: entries are counted and moved, and nothing awaits inside.
    changing: Mutex<BTreeMap<Subject, Changing>>,
    wake: Notify,
}

/// A function or mapping with commits in flight or a publication due.
#[derive(Debug, Default)]
struct Changing {
    /// Commits that have begun and not ended.
    open: u32,
    /// It must be read and published.
    is_due: bool,
    waiting: Vec<oneshot::Sender<()>>,
}

/// Functions and mappings that one commit is about to change.
#[derive(Debug)]
pub(super) struct Marks {
    publisher: Arc<Publisher>,
    subjects: Vec<Subject>,
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

    pub(super) fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshot.subscribe()
    }

    /// Puts a snapshot of all functions in the place of the one before.
    pub(super) fn replace(&self, snapshot: Snapshot) {
        self.snapshot.send_replace(Arc::new(snapshot));
    }

    /// Publishes the next snapshot: the one before with a change.
    fn change(&self, change: impl FnOnce(&mut Snapshot)) {
        self.snapshot.send_modify(|current| {
            let mut next = Snapshot::clone(current);
            change(&mut next);
            next.advance();
            *current = Arc::new(next);
        });
    }

    /// Wakes the task, for it to see that its control plane has gone.
    pub(super) fn close(&self) {
        self.wake.notify_one();
    }

    /// Notes that a commit begins that changes these subjects.
    pub(super) fn mark(self: &Arc<Self>, subjects: Vec<Subject>) -> Marks {
        let mut changing = self.lock();
        for subject in &subjects {
            changing.entry(subject.clone()).or_default().open += 1;
        }
        drop(changing);
        Marks {
            publisher: Arc::clone(self),
            subjects,
        }
    }

    /// Waits until everything that was committed of a function is published, so that a client that
    /// reads `Active` can invoke.
    pub(super) async fn caught_up(&self, name: &FunctionName, clock: &Clock) {
        let waiting = {
            let mut changing = self.lock();
            let subject = Subject::Function(name.clone());
            let Some(entry) = changing.get_mut(&subject) else {
                return;
            };
            let (sender, receiver) = oneshot::channel();
            entry.waiting.push(sender);
            receiver
        };
        Published(vec![waiting]).wait(clock).await;
    }

    /// Takes the subjects that are due, with the callers that wait for them.
    fn take_due(&self) -> Vec<(Subject, Vec<oneshot::Sender<()>>)> {
        let mut changing = self.lock();
        let due = changing.iter_mut().filter(|(_, entry)| entry.is_due);
        due.map(|(subject, entry)| {
            entry.is_due = false;
            (subject.clone(), std::mem::take(&mut entry.waiting))
        })
        .collect()
    }

    /// Wakes the callers that wait for a publication that is made.
    fn done(&self, subject: &Subject, waiting: Vec<oneshot::Sender<()>>) {
        for sender in waiting {
            // A caller that left does not wait.
            let _ = sender.send(());
        }
        Self::forget_if_quiet(&mut self.lock(), subject);
    }

    fn failed(&self, subject: &Subject, mut waiting: Vec<oneshot::Sender<()>>) {
        let mut changing = self.lock();
        let entry = changing.entry(subject.clone()).or_default();
        entry.is_due = true;
        entry.waiting.append(&mut waiting);
    }

    /// Drops an entry without commit or publication; callers that still wait for it are released.
    fn forget_if_quiet(changing: &mut BTreeMap<Subject, Changing>, subject: &Subject) {
        let is_quiet = |entry: &Changing| entry.open == 0 && !entry.is_due;
        if changing.get(subject).is_some_and(is_quiet) {
            changing.remove(subject);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Subject, Changing>> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl Publisher {
    /// True once no subject is being changed or waits to be published.
    pub(super) fn is_idle(&self) -> bool {
        self.lock().is_empty()
    }
}

impl Marks {
    /// Notes that the commit is done, and makes its subjects due.
    pub(super) fn committed(mut self) -> Published {
        let subjects = std::mem::take(&mut self.subjects);
        let mut changing = self.publisher.lock();
        let mut waiting = Vec::with_capacity(subjects.len());
        for subject in subjects {
            let entry = changing.entry(subject).or_default();
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
        for subject in &self.subjects {
            if let Some(entry) = changing.get_mut(subject) {
                entry.open = entry.open.saturating_sub(1);
            }
            Publisher::forget_if_quiet(&mut changing, subject);
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
            for (subject, waiting) in publisher.take_due() {
                match control.publish(&subject).await {
                    Ok(()) => publisher.done(&subject, waiting),
                    Err(error) => {
                        tracing::error!(?subject, %error, "a change could not be published; it is repeated");
                        publisher.failed(&subject, waiting);
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
    /// Publishes every function and mapping of the store, and resumes the jobs that they wait for.
    pub(super) async fn publish_all(&self) -> Result<(), Error> {
        // Read first, for each function to be built as its record is read: all records at once would leave 1 KiB
        // of free memory a function in the heap.
        let mut below = self.records_below().await?;
        let mut snapshot = Snapshot::default();
        let mut settling = Vec::new();
        let mut ledger = Ledger::default();
        self.each(kind::FUNCTION, |record| {
            let mut function = FunctionRecords::new(decode(record)?);
            let name = function.record.name.clone();
            let records = below.remove(name.as_str()).unwrap_or_default();
            records.iter().try_for_each(|record| function.add(record))?;
            ledger.add(function.shares());
            if function.record.is_settling() {
                settling.push(Subject::Function(name.clone()));
            }
            let function = publication::function(self.home(), function)?;
            snapshot.replace(&name, Some(function));
            Ok(())
        })
        .await?;
        self.each(event_source::KIND, |record| {
            let record: MappingRecord = decode(record)?;
            snapshot.replace_mapping(&record.id, Some(record.published()));
            if record.state.is_settling() {
                settling.push(Subject::Mapping(record.id));
            }
            Ok(())
        })
        .await?;
        snapshot.advance();
        self.0.publisher.replace(snapshot);
        self.restore_ledger(ledger).await?;
        let jobs = settling.into_iter();
        jobs.for_each(|subject| self.start_job(subject));
        Ok(())
    }

    /// Records below functions, by the name of their function. Most functions have none.
    async fn records_below(&self) -> Result<BTreeMap<String, Vec<Record>>, Error> {
        let mut below: BTreeMap<String, Vec<Record>> = BTreeMap::new();
        for below_function in kind::BELOW_FUNCTION {
            self.each(below_function, |record| {
                let name = record.key.id.split('/').next().unwrap_or_default();
                let records = below.entry(name.to_owned()).or_default();
                records.push(record.clone());
                Ok(())
            })
            .await?;
        }
        Ok(below)
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

    /// Reads a function whole, or a mapping, and replaces it in the snapshot.
    async fn publish(&self, subject: &Subject) -> Result<(), Error> {
        let is_settling = match subject {
            Subject::Function(name) => self.publish_function(name).await?,
            Subject::Mapping(id) => self.publish_mapping(id).await?,
        };
        if is_settling {
            self.start_job(subject.clone());
        }
        Ok(())
    }

    async fn publish_function(&self, name: &FunctionName) -> Result<bool, Error> {
        let function = self.function_records(name).await?;
        let is_settling = function.as_ref().is_some_and(|it| it.record.is_settling());
        let function = function.map(|it| publication::function(self.home(), it));
        let function = function.transpose()?;
        self.0.publisher.change(|next| next.replace(name, function));
        Ok(is_settling)
    }

    async fn publish_mapping(&self, id: &str) -> Result<bool, Error> {
        let record = self.load_mapping(id).await?.map(|(record, _)| record);
        let is_settling = record.as_ref().is_some_and(|it| it.state.is_settling());
        let mapping = record.map(|it| it.published());
        let publisher = &self.0.publisher;
        publisher.change(|next| next.replace_mapping(id, mapping));
        Ok(is_settling)
    }
}
