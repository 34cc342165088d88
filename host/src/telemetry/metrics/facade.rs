//! Metrics for the `metrics` facade, under the names of the metrics page: an embedder's recorder gets them.
//!
//! Invocations are recorded as they end. Counters and gauges of the host are set now and then, so that nothing is added to
//! the paths that count them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ::metrics::{counter, gauge, histogram};

use super::function::{ErrorKind, INIT_TYPES, init_index};
use super::{Fault, Gauges, Metrics, Throttle};
use crate::telemetry::event::{Event, Sink};
use crate::telemetry::observer::{Observe, Source};

#[cfg(test)]
mod tests;

/// Maker of environments' metrics. Their recorder is the one in force when they open.
#[derive(Debug)]
pub struct Facade;

/// Metrics of a function's environment, looked up once.
struct Recorded {
    invocations: ::metrics::Counter,
    errors: [::metrics::Counter; 3],
    duration: ::metrics::Histogram,
    inits: [::metrics::Histogram; 2],
}

impl Observe for Facade {
    fn environment(&self, source: Source) -> Arc<dyn Sink> {
        let function = || source.function_name.to_string();
        Arc::new(Recorded {
            invocations: counter!("lamina_invocations_total", "function" => function()),
            errors: ErrorKind::ALL.map(|kind| {
                let name = "lamina_function_errors_total";
                counter!(name, "function" => function(), "kind" => kind.label())
            }),
            duration: histogram!("lamina_invocation_duration_seconds", "function" => function()),
            inits: INIT_TYPES.map(|kind| {
                histogram!("lamina_init_duration_seconds", "function" => function(), "type" => kind)
            }),
        })
    }
}

impl Sink for Recorded {
    fn receive(&self, event: &Event<'_>) {
        match event {
            Event::Report(report) => {
                self.invocations.increment(1);
                self.duration.record(report.metrics.duration);
                if let Some(kind) = ErrorKind::of(report) {
                    self.errors[kind as usize].increment(1);
                }
            }
            Event::InitReport(report) => {
                let init = &self.inits[init_index(report.end.initialization_type)];
                init.record(report.metrics.duration);
            }
            _ => {}
        }
    }
}

impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorded")
    }
}

impl Metrics {
    /// Sets the host's counters and gauges.
    pub fn export(&self, gauges: &Gauges) {
        for it in Throttle::ALL {
            let count = self.0.throttles[it as usize].get();
            counter!("lamina_throttles_total", "reason" => it.label()).absolute(count);
        }
        for it in Fault::ALL {
            let count = self.0.faults[it as usize].get();
            counter!("lamina_invocation_failures_total", "fault" => it.label()).absolute(count);
        }
        let all = &self.0.environments;
        let (open, busy) = (&all.open, &all.busy);
        let [open, busy] = [open, busy].map(|it| it.load(Ordering::Relaxed));
        set("lamina_environments", ("state", "busy"), busy);
        // Saturating: the two loads are not atomic together.
        let idle = open.saturating_sub(busy);
        set("lamina_environments", ("state", "idle"), idle);
        let budgets = [("memory", gauges.memory), ("scratch", gauges.scratch)];
        for (resource, budget) in budgets {
            set("lamina_guest_bytes", ("resource", resource), budget.taken);
            let bound = budget.bytes_max;
            set("lamina_guest_bytes_limit", ("resource", resource), bound);
        }
        gauge!("lamina_permits_in_use").set(float(gauges.permits_in_use));
        gauge!("lamina_permits_limit").set(float(gauges.permits_max));
    }
}

fn set(name: &'static str, (label, value): (&'static str, &'static str), count: u64) {
    gauge!(name, label => value).set(float(count));
}

#[expect(
    clippy::cast_precision_loss,
    reason = "gauges of the facade are floats"
)]
fn float(count: u64) -> f64 {
    count as f64
}
