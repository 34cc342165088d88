//! The log of one execution environment: splits a guest's output into lines, keeps the end of the
//! current invocation's log, and moves lines to their group in batches. Every invocation writes to it, so
//! it takes one short lock and makes no system call.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::format::{Format, Invocation};
use super::group::Group;
use super::{Logs, json, text, writer};
use crate::clock::Timestamp;
use crate::telemetry::event::{Event, Fault, LogsDropped, Origin, Sink};
use crate::units::LOG_TAIL_BYTES_MAX;

/// Bound on a line; a longer one is cut into several.
const LINE_BYTES_MAX: usize = 256 << 10;
/// Bytes of lines that wait for the end of the invocation.
const BATCH_BYTES_MAX: usize = 64 << 10;
/// Milliseconds that lines wait for the end of the invocation.
const BATCH_MILLIS_MAX: u64 = 200;
/// Size of a line besides its text.
const LINE_OVERHEAD_BYTES: usize = 64;
/// Size of a line besides its text if it becomes a JSON object.
const OBJECT_OVERHEAD_BYTES: usize = 128;
/// Bytes that a guest may write in a second, and in one burst. Lines beyond it are dropped and counted.
const FLOOD_BYTES_PER_SECOND: u64 = 1 << 20;
const FLOOD_BURST_BYTES: u64 = 4 << 20;

/// The standard streams of a guest. Each has lines of its own.
#[derive(Clone, Copy, Debug)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Error,
}

/// The log of one execution environment.
pub struct EnvironmentLog {
    logs: Logs,
    stream: Arc<str>,
    format: Format,
    /// Other receivers of the events.
    sinks: Vec<Arc<dyn Sink>>,
    // A std mutex: the sections copy bytes, and nothing awaits inside.
    state: Mutex<State>,
}

struct State {
    /// The group, until it is deleted: then the next flush makes a new one.
    group: Arc<Group>,
    /// Lines that have no end yet, of standard output and of standard error.
    partial: [Vec<u8>; 2],
    batch: Vec<(Timestamp, String)>,
    batch_bytes: usize,
    batch_since: u64,
    tail: Option<Vec<u8>>,
    /// The current invocation; for logs in JSON only, whose lines name it.
    invocation: Option<Invocation>,
    has_begun: bool,
    /// Bytes that the guest may write now.
    credit: u64,
    credit_at: Option<u64>,
    dropped_lines: u64,
    dropped_bytes: u64,
}

impl EnvironmentLog {
    pub(super) fn new(
        logs: Logs,
        group: Arc<Group>,
        stream: Arc<str>,
        format: Format,
        sinks: Vec<Arc<dyn Sink>>,
    ) -> Self {
        // As in AWS, the first tail in JSON begins with the start of the environment.
        let tail = (format != Format::Text).then(Vec::new);
        let state = State::new(group, tail);
        Self {
            logs,
            stream,
            format,
            sinks,
            state: Mutex::new(state),
        }
    }

    /// Begins an invocation, and keeps the end of its log if the caller wants the tail.
    pub fn begin(&self, tail: bool, request_id: &str, tenant_id: Option<&str>) {
        let mut state = self.lock();
        let goes_on = tail && state.tail.is_some() && !state.has_begun;
        if !goes_on {
            state.tail = tail.then(Vec::new);
        }
        state.has_begun = true;
        if self.format != Format::Text {
            state.invocation = Some(Invocation {
                request_id: request_id.to_owned(),
                tenant_id: tenant_id.map(str::to_owned),
            });
        }
    }

    /// Writes a line, as it is.
    #[cfg(test)]
    pub fn line(&self, text: &str) {
        let mut state = self.lock();
        self.flush_partial(&mut state);
        self.keep(&mut state, text.to_owned());
    }

    /// Writes more about a failure than its event does.
    pub fn failure(&self, text: &str) {
        self.emit(&Event::Fault(Fault {
            request_id: None,
            origin: Origin::Environment,
            error_type: "",
            message: text,
            stack_trace: &[],
        }));
    }

    /// Writes an event in the format of the log, and passes it on to the other sinks.
    pub fn emit(&self, event: &Event<'_>) {
        let mut state = self.lock();
        self.flush_partial(&mut state);
        self.write_event(&mut state, event);
    }

    /// Writes a guest's output.
    pub fn output(&self, stream: Stream, bytes: &[u8]) {
        let now = self.logs.0.clock.now();
        let mut state = self.lock();
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end);
            rest = &after[1..];
            self.guest_line(&mut state, stream, line, now);
        }
        let kept = |state: &State| state.partial[stream as usize].len();
        while kept(&state) + rest.len() >= LINE_BYTES_MAX {
            let (line, after) = rest.split_at(LINE_BYTES_MAX - kept(&state));
            rest = after;
            self.guest_line(&mut state, stream, line, now);
        }
        state.partial[stream as usize].extend_from_slice(rest);
    }

    /// The last bytes of this invocation's log, if [`Self::begin`] was to keep them.
    pub fn tail(&self) -> Bytes {
        let mut tail = self.lock().tail.take().unwrap_or_default();
        let cut = tail.len().saturating_sub(LOG_TAIL_BYTES_MAX);
        tail.drain(..cut).for_each(drop);
        tail.into()
    }

    /// Ends an invocation: its lines become readable.
    pub fn end(&self) {
        let mut state = self.lock();
        self.flush_partial(&mut state);
        self.flush(&mut state);
        state.invocation = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn flush_partial(&self, state: &mut State) {
        for stream in [Stream::Out, Stream::Error] {
            if !state.partial[stream as usize].is_empty() {
                let now = self.logs.0.clock.now();
                self.guest_line(state, stream, b"", now);
            }
        }
        self.report_dropped(state);
    }

    /// A whole line of a guest: its kept beginning, and its end.
    fn guest_line(&self, state: &mut State, stream: Stream, end: &[u8], now: Timestamp) {
        let overhead = match self.format {
            Format::Text => 1,
            Format::Json(_) => OBJECT_OVERHEAD_BYTES,
        };
        let mut line = std::mem::take(&mut state.partial[stream as usize]);
        if !state.may_write(line.len() + end.len() + overhead, now) {
            return;
        }
        line.extend_from_slice(end);
        let line = String::from_utf8(line)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        self.report_dropped(state);
        let line = match self.format {
            Format::Text => Some(line),
            Format::Json(levels) => levels.application(line, now, state.invocation.as_ref()),
        };
        if let Some(line) = line {
            self.keep(state, line);
        }
    }

    /// Reports the lines that were dropped since the last time.
    fn report_dropped(&self, state: &mut State) {
        let (dropped_records, dropped_bytes) = (state.dropped_lines, state.dropped_bytes);
        if dropped_records == 0 {
            return;
        }
        (state.dropped_lines, state.dropped_bytes) = (0, 0);
        let dropped = LogsDropped {
            dropped_bytes,
            dropped_records,
            reason: "more than 1 MiB a second",
        };
        self.write_event(state, &Event::LogsDropped(dropped));
    }

    fn write_event(&self, state: &mut State, event: &Event<'_>) {
        let line = match self.format {
            Format::Text => text::line(event),
            Format::Json(levels) => {
                let now = self.logs.0.clock.now();
                json::line(event, levels, now, state.invocation.as_ref())
            }
        };
        if let Some(line) = line {
            self.keep(state, line);
        }
        for sink in &self.sinks {
            sink.receive(event);
        }
    }

    fn keep(&self, state: &mut State, line: String) {
        let now = self.logs.0.clock.now();
        if let Some(tail) = &mut state.tail {
            tail.extend_from_slice(line.as_bytes());
            tail.push(b'\n');
            if tail.len() > 2 * LOG_TAIL_BYTES_MAX {
                let cut = tail.len() - LOG_TAIL_BYTES_MAX;
                tail.drain(..cut).for_each(drop);
            }
        }
        if state.batch.is_empty() {
            state.batch_since = now.millis();
        }
        state.batch_bytes += line.len() + LINE_OVERHEAD_BYTES;
        state.batch.push((now, line));
        let waited = now.millis().saturating_sub(state.batch_since);
        if state.batch_bytes >= BATCH_BYTES_MAX || waited >= BATCH_MILLIS_MAX {
            self.flush(state);
        }
    }

    fn flush(&self, state: &mut State) {
        state.batch_bytes = 0;
        if state.batch.is_empty() {
            return;
        }
        let bounds = self.logs.0.bounds();
        while !state.group.append(&self.stream, &mut state.batch, bounds) {
            // The group was deleted. As in AWS, a function that goes on logging makes a new one.
            state.group = self.logs.group(state.group.name());
        }
        writer::mark(&self.logs, &state.group);
    }
}

impl State {
    fn new(group: Arc<Group>, tail: Option<Vec<u8>>) -> Self {
        Self {
            group,
            partial: Default::default(),
            batch: Vec::new(),
            batch_bytes: 0,
            batch_since: 0,
            tail,
            invocation: None,
            has_begun: false,
            credit: 0,
            credit_at: None,
            dropped_lines: 0,
            dropped_bytes: 0,
        }
    }

    /// Takes bytes from the guest's credit, which grows with time.
    fn may_write(&mut self, bytes: usize, now: Timestamp) -> bool {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let since = self.credit_at.replace(now.millis());
        let earned = match since {
            None => FLOOD_BURST_BYTES,
            Some(since) => {
                let millis = now.millis().saturating_sub(since);
                millis.saturating_mul(FLOOD_BYTES_PER_SECOND) / 1_000
            }
        };
        self.credit = self.credit.saturating_add(earned).min(FLOOD_BURST_BYTES);
        match self.credit.checked_sub(bytes) {
            Some(rest) => {
                self.credit = rest;
                true
            }
            None => {
                self.dropped_lines += 1;
                self.dropped_bytes += bytes;
                false
            }
        }
    }
}

impl Drop for EnvironmentLog {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for EnvironmentLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvironmentLog")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}
