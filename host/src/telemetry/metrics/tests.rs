//! Counters and the metrics page.

use std::time::Duration;

use super::*;
use crate::telemetry::event::{
    Event, InitEnd, InitMetrics, InitReport, InitializationType, LogsDropped, Phase, Report, Sink,
    Start, Status,
};

fn report(millis: u64, status: Status<'_>, is_function_error: bool) -> Event<'_> {
    Event::Report(Report {
        request_id: "id",
        metrics: crate::telemetry::event::Metrics {
            duration: Duration::from_millis(millis),
            billed_duration_ms: millis,
            memory_size_mb: 128,
            max_memory_used_mb: 1,
            init_duration: None,
            response_latency: None,
            streamed_bytes: None,
        },
        status,
        tenant_id: None,
        is_function_error,
    })
}

/// Value of a series on the page.
fn value(page: &str, series: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(series));
    let value = line.unwrap_or_else(|| panic!("{series} in {page}"));
    value.trim().parse().expect("a number")
}

#[test]
fn events_of_a_function_are_counted() {
    let metrics = Metrics::default();
    let function = metrics.function("f");
    function.receive(&report(1, Status::Success, false));
    function.receive(&report(2, Status::Success, true));
    function.receive(&report(3_000, Status::Timeout, false));
    let error_type = "Runtime.ExitError";
    function.receive(&report(4, Status::Error { error_type }, false));
    let end = InitEnd {
        initialization_type: InitializationType::ProvisionedConcurrency,
        phase: Phase::Init,
        status: Status::Success,
    };
    let duration = Duration::from_micros(70);
    let metrics_of_init = InitMetrics { duration };
    function.receive(&Event::InitReport(InitReport {
        end,
        metrics: metrics_of_init,
    }));
    function.receive(&Event::LogsDropped(LogsDropped {
        dropped_bytes: 700,
        dropped_records: 7,
        reason: "",
    }));
    let page = metrics.page(Gauges::default());
    let f = |name: &str, labels: &str| {
        value(&page, &format!("lamina_{name}{{function=\"f\"{labels}}}"))
    };
    assert_eq!(f("invocations_total", ""), 4.0);
    for kind in ["handler", "environment", "timeout"] {
        assert_eq!(
            f("function_errors_total", &format!(",kind=\"{kind}\"")),
            1.0
        );
    }
    assert_eq!(f("log_dropped_lines_total", ""), 7.0);
    assert_eq!(f("log_dropped_bytes_total", ""), 700.0);
    assert_eq!(f("invocation_duration_seconds_count", ""), 4.0);
    assert_eq!(f("invocation_duration_seconds_sum", ""), 3.007);
    let provisioned = ",type=\"provisioned-concurrency\"";
    assert_eq!(f("init_duration_seconds_count", provisioned), 1.0);
    assert_eq!(f("init_duration_seconds_count", ",type=\"on-demand\""), 0.0);
}

#[test]
fn duration_counts_in_first_fitting_bucket() {
    let histogram = Histogram::default();
    for micros in [0, 50, 51, 100, 2_000_000_000] {
        histogram.observe(Duration::from_micros(micros));
    }
    let now = histogram.snapshot();
    assert_eq!(now.buckets[0], (0.00005, 2));
    assert_eq!(now.buckets[1], (0.0001, 2));
    assert_eq!(now.buckets[17], (f64::INFINITY, 1));
    assert_eq!(now.count, 5);
}

#[test]
fn functions_beyond_limit_share_one_series() {
    let metrics = Metrics::default();
    let held: Vec<_> = (0..FUNCTIONS_MAX + 10)
        .map(|n| metrics.function(&format!("f{n}")))
        .collect();
    for function in &held {
        function.receive(&report(1, Status::Success, false));
    }
    let page = metrics.page(Gauges::default());
    let series = page
        .lines()
        .filter(|line| line.starts_with("lamina_invocations_total{"))
        .count();
    assert_eq!(series, FUNCTIONS_MAX + 1);
    let others = "lamina_invocations_total{function=\"all others\"}";
    assert_eq!(value(&page, others), 10.0);
    // A function without environments is displaced; its totals stay.
    drop(held);
    metrics.function("new");
    let page = metrics.page(Gauges::default());
    assert_eq!(value(&page, others), 11.0);
    assert_eq!(
        value(&page, "lamina_invocations_total{function=\"new\"}"),
        0.0
    );
}

#[test]
fn environments_are_counted_by_state_until_they_are_dropped() {
    let metrics = Metrics::default();
    let state = |state: &str| {
        let page = metrics.page(Gauges::default());
        value(&page, &format!("lamina_environments{{state=\"{state}\"}}"))
    };
    let environment = metrics.environment("f");
    let init = |status| {
        let end = InitEnd {
            initialization_type: InitializationType::OnDemand,
            phase: Phase::Init,
            status,
        };
        let metrics = InitMetrics {
            duration: Duration::ZERO,
        };
        Event::InitReport(InitReport { end, metrics })
    };
    let start = Event::Start(Start {
        request_id: "id",
        function_arn: "arn",
        version: "1",
        tenant_id: None,
    });
    environment.receive(&init(Status::Timeout));
    environment.receive(&start);
    assert_eq!((state("busy"), state("idle")), (0.0, 0.0));
    environment.receive(&init(Status::Success));
    assert_eq!((state("busy"), state("idle")), (0.0, 1.0));
    environment.receive(&start);
    assert_eq!((state("busy"), state("idle")), (1.0, 0.0));
    environment.receive(&report(1, Status::Success, false));
    assert_eq!((state("busy"), state("idle")), (0.0, 1.0));
    environment.receive(&start);
    drop(environment);
    assert_eq!((state("busy"), state("idle")), (0.0, 0.0));
}

#[test]
fn throttles_and_failures_are_counted_by_reason() {
    let metrics = Metrics::default();
    metrics.throttled(Throttle::Reserved);
    metrics.throttled(Throttle::Account);
    metrics.throttled(Throttle::Account);
    metrics.failed(Fault::Host);
    let page = metrics.page(Gauges::default());
    assert_eq!(
        value(&page, "lamina_throttles_total{reason=\"reserved\"}"),
        1.0
    );
    assert_eq!(
        value(&page, "lamina_throttles_total{reason=\"account\"}"),
        2.0
    );
    assert_eq!(
        value(&page, "lamina_throttles_total{reason=\"environments\"}"),
        0.0
    );
    assert_eq!(
        value(&page, "lamina_invocation_failures_total{fault=\"host\"}"),
        1.0
    );
    assert_eq!(
        value(&page, "lamina_invocation_failures_total{fault=\"caller\"}"),
        0.0
    );
}

#[test]
fn qualifiers_of_a_function_are_counted_apart() {
    let metrics = Metrics::default();
    let (latest, live) = (
        metrics.qualified("f", "$LATEST"),
        metrics.qualified("f", "live"),
    );
    let end = Ended {
        duration: Duration::from_millis(2),
        init: Some(Duration::from_millis(3)),
        is_error: true,
        is_provisioned: Some(false),
    };
    let running = Counted::begin(&live);
    Counted::begin(&live).ended(end);
    running.ended(Ended {
        init: None,
        is_error: false,
        is_provisioned: Some(true),
        ..end
    });
    latest.throttled();
    let page = metrics.page(Gauges::default());
    let of = |name: &str, qualifier: &str| {
        let series = format!("lamina_{name}{{function=\"f\",qualifier=\"{qualifier}\"}}");
        value(&page, &series)
    };
    for (name, expected) in [
        ("concurrent_executions", [0.0, 1.0]),
        ("qualified_invocations_total", [0.0, 2.0]),
        ("qualified_errors_total", [0.0, 1.0]),
        ("qualified_throttles_total", [1.0, 0.0]),
        ("qualified_duration_seconds_sum", [0.0, 0.004]),
        ("qualified_init_duration_seconds_count", [0.0, 1.0]),
        ("provisioned_concurrency_invocations_total", [0.0, 1.0]),
        (
            "provisioned_concurrency_spillover_invocations_total",
            [0.0, 1.0],
        ),
    ] {
        assert_eq!([of(name, "$LATEST"), of(name, "live")], expected, "{name}");
    }
    drop(running);
    let page = metrics.page(Gauges::default());
    let series = "lamina_concurrent_executions{function=\"f\",qualifier=\"live\"}";
    assert_eq!(value(&page, series), 0.0);
}

#[test]
fn qualifiers_beyond_limit_share_one_series() {
    let metrics = Metrics::default();
    let kept: Vec<_> = (0..qualified::QUALIFIED_MAX)
        .map(|n| metrics.qualified("f", &n.to_string()))
        .collect();
    let end = Ended {
        duration: Duration::ZERO,
        init: None,
        is_error: false,
        is_provisioned: None,
    };
    Counted::begin(&metrics.qualified("f", "more")).ended(end);
    let others = "{function=\"all others\",qualifier=\"all others\"}";
    let total = format!("lamina_qualified_invocations_total{others}");
    assert_eq!(value(&metrics.page(Gauges::default()), &total), 1.0);
    // One that nothing uses any more makes way, and its counts stay.
    Counted::begin(&kept[0]).ended(end);
    drop(kept);
    Counted::begin(&metrics.qualified("f", "newest")).ended(end);
    let page = metrics.page(Gauges::default());
    let newest = "lamina_qualified_invocations_total{function=\"f\",qualifier=\"newest\"}";
    assert_eq!(value(&page, newest), 1.0);
    assert!(
        page.lines()
            .filter(|it| it.starts_with("lamina_qualified_errors_total{"))
            .count()
            <= 257
    );
}
