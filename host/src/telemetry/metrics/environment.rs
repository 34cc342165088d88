//! Gauges of environments by state, fed by their events.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::FunctionMetrics;
use crate::telemetry::event::{Event, InitializationType, Sink, Status};

/// Environments of the host.
#[derive(Debug, Default)]
pub(super) struct Environments {
    pub(super) open: AtomicU64,
    pub(super) busy: AtomicU64,
    pub(super) provisioned: AtomicU64,
}

/// Metrics of one environment. Its events count for its function too.
#[derive(Debug)]
pub struct EnvironmentMetrics {
    function: Arc<FunctionMetrics>,
    all: Arc<Environments>,
    is_open: AtomicBool,
    is_busy: AtomicBool,
    is_provisioned: AtomicBool,
}

impl EnvironmentMetrics {
    pub(super) fn new(function: Arc<FunctionMetrics>, all: Arc<Environments>) -> Self {
        Self {
            function,
            all,
            is_open: AtomicBool::new(false),
            is_busy: AtomicBool::new(false),
            is_provisioned: AtomicBool::new(false),
        }
    }
}

/// Sets a state flag and adjusts the host's gauge.
fn set(state: &AtomicBool, count: &AtomicU64, is_in: bool) {
    if state.swap(is_in, Ordering::Relaxed) != is_in {
        if is_in {
            count.fetch_add(1, Ordering::Relaxed);
        } else {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Sink for EnvironmentMetrics {
    fn receive(&self, event: &Event<'_>) {
        self.function.receive(event);
        match event {
            Event::InitReport(report) if report.end.status == Status::Success => {
                set(&self.is_open, &self.all.open, true);
                let kind = report.end.initialization_type;
                if kind == InitializationType::ProvisionedConcurrency {
                    set(&self.is_provisioned, &self.all.provisioned, true);
                }
            }
            // An invocation whose environment failed to start emits Start without an environment.
            Event::Start(_) if self.is_open.load(Ordering::Relaxed) => {
                set(&self.is_busy, &self.all.busy, true);
            }
            Event::Report(_) => set(&self.is_busy, &self.all.busy, false),
            _ => {}
        }
    }
}

impl Drop for EnvironmentMetrics {
    fn drop(&mut self) {
        set(&self.is_open, &self.all.open, false);
        set(&self.is_busy, &self.all.busy, false);
        set(&self.is_provisioned, &self.all.provisioned, false);
    }
}
