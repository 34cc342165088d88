//! Metrics page in Prometheus's text format (version 0.0.4).

use std::fmt::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, NoLabelSet, prometheus_text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::function::{ErrorKind, INIT_TYPES};
use super::{AsyncMetrics, FUNCTIONS_MAX, Fault, FunctionMetrics, Histogram, Metrics, Throttle};

mod qualified;

/// Label of functions without their own series. The space keeps it distinct from any function name.
const OTHERS: &str = "all others";

/// Gauges of the invoke pipeline.
#[derive(Clone, Debug, Default)]
pub struct Gauges {
    /// Permits in use.
    pub permits_in_use: u64,
    /// Limit of permits.
    pub permits_max: u64,
    /// Permits in use of unreserved concurrency.
    pub unreserved_in_use: u64,
    /// Provisioned concurrency by function and qualifier.
    pub provisioned: Vec<ProvisionedGauge>,
    /// Memory of all environments.
    pub memory: Budget,
    /// Scratch space of all environments.
    pub scratch: Budget,
    /// Evictions of environments by reason.
    pub evictions: Vec<(&'static str, u64)>,
    /// Steps of deployments.
    pub queues: [Queue; 3],
    /// Queued events by function.
    pub events: Vec<(String, u64)>,
    /// Queued events that run.
    pub events_in_flight: u64,
}

/// Provisioned concurrency of a version or alias.
#[derive(Clone, Debug)]
pub struct ProvisionedGauge {
    /// Function name.
    pub function: String,
    /// Version or alias.
    pub qualifier: String,
    /// Environments asked for.
    pub requested: u64,
    /// Invocations that run on them.
    pub in_use: u64,
}

/// Numbers of a budget.
#[derive(Clone, Copy, Debug, Default)]
pub struct Budget {
    /// Bytes that environments hold or are admitted with.
    pub taken: u64,
    /// Bound on them.
    pub bytes_max: u64,
    /// Growths of guests that were refused.
    pub refusals: u64,
}

/// Steps of deployments of one kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Queue {
    /// Name of the step.
    pub step: &'static str,
    /// Steps under way.
    pub running: u64,
    /// Steps that wait for those.
    pub waiting: u64,
}

type NamedMetrics = (Arc<str>, Arc<FunctionMetrics>);

#[derive(Debug)]
struct Page {
    metrics: Metrics,
    functions: Vec<NamedMetrics>,
    qualified: qualified::Qualified,
    gauges: Gauges,
}

impl Metrics {
    /// Content type of the page.
    pub const CONTENT_TYPE: &'static str = prometheus_text::CONTENT_TYPE;

    /// Renders the page.
    pub fn page(&self, gauges: Gauges) -> String {
        let functions = self.functions();
        let mut functions: Vec<NamedMetrics> = functions
            .iter()
            .map(|(name, it)| (Arc::clone(name), Arc::clone(it)))
            .collect();
        functions.sort_by(|a, b| a.0.cmp(&b.0));
        functions.push((OTHERS.into(), Arc::clone(&self.0.others)));
        let mut registry = Registry::with_prefix("lamina");
        registry.register_collector(Box::new(Page {
            metrics: self.clone(),
            functions,
            qualified: qualified::all(&self.0.qualified),
            gauges,
        }));
        let mut text = String::new();
        prometheus_text::encode(&mut text, &registry).expect("strings take what is written");
        text
    }
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let encoder = &mut encoder;
        self.encode_functions(encoder)?;
        self.encode_qualified(encoder)?;
        self.encode_host(encoder)?;
        self.encode_gauges(encoder)?;
        self.encode_budgets(encoder)?;
        self.encode_events(encoder)
    }
}

impl Page {
    fn encode_functions(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let by = |value: fn(&FunctionMetrics) -> u64| {
            let functions = self.functions.iter();
            functions.map(move |(name, it)| ([("function", &**name)], value(it)))
        };
        let help = "Invocations that reached a function";
        counters(
            encoder,
            "invocations",
            help,
            by(FunctionMetrics::invocations),
        )?;
        let errors = self.functions.iter().flat_map(|(name, it)| {
            let kinds = ErrorKind::ALL.into_iter();
            kinds.map(|kind| {
                let labels = [("function", &**name), ("kind", kind.label())];
                (labels, it.errors[kind as usize].get())
            })
        });
        let help = "Invocations that ended in an error of the function";
        counters(encoder, "function_errors", help, errors)?;
        let help = "Durations of invocations";
        let durations = self.functions.iter();
        let durations = durations.map(|(name, it)| ([("function", &**name)], &it.durations));
        histograms(encoder, "invocation_duration", help, durations)?;
        let help = "Durations of initializations";
        let inits = self.functions.iter().flat_map(|(name, it)| {
            let types = INIT_TYPES.into_iter();
            let types = types.zip(&it.inits);
            types.map(|(kind, init)| ([("function", &**name), ("type", kind)], init))
        });
        histograms(encoder, "init_duration", help, inits)?;
        let help = "Log lines that were dropped because a function wrote too many";
        counters(
            encoder,
            "log_dropped_lines",
            help,
            by(|it| it.dropped_lines.get()),
        )?;
        let help = "Bytes of log lines that were dropped";
        counters(
            encoder,
            "log_dropped_bytes",
            help,
            by(|it| it.dropped_bytes.get()),
        )
    }

    fn encode_host(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let counts = &self.metrics.0;
        let throttles = Throttle::ALL.into_iter();
        let throttles = throttles.map(|it| {
            (
                [("reason", it.label())],
                counts.throttles[it as usize].get(),
            )
        });
        let help = "Invocations that a limit turned away";
        counters(encoder, "throttles", help, throttles)?;
        let faults = Fault::ALL.into_iter();
        let faults = faults.map(|it| ([("fault", it.label())], counts.faults[it as usize].get()));
        let help = "Invocations that did not reach a function for another reason";
        counters(encoder, "invocation_failures", help, faults)?;
        let help = "Durations of commits to the store";
        let commits = [(NO_LABELS, &*counts.store_commits)];
        histograms(encoder, "store_commit_duration", help, commits)
    }

    fn encode_gauges(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let now = &self.gauges;
        let all = &self.metrics.0.environments;
        let [open, busy, provisioned] = [&all.open, &all.busy, &all.provisioned];
        let [open, busy, provisioned] =
            [open, busy, provisioned].map(|it| it.load(Ordering::Relaxed));
        // Saturating: the two loads are not atomic together.
        let idle = open.saturating_sub(busy);
        let states = [([("state", "busy")], busy), ([("state", "idle")], idle)];
        gauges(encoder, "environments", "Environments by state", states)?;
        let provisioned = [(NO_LABELS, provisioned)];
        let help = "Environments of provisioned concurrency, busy or idle";
        gauges(encoder, "environments_provisioned", help, provisioned)?;
        let permits = [(NO_LABELS, now.permits_in_use)];
        gauges(encoder, "permits_in_use", "Invocations that run", permits)?;
        let help = "UnreservedConcurrentExecutions: invocations of functions without a reserve";
        let unreserved = [(NO_LABELS, now.unreserved_in_use)];
        gauges(
            encoder,
            "unreserved_concurrent_executions",
            help,
            unreserved,
        )?;
        let bound = [(NO_LABELS, now.permits_max)];
        gauges(
            encoder,
            "permits_limit",
            "Bound on invocations that run",
            bound,
        )?;
        let steps = now.queues.iter().flat_map(|it| {
            let states = [("running", it.running), ("waiting", it.waiting)];
            states.map(|(state, count)| ([("step", it.step), ("state", state)], count))
        });
        let help = "Steps of deployments by state";
        gauges(encoder, "deployment_steps", help, steps)
    }
}

impl Page {
    fn encode_budgets(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let budgets = [
            ("memory", self.gauges.memory),
            ("scratch", self.gauges.scratch),
        ];
        let by = |value: fn(Budget) -> u64| {
            budgets.map(|(name, budget)| ([("resource", name)], value(budget)))
        };
        let help = "Bytes of the host that environments hold or are admitted with";
        gauges(encoder, "guest_bytes", help, by(|it| it.taken))?;
        let help = "Bound on the bytes of all environments";
        gauges(encoder, "guest_bytes_limit", help, by(|it| it.bytes_max))?;
        let help = "Growths of guests that the bound refused";
        counters(encoder, "refused_growths", help, by(|it| it.refusals))?;
        let evictions = self.gauges.evictions.iter();
        let evictions = evictions.map(|(reason, count)| ([("reason", *reason)], *count));
        let help = "Idle environments that were evicted";
        counters(encoder, "evictions", help, evictions)
    }
}

impl Page {
    /// Asynchronous invocation. Functions that never had an event have no series.
    fn encode_events(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let used = || {
            let functions = self.functions.iter();
            functions.filter(|(_, it)| it.asynchronous.is_used())
        };
        let by = |value: fn(&AsyncMetrics) -> u64| {
            used().map(move |(name, it)| ([("function", &**name)], value(&it.asynchronous)))
        };
        let help = "AsyncEventsReceived: events that were queued";
        let received = by(|it| it.received.get());
        counters(encoder, "async_events_received", help, received)?;
        let help = "AsyncEventsDropped: events that ended without success";
        let dropped = by(|it| it.dropped.get());
        counters(encoder, "async_events_dropped", help, dropped)?;
        let help = "DestinationDeliveryFailures: attempts to deliver a record that failed";
        let failures = by(|it| it.destination_failures.get());
        counters(encoder, "destination_delivery_failures", help, failures)?;
        let help = "DeadLetterErrors: attempts to send an event to a dead-letter queue that failed";
        let errors = by(|it| it.dead_letter_errors.get());
        counters(encoder, "dead_letter_errors", help, errors)?;
        let help = "RecursiveInvocationsDropped: events in a recursive loop";
        let loops = by(|it| it.recursions.get());
        counters(encoder, "recursive_invocations_dropped", help, loops)?;
        let help = "AsyncEventAge: ages of events when an attempt to run them began";
        let ages = used().map(|(name, it)| ([("function", &**name)], &it.asynchronous.age));
        histograms(encoder, "async_event_age", help, ages)?;
        let help = "Events in the queue, by function";
        gauges(encoder, "async_events_queued", help, self.depths())?;
        let running = [(NO_LABELS, self.gauges.events_in_flight)];
        gauges(encoder, "async_events_running", "Events that run", running)
    }

    /// Depths of the longest queues, and of all others together.
    fn depths(&self) -> Vec<([(&str, &str); 1], u64)> {
        let mut depths: Vec<_> = self.gauges.events.iter().collect();
        depths.sort_by_key(|(_, depth)| std::cmp::Reverse(*depth));
        let (longest, others) = depths.split_at(depths.len().min(FUNCTIONS_MAX));
        let longest = longest.iter();
        let longest = longest.map(|(name, depth)| ([("function", &**name)], *depth));
        let others: u64 = others.iter().map(|(_, depth)| depth).sum();
        longest.chain([([("function", OTHERS)], others)]).collect()
    }
}

const NO_LABELS: [(&str, &str); 0] = [];

fn counters<S: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (S, u64)>,
) -> Result<(), Error> {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in values {
        let mut family = metric.encode_family(&labels)?;
        family.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
    }
    Ok(())
}

fn gauges<S: EncodeLabelSet, V: EncodeGaugeValue>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (S, V)>,
) -> Result<(), Error> {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in values {
        metric.encode_family(&labels)?.encode_gauge(&value)?;
    }
    Ok(())
}

fn histograms<'a, S: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (S, &'a Histogram)>,
) -> Result<(), Error> {
    let unit = Some(&Unit::Seconds);
    let mut metric = encoder.encode_descriptor(name, help, unit, MetricType::Histogram)?;
    for (labels, histogram) in values {
        let now = histogram.snapshot();
        let mut family = metric.encode_family(&labels)?;
        family.encode_histogram::<NoLabelSet>(now.sum_seconds, now.count, &now.buckets, None)?;
    }
    Ok(())
}
