//! Function logs: bounded log groups with streams, kept in memory and on disk. A group is a name;
//! functions are unknown here.

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
pub use format::{Format, Levels};
pub use json::object as telemetry_record;
pub use query::{Direction, Filter, GroupSummary, GroupsQuery, Page, Pattern, StreamSummary};

/// Default limit of groups on disk.
const GROUPS_MAX: usize = 10_000;
/// Default limit of the bytes of all groups on disk.
pub const BYTES_MAX_DEFAULT: u64 = 1 << 30;
/// Limit of the bytes of all groups in memory.
const MEMORY_BYTES_MAX: usize = 128 << 20;

/// Limits of logs, and their directory.
#[derive(Clone, Debug)]
pub struct Config {
    /// Directory; `None` keeps logs in memory only.
    pub dir: Option<PathBuf>,
    /// Bytes per group, in memory and on disk each.
    pub group_bytes_max: usize,
    /// Groups on disk. The groups with the oldest writes are collected beyond it.
    pub groups_max: usize,
    /// Bytes of all groups on disk. The groups with the oldest writes are collected beyond it.
    pub bytes_max: u64,
    /// Bytes of all groups in memory.
    pub memory_bytes_max: usize,
}

impl Config {
    /// Default limits.
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

/// A log event: one line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// Position in the group, ascending in order of arrival.
    pub sequence: u64,
    /// Time of the write.
    pub at: Timestamp,
    /// Stream name.
    pub stream: Arc<str>,
    /// Text without the line ending.
    pub message: String,
}

/// Logs of a host; cheap to clone.
#[derive(Clone)]
pub struct Logs(Arc<Store>);

struct Store {
    config: Config,
    clock: Clock,
    groups: groups::Groups,
    /// Directory on disk; `None` for in-memory logs.
    root: Option<disk::Root>,
    /// Writer thread of the directory.
    writer: OnceLock<writer::Writer>,
}

impl Logs {
    /// Opens the logs of a data directory.
    ///
    /// # Errors
    /// If the directory cannot be created or read.
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
        // Limits may have been larger in an earlier run.
        collector.collect(&store);
        if let Some(root) = root {
            let writer = writer::Writer::start(root, collector, Arc::downgrade(&store))?;
            store.writer.get_or_init(|| writer);
        }
        Ok(Self(store))
    }

    /// Log of one execution environment: a stream of a group. Does no disk I/O; events on disk are
    /// loaded when the group is read.
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

    /// Group to write to.
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

    /// Settings and events of a group on disk.
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
