//! Series of functions by qualifier, each with AWS's name of the metric in its help.

use std::fmt::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use prometheus_client::encoding::DescriptorEncoder;

use super::{OTHERS, Page, ProvisionedGauge, counters, gauges, histograms};
use crate::telemetry::metrics::QualifiedMetrics;
use crate::telemetry::metrics::qualified::{AllQualified, Name};

/// Metrics of all pairs of function and qualifier.
pub(super) type Qualified = Vec<(Name, Arc<QualifiedMetrics>)>;

/// All pairs, and the others if there are any.
pub(super) fn all(metrics: &AllQualified) -> Qualified {
    let mut all = metrics.sorted();
    let others = &metrics.others;
    if others.durations.count() > 0 || Arc::strong_count(others) > 1 {
        all.push(((OTHERS.into(), OTHERS.into()), Arc::clone(others)));
    }
    all
}

impl Page {
    pub(super) fn encode_qualified(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
    ) -> Result<(), Error> {
        let by = |value: fn(&QualifiedMetrics) -> u64| {
            let all = self.qualified.iter();
            all.map(move |(name, it)| (labels(name), value(it)))
        };
        let help = "ConcurrentExecutions: invocations in progress, by qualifier";
        let running = by(|it| it.concurrent.load(Ordering::Relaxed));
        gauges(encoder, "concurrent_executions", help, running)?;
        let help = "Invocations by qualifier";
        let invocations = by(|it| it.durations.count());
        counters(encoder, "qualified_invocations", help, invocations)?;
        let help = "Errors by qualifier";
        counters(encoder, "qualified_errors", help, by(|it| it.errors.get()))?;
        let help = "Throttles by qualifier";
        let throttles = by(|it| it.throttles.get());
        counters(encoder, "qualified_throttles", help, throttles)?;
        let help = "Duration by qualifier";
        let durations = self.qualified.iter();
        let durations = durations.map(|(name, it)| (labels(name), &it.durations));
        histograms(encoder, "qualified_duration", help, durations)?;
        let help = "InitDuration by qualifier";
        let inits = self.qualified.iter();
        let inits = inits.map(|(name, it)| (labels(name), &it.inits));
        histograms(encoder, "qualified_init_duration", help, inits)?;
        let help = "ProvisionedConcurrencyInvocations by qualifier";
        let provisioned = by(|it| it.provisioned.get());
        counters(
            encoder,
            "provisioned_concurrency_invocations",
            help,
            provisioned,
        )?;
        let help = "ProvisionedConcurrencySpilloverInvocations by qualifier";
        let spillover = by(|it| it.spillover.get());
        counters(
            encoder,
            "provisioned_concurrency_spillover_invocations",
            help,
            spillover,
        )?;
        self.encode_provisioned(encoder)
    }

    fn encode_provisioned(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let all = || self.gauges.provisioned.iter();
        let labels = |it: &'_ ProvisionedGauge| {
            [
                ("function", it.function.clone()),
                ("qualifier", it.qualifier.clone()),
            ]
        };
        let help = "Requested provisioned concurrency by qualifier";
        let requested = all().map(|it| (labels(it), it.requested));
        gauges(encoder, "provisioned_concurrency", help, requested)?;
        let help = "ProvisionedConcurrentExecutions: invocations on provisioned environments, by qualifier";
        let in_use = all().map(|it| (labels(it), it.in_use));
        gauges(encoder, "provisioned_concurrent_executions", help, in_use)?;
        let help = "ProvisionedConcurrencyUtilization by qualifier: 1 is all";
        let shares = all().map(|it| {
            let share = f64::from(u32::try_from(it.in_use).unwrap_or(u32::MAX))
                / f64::from(u32::try_from(it.requested).unwrap_or(u32::MAX).max(1));
            (labels(it), share)
        });
        gauges(encoder, "provisioned_concurrency_utilization", help, shares)
    }
}

fn labels((function, qualifier): &Name) -> [(&str, &str); 2] {
    [("function", &**function), ("qualifier", &**qualifier)]
}
