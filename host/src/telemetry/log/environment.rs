//! Log of one execution environment: splits guest output into lines, keeps the log tail of the
//! current invocation, and moves lines to the group in batches. It is on the invoke path, so it
//! takes one short lock and makes no system call.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::format::{Format, Invocation};
use super::group::Group;
use super::{Logs, json, text, writer};
use crate::clock::Timestamp;
use crate::telemetry::event::{Event, Fault, LogsDropped, Origin, Sink};
use crate::units::LOG_TAIL_BYTES_MAX;

/// Limit of a line; longer ones are split.
const LINE_BYTES_MAX: usize = 256 << 10;
/// Limit of lines buffered until the end of the invocation.
const BATCH_BYTES_MAX: usize = 64 << 10;
/// Maximum time that lines stay buffered.
const BATCH_MILLIS_MAX: u64 = 200;
/// Overhead of a line besides its text.
const LINE_OVERHEAD_BYTES: usize = 64;
/// Overhead of a line that becomes a JSON object.
const OBJECT_OVERHEAD_BYTES: usize = 128;
/// Rate limit of guest output, sustained and burst. Excess lines are dropped and counted.
const FLOOD_BYTES_PER_SECOND: u64 = 1 << 20;
const FLOOD_BURST_BYTES: u64 = 4 << 20;

/// Standard streams of a guest. Each is split into lines separately.
#[derive(Clone, Copy, Debug)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Error,
}

/// Log of one execution environment.
pub struct EnvironmentLog {
    logs: Logs,
    stream: Arc<str>,
    format: Format,
    /// Other receivers of platform events.
    sinks: Vec<Arc<dyn Sink>>,
    // std mutex: the sections copy bytes, no await inside.
    state: Mutex<State>,
}

struct State {
    /// Current group. Deletion replaces it on the next flush.
    group: Arc<Group>,
    /// Incomplete lines of standard output and standard error.
    partial: [Vec<u8>; 2],
    batch: Vec<(Timestamp, String)>,
    batch_bytes: usize,
    batch_since: u64,
    tail: Option<Vec<u8>>,
    /// Current invocation; set for JSON logs only, whose lines name it.
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
        // As in AWS, the first JSON tail includes the start of the environment.
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

    /// Starts an invocation, and keeps its log tail on request.
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

    /// Writes a line unchanged.
    #[cfg(test)]
    pub fn line(&self, text: &str) {
        let mut state = self.lock();
        self.flush_partial(&mut state);
        self.keep(&mut state, text.to_owned());
    }

    /// Writes details of a failure beyond its event.
    pub fn failure(&self, text: &str) {
        self.emit(&Event::Fault(Fault {
            request_id: None,
            origin: Origin::Environment,
            error_type: "",
            message: text,
            stack_trace: &[],
        }));
    }

    /// Writes an event in the log's format and forwards it to the other sinks.
    pub fn emit(&self, event: &Event<'_>) {
        let mut state = self.lock();
        self.flush_partial(&mut state);
        self.write_event(&mut state, event);
    }

    /// Writes guest output.
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

    /// Writes an event of the guest, with its line breaks.
    pub fn record(&self, text: &str) {
        let now = self.logs.0.clock.now();
        let mut state = self.lock();
        self.flush_partial(&mut state);
        for part in text.as_bytes().chunks(LINE_BYTES_MAX) {
            self.guest_line(&mut state, Stream::Out, part, now);
        }
    }

    /// Log tail of this invocation, if [`Self::begin`] was asked to keep it.
    pub fn tail(&self) -> Bytes {
        let mut tail = self.lock().tail.take().unwrap_or_default();
        let cut = tail.len().saturating_sub(LOG_TAIL_BYTES_MAX);
        tail.drain(..cut).for_each(drop);
        tail.into()
    }

    /// Ends an invocation and publishes its lines.
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

    /// Writes a complete guest line: the buffered beginning and `end`.
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
        self.sinks.iter().for_each(|sink| sink.line(&line));
        let line = match self.format {
            Format::Text => Some(line),
            Format::Json(levels) => levels.application(line, now, state.invocation.as_ref()),
        };
        if let Some(line) = line {
            self.keep(state, line);
        }
    }

    /// Reports lines dropped since the last report.
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
            // The group was deleted. As in AWS, a function that keeps logging recreates it.
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

    /// Takes bytes from the rate limiter's credit, which grows with time.
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
