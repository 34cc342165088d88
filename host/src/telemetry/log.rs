//! Function logs: groups of streams of events, bounded, kept on disk, followed live. They know nothing of functions: a
//! group is a name.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use super::event::Sink;
use crate::clock::{Clock, Timestamp};

mod change;
mod collect;
mod directory_name;
mod disk;
mod environment;
mod format;
mod group;
mod groups;
mod json;
mod query;
#[cfg(test)]
mod tests;
mod text;
mod writer;

pub use change::Error;
pub use environment::{EnvironmentLog, Stream};
pub use format::{Format, Level, Levels};
pub use query::{Direction, Filter, GroupSummary, GroupsQuery, Page, Pattern, StreamSummary};

/// Bound on the groups on disk unless configured otherwise.
const GROUPS_MAX: usize = 10_000;
/// Bound on the events of all groups on disk unless configured otherwise.
pub const BYTES_MAX_DEFAULT: u64 = 1 << 30;
/// Bound on the events of all groups in memory.
const MEMORY_BYTES_MAX: usize = 128 << 20;

/// Bounds on logs, and the directory that they are kept in.
#[derive(Clone, Debug)]
pub struct Config {
    /// The directory. `None` keeps logs in memory only.
    pub dir: Option<PathBuf>,
    /// Bytes of one group, in memory and again on disk.
    pub group_bytes_max: usize,
    /// Groups on disk. Beyond it those are removed that were not written to for longest.
    pub groups_max: usize,
    /// Bytes of all groups on disk. Beyond it, the same.
    pub bytes_max: u64,
    /// Bytes of all groups in memory.
    pub memory_bytes_max: usize,
}

impl Config {
    /// The usual bounds.
    pub fn new(dir: Option<PathBuf>, group_bytes_max: usize) -> Self {
        Self {
            dir,
            group_bytes_max,
            groups_max: GROUPS_MAX,
            bytes_max: BYTES_MAX_DEFAULT,
            memory_bytes_max: MEMORY_BYTES_MAX,
        }
    }
}

/// One line of a log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// Its position in its group. Increases with each event that arrives.
    pub sequence: u64,
    /// When it was written.
    pub at: Timestamp,
    /// The stream it was written to.
    pub stream: Arc<str>,
    /// The line, without its end.
    pub message: String,
}

/// All logs of a host; cheap to clone.
#[derive(Clone)]
pub struct Logs(Arc<Store>);

struct Store {
    config: Config,
    clock: Clock,
    groups: groups::Groups,
    /// The directory; `None` for logs in memory only.
    root: Option<disk::Root>,
    /// The thread that writes to it.
    writer: OnceLock<writer::Writer>,
}

impl Logs {
    /// The logs of a data directory.
    ///
    /// # Errors
    /// If the directory cannot be made or read.
    pub fn open(config: Config, clock: Clock) -> std::io::Result<Self> {
        let root = config.dir.clone().map(disk::Root::open).transpose()?;
        let found = root.as_ref().map(disk::Root::scan).unwrap_or_default();
        let written = found.iter().map(|group| group.written).max();
        let groups = written.map(groups::Groups::after).unwrap_or_default();
        let mut collector = collect::Collector::new(&config, &found);
        let store = Arc::new(Store {
            config,
            clock,
            groups,
            root: root.clone(),
            writer: OnceLock::new(),
        });
        // An earlier run may have had larger bounds.
        collector.collect(&store);
        if let Some(root) = root {
            let writer = writer::Writer::start(root, collector, Arc::downgrade(&store))?;
            store.writer.get_or_init(|| writer);
        }
        Ok(Self(store))
    }

    /// The log of one execution environment: a stream of a group. It does not touch the disk: the events there are read
    /// when the group is.
    pub fn environment(
        &self,
        group: &str,
        stream: &str,
        format: Format,
        sinks: Vec<Arc<dyn Sink>>,
    ) -> Arc<EnvironmentLog> {
        let group = self.group(group);
        let log = EnvironmentLog::new(self.clone(), group, stream.into(), format, sinks);
        Arc::new(log)
    }

    /// The group of this name, to write to.
    fn group(&self, name: &str) -> Arc<group::Group> {
        self.0.groups.get_or_make(name, self.0.clock.now())
    }
}

impl Store {
    fn bounds(&self) -> group::Bounds {
        group::Bounds {
            group_bytes: self.config.group_bytes_max,
            all_bytes: self.config.memory_bytes_max,
        }
    }

    /// What the disk has of a group.
    fn load(&self, group: &str) -> Option<group::Stored> {
        let directory = self.root.as_ref()?.group(group);
        Some(group::Stored {
            settings: directory.settings()?,
            events: directory.read(self.config.group_bytes_max),
        })
    }
}

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logs")
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}
