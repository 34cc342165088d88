//! Writer thread of logs: appends new events of each group to disk, a few times per second. It
//! never blocks an invocation; if it falls behind, the ring evicts the oldest unwritten events.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use super::collect::Collector;
use super::disk::{self, Root, Settings};
use super::group::Group;
use super::{Event, Logs, Store};

/// Delay before a write, to batch further events.
const PERIOD: Duration = Duration::from_millis(250);
/// Rounds between two evictions of idle groups: one minute.
const ROUNDS_UNTIL_TIDY: u32 = 240;

/// Handle of the writer thread.
pub(super) struct Writer {
    // Some until drop, which closes the channel and joins the thread.
    marks: Option<Sender<Arc<Group>>>,
    thread: Option<JoinHandle<()>>,
}

/// Notifies the writer of new events; once per write.
pub(super) fn mark(logs: &Logs, group: &Arc<Group>) {
    let writer = logs.0.writer.get();
    if let Some(marks) = writer.and_then(|writer| writer.marks.as_ref())
        && group.mark()
    {
        // The send fails only after the writer has ended, on shutdown.
        let _ = marks.send(Arc::clone(group));
    }
}

impl Writer {
    pub(super) fn start(root: Root, collector: Collector, store: Weak<Store>) -> io::Result<Self> {
        let (marks, marked) = channel();
        let mut run = Run {
            root,
            collector,
            store,
        };
        let thread = std::thread::Builder::new()
            .name("lamina-logs".into())
            .spawn(move || run.run(&marked))?;
        Ok(Self {
            marks: Some(marks),
            thread: Some(thread),
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.marks.take());
        // The writer thread itself may drop the last handle; it must not join itself.
        let thread = self.thread.take();
        if let Some(thread) = thread.filter(|it| it.thread().id() != std::thread::current().id()) {
            let _ = thread.join();
        }
    }
}

struct Run {
    root: Root,
    collector: Collector,
    store: Weak<Store>,
}

impl Run {
    fn run(&mut self, marked: &Receiver<Arc<Group>>) {
        let mut rounds = 0;
        loop {
            rounds += 1;
            if rounds == ROUNDS_UNTIL_TIDY {
                rounds = 0;
                self.tidy();
            }
            let first = match marked.recv_timeout(PERIOD) {
                Ok(group) => group,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            // Dropping the logs closes the channel, which flushes at once.
            let mut groups = vec![first];
            groups.extend(marked.recv_timeout(PERIOD));
            groups.extend(marked.try_iter());
            for group in groups {
                if let Err(error) = self.write(&group) {
                    tracing::warn!(group = %group.name(), %error, "a log group was not written");
                }
            }
            if let Some(store) = self.store.upgrade() {
                self.collector.after_write(&store);
            }
        }
    }

    fn tidy(&mut self) {
        if let Some(store) = self.store.upgrade() {
            store.groups.forget_idle(store.clock.now());
            self.collector.expire(&store);
        }
    }

    fn write(&mut self, group: &Arc<Group>) -> io::Result<()> {
        let _disk = group.disk();
        // Cleared before reading, so that a later event marks the group again.
        group
            .marked
            .store(false, std::sync::atomic::Ordering::Release);
        if group.is_deleted() {
            return Ok(());
        }
        let (new, settings) = unwritten(group);
        let lines = disk::encode(new.iter().map(AsRef::as_ref))?;
        let directory = self.root.group(group.name());
        let mut is_new = false;
        if !directory.exists() {
            let settings = settings.unwrap_or_else(|| Settings::new(group.name(), group.used()));
            is_new = directory.put_settings(&settings)?;
        }
        directory.append(&lines, self.collector.bounds.group_bytes)?;
        self.collector.count(is_new, lines.len());
        Ok(())
    }
}

/// Unwritten events, oldest first; marks them as written.
fn unwritten(group: &Group) -> (Vec<Arc<Event>>, Option<Settings>) {
    let mut ring = group.ring();
    let next = ring.next_sequence();
    let from = std::mem::replace(&mut ring.written, next);
    let first = ring.events().partition_point(|event| event.sequence < from);
    let new = ring.events().range(first..).map(Arc::clone).collect();
    (new, ring.settings().cloned())
}
