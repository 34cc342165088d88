//! Log groups on disk: a directory per group, with its newest events in two segments, `current` and
//! `previous`, and its settings in `group.json`.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::{Event, directory_name};
use crate::clock::Timestamp;
use crate::disk;

/// Segment files, newest first.
const SEGMENTS: [&str; 2] = ["current", "previous"];
/// Settings file.
const SETTINGS: &str = "group.json";

/// Directory of all groups.
#[derive(Clone, Debug)]
pub(super) struct Root(PathBuf);

/// Directory of one group; it may not exist.
#[derive(Debug)]
pub(super) struct Directory<'a> {
    root: &'a Path,
    path: PathBuf,
}

/// Settings of a group.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Settings {
    /// Group name; a digested directory name does not contain it.
    pub(super) name: String,
    /// Creation time in milliseconds.
    pub(super) created: u64,
    /// Retention in days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) retention_days: Option<u16>,
}

/// A group on disk.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) name: String,
    pub(super) bytes: u64,
    /// Time of the last write.
    pub(super) written: Timestamp,
}

/// An event as a JSON line.
#[derive(Serialize, Deserialize)]
struct Line<'a> {
    n: u64,
    t: Timestamp,
    #[serde(borrow)]
    s: Cow<'a, str>,
    #[serde(borrow)]
    m: Cow<'a, str>,
}

impl Root {
    /// Creates the directory, and completes interrupted deletions.
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        crate::disk::create_dir_all(&path)?;
        for entry in fs::read_dir(&path)?.filter_map(Result::ok) {
            if directory_name::is_deleted(&entry.file_name()) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(Self(path))
    }

    pub(super) fn group(&self, name: &str) -> Directory<'_> {
        Directory {
            root: &self.0,
            path: self.0.join(directory_name::of(name)),
        }
    }

    /// Names of all groups, unordered.
    pub(super) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).into_iter().flatten();
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        paths.filter_map(|path| self.name(&path)).collect()
    }

    /// All groups with their sizes.
    pub(super) fn scan(&self) -> Vec<Found> {
        let names = self.names().into_iter();
        names
            .filter_map(|name| self.group(&name).found(name))
            .collect()
    }

    fn name(&self, path: &Path) -> Option<String> {
        let directory = Directory {
            root: &self.0,
            path: path.to_owned(),
        };
        let name = match directory_name::decoded(path.file_name()?) {
            Some(name) => name,
            None => directory.settings()?.name,
        };
        // Skips directories that a look-up by name would not find.
        (self.0.join(directory_name::of(&name)) == path).then_some(name)
    }
}

impl Directory<'_> {
    pub(super) fn exists(&self) -> bool {
        self.path.is_dir()
    }

    fn found(&self, name: String) -> Option<Found> {
        let segments = SEGMENTS
            .iter()
            .filter_map(|it| self.path.join(it).metadata().ok());
        let (mut bytes, mut written) = (0, Timestamp::from_millis(0));
        for segment in segments {
            bytes += segment.len();
            written = written.max(modified(&segment));
        }
        if bytes == 0 {
            written = modified(&self.path.metadata().ok()?);
        }
        Some(Found {
            name,
            bytes,
            written,
        })
    }

    /// Bytes of the events.
    pub(super) fn bytes(&self) -> u64 {
        self.found(String::new()).map_or(0, |found| found.bytes)
    }

    /// Settings; `None` without a directory. Directories of earlier releases have no settings file.
    pub(super) fn settings(&self) -> Option<Settings> {
        let directory = self.path.metadata().ok()?;
        let text = fs::read(self.path.join(SETTINGS)).ok();
        let stored = text.and_then(|text| serde_json::from_slice(&text).ok());
        Some(stored.unwrap_or_else(|| Settings {
            name: fs::read_to_string(self.path.join("name")).unwrap_or_default(),
            created: directory.created().map_or(0, millis),
            retention_days: None,
        }))
    }

    /// Writes the settings durably, and creates the directory if missing. Returns true if it did.
    pub(super) fn put_settings(&self, settings: &Settings) -> io::Result<bool> {
        let is_new = !self.exists();
        if is_new {
            disk::create_dir(&self.path)?;
        }
        let text = serde_json::to_vec(settings)?;
        self.replace(SETTINGS, &text)?;
        if is_new {
            File::open(self.root)?.sync_all()?;
        }
        Ok(is_new)
    }

    /// Appends lines made by [`encode`]. If they exceed a segment, only the newest are kept.
    pub(super) fn append(&self, lines: &[u8], bytes_max: usize) -> io::Result<()> {
        let half = (bytes_max / 2) as u64;
        let text = newest(lines, bytes_max / 2);
        let mut file = self.segment()?;
        let mut bytes = file.metadata()?.len();
        if bytes > 0 && bytes + text.len() as u64 > half {
            fs::rename(self.path.join("current"), self.path.join("previous"))?;
            file = self.segment()?;
            bytes = 0;
        }
        let mut last = [b'\n'];
        if bytes > 0 {
            file.read_exact_at(&mut last, bytes - 1)?;
        }
        if last != [b'\n'] {
            // Terminates a line that a crash cut short, so that the next one stays readable.
            file.write_all(b"\n")?;
        }
        file.write_all(text)
    }

    fn segment(&self) -> io::Result<File> {
        let mut options = disk::options();
        options.create(true).append(true).read(true);
        options.open(self.path.join("current"))
    }

    /// Newest events. Skips a line that a crash cut short.
    pub(super) fn read(&self, bytes_max: usize) -> Vec<Event> {
        let mut events = Vec::new();
        let mut streams = HashSet::new();
        // Newest first: a segment renamed meanwhile is then read twice, which is harmless, and
        // never missed.
        for segment in SEGMENTS {
            let lines = self.lines(segment, bytes_max);
            events.extend(lines.filter_map(|line| decode(&line, &mut streams)));
        }
        events.sort_by_key(|event| event.sequence);
        events.dedup_by_key(|event| event.sequence);
        events
    }

    fn lines(&self, segment: &str, bytes_max: usize) -> impl Iterator<Item = Vec<u8>> {
        let file = File::open(self.path.join(segment)).into_iter();
        let lines =
            file.flat_map(move |file| BufReader::new(file.take(2 * bytes_max as u64)).split(b'\n'));
        lines.map_while(Result::ok)
    }

    /// Deletes the events of a stream durably. Returns true if there were any.
    pub(super) fn remove_stream(&self, stream: &str, bytes_max: usize) -> io::Result<bool> {
        let mut any = false;
        for segment in SEGMENTS {
            let mut streams = HashSet::new();
            let mut kept = Vec::new();
            let mut removed = false;
            for line in self.lines(segment, bytes_max) {
                let event = decode(&line, &mut streams);
                if event.is_some_and(|event| *event.stream == *stream) {
                    removed = true;
                } else {
                    kept.extend_from_slice(&line);
                    kept.push(b'\n');
                }
            }
            if removed {
                any = true;
                self.replace(segment, &kept)?;
            }
        }
        Ok(any)
    }

    /// Deletes segments whose newest event is older than `before`.
    pub(super) fn expire(&self, before: Timestamp) -> io::Result<()> {
        for segment in SEGMENTS {
            let path = self.path.join(segment);
            if path.metadata().is_ok_and(|it| modified(&it) < before) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Deletes the group durably. After a crash the directory is whole, or named as under deletion.
    pub(super) fn remove(&self) -> io::Result<()> {
        if !self.exists() {
            return Ok(());
        }
        let own = self.path.file_name().unwrap_or_default();
        let doomed = self.root.join(directory_name::deleted(own));
        if doomed.exists() {
            fs::remove_dir_all(&doomed)?;
        }
        fs::rename(&self.path, &doomed)?;
        File::open(self.root)?.sync_all()?;
        fs::remove_dir_all(doomed)
    }

    fn replace(&self, file: &str, content: &[u8]) -> io::Result<()> {
        let new = self.path.join(format!("{file}.new"));
        let mut options = disk::options();
        options.create(true).write(true).truncate(true);
        let mut written = options.open(&new)?;
        written.write_all(content)?;
        written.sync_all()?;
        fs::rename(new, self.path.join(file))?;
        File::open(&self.path)?.sync_all()
    }
}

/// JSON lines of events, in one buffer: the writer handles every invocation, and a buffer per line
/// cost a tenth of a CPU.
pub(super) fn encode<'a>(events: impl Iterator<Item = &'a Event>) -> io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    for event in events {
        let line = Line {
            n: event.sequence,
            t: event.at,
            s: event.stream.as_ref().into(),
            m: event.message.as_str().into(),
        };
        serde_json::to_writer(&mut lines, &line)?;
        lines.push(b'\n');
    }
    Ok(lines)
}

fn decode(line: &[u8], streams: &mut HashSet<Arc<str>>) -> Option<Event> {
    let Line { n, t, s, m } = serde_json::from_slice(line).ok()?;
    // Interned: a stream name is longer than most messages.
    let stream = match streams.get(s.as_ref()) {
        Some(stream) => Arc::clone(stream),
        None => {
            let stream: Arc<str> = s.as_ref().into();
            streams.insert(Arc::clone(&stream));
            stream
        }
    };
    Some(Event {
        sequence: n,
        at: t,
        stream,
        message: m.into_owned(),
    })
}

/// Newest lines that fit; at least the last one.
fn newest(lines: &[u8], bytes_max: usize) -> &[u8] {
    if lines.len() <= bytes_max {
        return lines;
    }
    let is_end = |byte: &u8| *byte == b'\n';
    // Cut at the end of a dropped line: everything after it is kept, at least the last line.
    let all_but_last = &lines[..lines.len() - 1];
    let cut = lines.len() - bytes_max - 1;
    let fits = all_but_last.get(cut..).unwrap_or_default();
    let end = fits.iter().position(is_end).map(|at| cut + at);
    let end = end.or_else(|| all_but_last.iter().rposition(is_end));
    &lines[end.map_or(0, |at| at + 1)..]
}

fn modified(file: &fs::Metadata) -> Timestamp {
    Timestamp::from_millis(file.modified().map_or(0, millis))
}

fn millis(time: std::time::SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::newest;

    #[test]
    fn newest_lines_that_fit_are_kept_and_always_the_last() {
        let lines = b"one\nthree\nfour\n";
        for (bytes_max, kept) in [
            (15, "one\nthree\nfour\n"),
            (14, "three\nfour\n"),
            (11, "three\nfour\n"),
            (10, "four\n"),
            (5, "four\n"),
            (4, "four\n"),
            (0, "four\n"),
        ] {
            assert_eq!(newest(lines, bytes_max), kept.as_bytes(), "{bytes_max}");
        }
        assert_eq!(newest(b"", 0), b"");
    }
}
