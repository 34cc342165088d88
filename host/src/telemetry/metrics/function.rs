//! Metrics of one function, fed by its environments' events.

use super::{Counter, Histogram};
use crate::telemetry::event::{Event, InitializationType, Report, Sink, Status};

/// Metrics of one function.
#[derive(Debug, Default)]
pub struct FunctionMetrics {
    /// Durations of invocations; their count is the number of invocations.
    pub(super) durations: Histogram,
    /// Durations of initializations: on demand, provisioned.
    pub(super) inits: [Histogram; 2],
    /// Failed invocations by kind.
    pub(super) errors: [Counter; 3],
    pub(super) dropped_lines: Counter,
    pub(super) dropped_bytes: Counter,
    pub(super) asynchronous: AsyncMetrics,
}

/// Metrics of a function's asynchronous invocations, under AWS's names.
#[derive(Debug, Default)]
pub struct AsyncMetrics {
    /// Events that were acknowledged.
    pub received: Counter,
    /// Events that ended without success.
    pub dropped: Counter,
    /// Records that a destination did not take, by attempts.
    pub destination_failures: Counter,
    /// Events that a dead-letter queue did not take, by attempts.
    pub dead_letter_errors: Counter,
    /// Events that were dropped because they are in a recursive loop.
    pub recursions: Counter,
    /// Ages of events at the start of their attempts.
    pub age: Histogram,
}

impl AsyncMetrics {
    /// True once an event was counted.
    pub(super) fn is_used(&self) -> bool {
        // A destination may fail long after the event, in another process.
        let counters = [
            &self.received,
            &self.dropped,
            &self.destination_failures,
            &self.dead_letter_errors,
            &self.recursions,
        ];
        counters.iter().any(|it| it.get() > 0) || self.age.count() > 0
    }

    fn absorb(&self, other: &Self) {
        self.received.add(other.received.get());
        self.dropped.add(other.dropped.get());
        self.destination_failures
            .add(other.destination_failures.get());
        self.dead_letter_errors.add(other.dead_letter_errors.get());
        self.recursions.add(other.recursions.get());
        self.age.absorb(&other.age);
    }
}

/// Kind of a function's failure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ErrorKind {
    /// Returned error.
    Handler,
    /// Trap, exit or out of memory.
    Environment,
    /// Timeout.
    Timeout,
}

impl ErrorKind {
    pub(super) const ALL: [Self; 3] = [Self::Handler, Self::Environment, Self::Timeout];

    /// Kind of the failure that a report is of, if it is of one.
    pub(super) fn of(report: &Report<'_>) -> Option<Self> {
        match report.status {
            Status::Success => report.is_function_error.then_some(Self::Handler),
            Status::Error { .. } => Some(Self::Environment),
            Status::Timeout => Some(Self::Timeout),
        }
    }

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Handler => "handler",
            Self::Environment => "environment",
            Self::Timeout => "timeout",
        }
    }
}

/// Names of the types of initialization.
pub(super) const INIT_TYPES: [&str; 2] = ["on-demand", "provisioned-concurrency"];

/// Index of a type of initialization.
pub(super) fn init_index(initialization: InitializationType) -> usize {
    match initialization {
        InitializationType::OnDemand => 0,
        InitializationType::ProvisionedConcurrency => 1,
    }
}

impl FunctionMetrics {
    pub(super) fn invocations(&self) -> u64 {
        self.durations.count()
    }

    pub(super) fn absorb(&self, other: &Self) {
        self.durations.absorb(&other.durations);
        for (own, others) in self.inits.iter().zip(&other.inits) {
            own.absorb(others);
        }
        for (own, others) in self.errors.iter().zip(&other.errors) {
            own.add(others.get());
        }
        self.dropped_lines.add(other.dropped_lines.get());
        self.dropped_bytes.add(other.dropped_bytes.get());
        self.asynchronous.absorb(&other.asynchronous);
    }
}

impl Sink for FunctionMetrics {
    fn receive(&self, event: &Event<'_>) {
        match event {
            Event::Report(report) => {
                self.durations.observe(report.metrics.duration);
                if let Some(kind) = ErrorKind::of(report) {
                    self.errors[kind as usize].add(1);
                }
            }
            Event::InitReport(report) => {
                self.inits[init_index(report.end.initialization_type)]
                    .observe(report.metrics.duration);
            }
            Event::LogsDropped(dropped) => {
                self.dropped_lines.add(dropped.dropped_records);
                self.dropped_bytes.add(dropped.dropped_bytes);
            }
            Event::InitStart(_)
            | Event::InitRuntimeDone(_)
            | Event::Start(_)
            | Event::Fault(_)
            | Event::RuntimeDone(_)
            | Event::Extension(_) => {}
        }
    }
}
