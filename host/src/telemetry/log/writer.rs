//! Logs on disk: one thread appends, a few times a second, what is new in each group. It never holds
//! up an invocation: if it cannot keep pace, the oldest unwritten events are lost with the ring.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use super::group::Group;
use super::{Event, Logs, Shelf};
use crate::clock::Timestamp;

/// How long events may wait before they are written.
const PERIOD: Duration = Duration::from_millis(250);
/// Files that are kept open.
const FILES_MAX: usize = 256;
/// How often, in rounds, groups that nobody uses are looked for.
const ROUNDS_UNTIL_TIDY: u32 = 240;
/// The longest name of a directory that is a group's own name, written so that it can be one. File
/// systems take 255 bytes.
const NAME_BYTES_MAX: usize = 200;
/// The file with a group's name, in a directory that is not named so.
const NAME_FILE: &str = "name";
/// What is written as it is. A dot is not: `..` may be the name of a group.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'#');

/// The thread that writes.
pub(super) struct Writer {
    // Both are Some until the drop: the thread ends when the channel closes, and is waited for.
    marks: Option<Sender<Arc<Group>>>,
    thread: Option<JoinHandle<()>>,
}

/// A line on disk.
#[derive(Serialize, Deserialize)]
struct Line {
    n: u64,
    t: Timestamp,
    s: String,
    m: String,
}

/// Tells the writer that a group has new events. It is told once, until it has written.
pub(super) fn mark(logs: &Logs, group: &Arc<Group>) {
    if let Some(marks) = logs
        .0
        .writer
        .as_ref()
        .and_then(|writer| writer.marks.as_ref())
        && group.mark()
    {
        // Only a writer that has ended does not listen, and then nothing is written any more.
        let _ = marks.send(Arc::clone(group));
    }
}

impl Writer {
    pub(super) fn start(dir: PathBuf, bytes_max: usize, shelf: Weak<Shelf>) -> io::Result<Self> {
        std::fs::create_dir_all(&dir)?;
        let (marks, marked) = channel();
        let run = move || run(&dir, bytes_max, &marked, &shelf);
        let thread = std::thread::Builder::new()
            .name("lamina-logs".into())
            .spawn(run)?;
        Ok(Self {
            marks: Some(marks),
            thread: Some(thread),
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.marks.take());
        // The thread itself lets go of the logs last where it was tidying up as they were dropped.
        let thread = self.thread.take();
        if let Some(thread) = thread.filter(|it| it.thread().id() != std::thread::current().id()) {
            let _ = thread.join();
        }
    }
}

fn run(dir: &Path, bytes_max: usize, marked: &Receiver<Arc<Group>>, shelf: &Weak<Shelf>) {
    let mut files = HashMap::new();
    let mut rounds = 0;
    loop {
        rounds += 1;
        if rounds == ROUNDS_UNTIL_TIDY {
            rounds = 0;
            files.clear();
            if let Some(shelf) = shelf.upgrade() {
                shelf.groups.forget_idle(shelf.clock.now());
            }
        }
        let first = match marked.recv_timeout(PERIOD) {
            Ok(group) => group,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        // Wait for more of the same before writing it all at once. When the logs are dropped the
        // channel closes, and what is left is written at once.
        let mut groups = vec![first];
        groups.extend(marked.recv_timeout(PERIOD));
        groups.extend(marked.try_iter());
        if files.len() > FILES_MAX {
            files.clear();
        }
        for group in groups {
            if let Err(error) = write(dir, bytes_max, &mut files, &group) {
                tracing::warn!(group = %group.name(), %error, "a function's log was not written");
            }
        }
    }
}

fn write(
    dir: &Path,
    bytes_max: usize,
    files: &mut HashMap<Arc<str>, Segment>,
    group: &Arc<Group>,
) -> io::Result<()> {
    // Cleared before the events are read: one that comes later marks the group again.
    group
        .marked
        .store(false, std::sync::atomic::Ordering::Release);
    let new: Vec<Arc<Event>> = {
        let mut ring = group.ring();
        let from = ring.written;
        ring.written = ring.next_sequence();
        ring.events
            .iter()
            .rev()
            .take_while(|event| event.sequence >= from)
            .cloned()
            .collect()
    };
    let mut text = Vec::new();
    for event in new.iter().rev() {
        let line = Line {
            n: event.sequence,
            t: event.at,
            s: event.stream.as_ref().to_owned(),
            m: event.message.clone(),
        };
        serde_json::to_writer(&mut text, &line)?;
        text.push(b'\n');
    }
    if !files.contains_key(group.name()) {
        let segment = Segment::open(&path(dir, group.name()))?;
        if is_long(group.name()) {
            std::fs::write(segment.dir.join(NAME_FILE), group.name().as_bytes())?;
        }
        files.insert(Arc::clone(group.name()), segment);
    }
    let segment = files.get_mut(group.name()).expect("it was put there above");
    segment.append(&text, bytes_max)
}

/// A group on disk: a file that is appended to, and the one before it.
struct Segment {
    dir: PathBuf,
    file: File,
    bytes: usize,
}

impl Segment {
    fn open(dir: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(dir.join("current"))?;
        let bytes = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        if bytes > 0 {
            // A crash may have cut the last line short; the next one must not be joined to it.
            (&file).write_all(b"\n")?;
        }
        Ok(Self {
            dir: dir.to_owned(),
            file,
            bytes,
        })
    }

    fn append(&mut self, text: &[u8], bytes_max: usize) -> io::Result<()> {
        if self.bytes + text.len() > bytes_max / 2 && self.bytes > 0 {
            std::fs::rename(self.dir.join("current"), self.dir.join("previous"))?;
            *self = Self::open(&self.dir)?;
        }
        self.bytes += text.len();
        self.file.write_all(text)
    }
}

/// The newest events of a group that the disk has. A line cut short by a crash is left out.
pub(super) fn read(dir: &Path, group: &str, bytes_max: usize) -> Vec<Event> {
    let dir = path(dir, group);
    let mut events = Vec::new();
    // In this order: what becomes the previous file meanwhile is seen twice rather than not at all.
    for name in ["current", "previous"] {
        let Ok(file) = File::open(dir.join(name)) else {
            continue;
        };
        let lines = BufReader::new(io::Read::take(file, 2 * bytes_max as u64)).split(b'\n');
        events.extend(lines.map_while(Result::ok).filter_map(|line| {
            let Line { n, t, s, m } = serde_json::from_slice(&line).ok()?;
            Some(Event {
                sequence: n,
                at: t,
                stream: s.into(),
                message: m,
            })
        }));
    }
    events.sort_by_key(|event| event.sequence);
    events.dedup_by_key(|event| event.sequence);
    events
}

/// When a group was last written to. It is asked for on the way of an invocation, so nothing is read.
pub(super) fn last_written(dir: &Path, group: &str) -> Option<Timestamp> {
    let file = path(dir, group).join("current").metadata().ok()?;
    let since = file.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::from_millis(
        u64::try_from(since.as_millis()).ok()?,
    ))
}

/// The groups that the disk has, and the bytes it has of them.
pub(super) fn groups(dir: &Path) -> Vec<(String, usize)> {
    let entries = std::fs::read_dir(dir).into_iter().flatten();
    let dirs = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let group = |found: PathBuf| {
        let name = name(&found)?;
        let size = |file: &&str| Some(found.join(file).metadata().ok()?.len());
        let bytes = ["previous", "current"].iter().filter_map(size).sum::<u64>();
        // Only what can be read under its name.
        let is_its_own = bytes > 0 && path(dir, &name) == found;
        is_its_own.then(|| (name, usize::try_from(bytes).unwrap_or(usize::MAX)))
    };
    dirs.filter_map(group).collect()
}

/// The group that a directory is of.
fn name(dir: &Path) -> Option<String> {
    let own = dir.file_name()?.to_str()?;
    if own.contains(DIGESTED) {
        return std::fs::read_to_string(dir.join(NAME_FILE)).ok();
    }
    let decoded = percent_encoding::percent_decode_str(own).decode_utf8();
    Some(decoded.ok()?.into_owned())
}

/// Stands between the beginning of a long name and its digest, and in no other name.
const DIGESTED: char = '~';

fn path(dir: &Path, group: &str) -> PathBuf {
    let mut name = utf8_percent_encode(group, PLAIN).to_string();
    if name.len() > NAME_BYTES_MAX {
        let digest = digest(&SHA256, group.as_bytes());
        name.truncate(NAME_BYTES_MAX / 2);
        name.push(DIGESTED);
        for byte in digest.as_ref() {
            name.push_str(&format!("{byte:02x}"));
        }
    }
    dir.join(name)
}

fn is_long(group: &str) -> bool {
    utf8_percent_encode(group, PLAIN)
        .map(str::len)
        .sum::<usize>()
        > NAME_BYTES_MAX
}
