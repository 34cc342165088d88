//! Facade with a recorder that keeps sums.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use ::metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

use super::*;
use crate::telemetry::event::{self, Report, Status};

#[derive(Clone, Debug, Default)]
struct Sums(Arc<Mutex<BTreeMap<String, f64>>>);

#[derive(Debug)]
struct Sum(Sums, String);

impl Sum {
    fn change(&self, change: impl FnOnce(&mut f64)) {
        change(self.0.0.lock().unwrap().entry(self.1.clone()).or_default());
    }
}

impl CounterFn for Sum {
    fn increment(&self, value: u64) {
        self.change(|sum| *sum += float(value));
    }

    fn absolute(&self, value: u64) {
        self.change(|sum| *sum = float(value));
    }
}

impl GaugeFn for Sum {
    fn increment(&self, value: f64) {
        self.change(|sum| *sum += value);
    }

    fn decrement(&self, value: f64) {
        self.change(|sum| *sum -= value);
    }

    fn set(&self, value: f64) {
        self.change(|sum| *sum = value);
    }
}

impl HistogramFn for Sum {
    fn record(&self, value: f64) {
        self.change(|sum| *sum += value);
    }
}

impl Sums {
    fn of(&self, key: &Key) -> Arc<Sum> {
        let labels = key
            .labels()
            .map(|it| format!(" {}={}", it.key(), it.value()));
        let name = format!("{}{}", key.name(), labels.collect::<String>());
        Arc::new(Sum(self.clone(), name))
    }
}

impl Recorder for Sums {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.of(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.of(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.of(key))
    }
}

fn report(status: Status<'static>) -> Event<'static> {
    Event::Report(Report {
        request_id: "1",
        metrics: event::Metrics {
            duration: Duration::from_millis(500),
            billed_duration_ms: 500,
            memory_size_mb: 128,
            max_memory_used_mb: 2,
            init_duration: None,
            response_latency: None,
            streamed_bytes: None,
        },
        status,
        tenant_id: None,
        is_function_error: false,
    })
}

#[test]
fn invocations_and_limits_reach_the_recorder() {
    let sums = Sums::default();
    ::metrics::with_local_recorder(&sums, || {
        let sink = Facade.environment(Source {
            function_name: "f".into(),
            function_version: "1".into(),
            instance_id: "i".into(),
        });
        sink.receive(&report(Status::Success));
        sink.receive(&report(Status::Timeout));
        let host = Metrics::default();
        host.throttled(Throttle::Account);
        host.throttled(Throttle::Account);
        let gauges = Gauges {
            permits_max: 10,
            ..Gauges::default()
        };
        // Absolute: exported twice, counted once.
        host.export(&gauges);
        host.export(&gauges);
    });
    let found = sums.0.lock().unwrap();
    for (name, expected) in [
        ("lamina_invocations_total function=f", 2.0),
        ("lamina_function_errors_total function=f kind=timeout", 1.0),
        ("lamina_invocation_duration_seconds function=f", 1.0),
        ("lamina_throttles_total reason=account", 2.0),
        ("lamina_permits_limit", 10.0),
    ] {
        assert!((found[name] - expected).abs() < 1e-9, "{name}: {found:?}");
    }
}
