//! Function logs: groups of streams of events, bounded, kept on disk, followed live. It knows nothing
//! of functions: a group is a name.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::clock::{Clock, Timestamp};

mod environment;
mod format;
mod group;
mod query;
#[cfg(test)]
mod tests;
mod writer;

pub use environment::{EnvironmentLog, Stream};
pub use format::{Format, Level, Levels};
pub use query::{Filter, Page, Pattern};

/// What logs are kept with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where they are kept. None keeps them in memory only.
    pub dir: Option<PathBuf>,
    /// The bytes one group may take, in memory and again on disk.
    pub group_bytes_max: usize,
}

/// One line of a log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// Its place in its group. Increases by one with each event that arrives.
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
pub struct Logs(Arc<Shelf>);

struct Shelf {
    config: Config,
    clock: Clock,
    groups: group::Groups,
    writer: Option<writer::Writer>,
}

impl Logs {
    /// The logs of a data directory.
    ///
    /// # Errors
    /// Where the directory cannot be made.
    pub fn open(config: Config, clock: Clock) -> std::io::Result<Self> {
        let mut failed = None;
        let shelf = Arc::new_cyclic(|shelf| {
            let start = |dir: &PathBuf| {
                writer::Writer::start(dir.clone(), config.group_bytes_max, shelf.clone())
            };
            let writer = config.dir.as_ref().map(start).transpose();
            let writer = writer.unwrap_or_else(|error| {
                failed = Some(error);
                None
            });
            Shelf {
                config,
                clock,
                groups: group::Groups::default(),
                writer,
            }
        });
        failed.map_or(Ok(Self(shelf)), Err)
    }

    /// The log of one execution environment: a stream of a group. It does not wait for the disk: what
    /// that has of the group is looked for when the group is read.
    pub fn environment(&self, group: &str, stream: &str, format: Format) -> Arc<EnvironmentLog> {
        Arc::new(EnvironmentLog::new(
            self.clone(),
            self.group(group),
            stream.into(),
            format,
        ))
    }

    /// The group of this name, for whoever is about to write to it.
    fn group(&self, name: &str) -> Arc<group::Group> {
        let now = self.0.clock.now();
        self.0.groups.get_or_make(name, now, || {
            let dir = self.0.config.dir.as_ref();
            dir.and_then(|dir| writer::last_written(dir, name))
        })
    }

    /// What the disk has of a group.
    fn on_disk(&self, group: &str) -> Vec<Event> {
        let Config {
            dir,
            group_bytes_max,
        } = &self.0.config;
        let read = |dir: &PathBuf| writer::read(dir, group, *group_bytes_max);
        dir.as_ref().map(read).unwrap_or_default()
    }
}

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logs")
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}
