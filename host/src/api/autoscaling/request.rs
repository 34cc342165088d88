//! Members of requests, and what is refused of them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::api::aws_json::Fault;
use crate::clock::Timestamp;
use crate::control::autoscaling::{ActionChoice, Registration, Statistic, TargetTracking};
use crate::invoke::Target;
use crate::names::{FunctionName, Qualifier};

/// Name of the only metric that this host has.
const METRIC: &str = "ProvisionedConcurrencyUtilization";
/// Name of it as a predefined metric.
pub(super) const PREDEFINED: &str = "LambdaProvisionedConcurrencyUtilization";
pub(super) const DIMENSION: &str = "lambda:function:ProvisionedConcurrency";

/// All members of all operations; each reads its own.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Request {
    pub(super) service_namespace: Option<String>,
    pub(super) scalable_dimension: Option<String>,
    pub(super) resource_id: Option<String>,
    pub(super) resource_ids: Vec<String>,
    min_capacity: Option<i64>,
    max_capacity: Option<i64>,
    #[serde(rename = "RoleARN")]
    role_arn: Option<String>,
    suspended_state: SuspendedState,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) tag_keys: Vec<String>,
    #[serde(rename = "ResourceARN")]
    pub(super) resource_arn: Option<String>,
    pub(super) policy_name: Option<String>,
    pub(super) policy_names: Vec<String>,
    policy_type: Option<String>,
    step_scaling_policy_configuration: Option<Value>,
    predictive_scaling_policy_configuration: Option<Value>,
    target_tracking_scaling_policy_configuration: Option<Tracking>,
    pub(super) scheduled_action_name: Option<String>,
    pub(super) scheduled_action_names: Vec<String>,
    schedule: Option<String>,
    timezone: Option<String>,
    start_time: Option<f64>,
    end_time: Option<f64>,
    scalable_target_action: Option<Bounds>,
    pub(super) max_results: Option<i64>,
    pub(super) next_token: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct SuspendedState {
    dynamic_scaling_in_suspended: Option<bool>,
    dynamic_scaling_out_suspended: Option<bool>,
    scheduled_scaling_suspended: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Bounds {
    min_capacity: Option<i64>,
    max_capacity: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Tracking {
    target_value: Option<f64>,
    predefined_metric_specification: Option<Predefined>,
    customized_metric_specification: Option<Customized>,
    scale_out_cooldown: Option<i64>,
    scale_in_cooldown: Option<i64>,
    disable_scale_in: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Predefined {
    predefined_metric_type: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Customized {
    metric_name: Option<String>,
    namespace: Option<String>,
    statistic: Option<String>,
    metrics: Option<Value>,
}

pub(super) fn invalid(text: impl Into<String>) -> Fault {
    Fault::new("ValidationException", text)
}

/// Requires a member.
pub(super) fn required<'a>(member: &str, value: Option<&'a String>) -> Result<&'a str, Fault> {
    let missing = || {
        invalid(format!(
            "1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be \
             null"
        ))
    };
    let value = value.ok_or_else(missing)?;
    match value.chars().count() {
        1..=1_600 => Ok(value),
        _ => Err(invalid(format!(
            "1 validation error detected: Value at '{member}' failed to satisfy constraint: Member must have length \
             between 1 and 1600"
        ))),
    }
}

impl Request {
    /// Refuses other services than Lambda, and requires the dimension where a target is named.
    pub(super) fn require_lambda(&self, needs_dimension: bool) -> Result<(), Fault> {
        let namespace = required("serviceNamespace", self.service_namespace.as_ref())?;
        let dimension = match (&self.scalable_dimension, needs_dimension) {
            (None, false) => DIMENSION,
            (given, _) => required("scalableDimension", given.as_ref())?,
        };
        if namespace == "lambda" && dimension == DIMENSION {
            return Ok(());
        }
        Err(invalid(
            "Unsupported service namespace, resource type or scalable dimension",
        ))
    }

    /// The scalable target of the request.
    pub(super) fn target(&self) -> Result<Target, Fault> {
        self.require_lambda(true)?;
        let id = required("resourceId", self.resource_id.as_ref())?;
        let parsed = id.strip_prefix("function:").and_then(|rest| {
            let (name, qualifier) = rest.split_once(':')?;
            Some(Target {
                name: FunctionName::parse(name).ok()?,
                qualifier: Some(Qualifier::parse(qualifier).ok()?),
            })
        });
        parsed.ok_or_else(|| {
            invalid(format!(
                "Unsupported resource ID {id}: function:NAME:QUALIFIER is supported"
            ))
        })
    }

    pub(super) fn registration(&self) -> Result<Registration, Fault> {
        let suspended = &self.suspended_state;
        Ok(Registration {
            capacity_min: capacity("minCapacity", self.min_capacity)?,
            capacity_max: capacity("maxCapacity", self.max_capacity)?,
            role: self.role_arn.clone(),
            suspended: [
                suspended.dynamic_scaling_in_suspended,
                suspended.dynamic_scaling_out_suspended,
                suspended.scheduled_scaling_suspended,
            ],
            tags: self.tags.clone(),
        })
    }

    pub(super) fn action(&self) -> Result<ActionChoice, Fault> {
        let bounds = match &self.scalable_target_action {
            None => None,
            Some(it) => Some((
                capacity("scalableTargetAction.minCapacity", it.min_capacity)?,
                capacity("scalableTargetAction.maxCapacity", it.max_capacity)?,
            )),
        };
        Ok(ActionChoice {
            schedule: self.schedule.clone(),
            zone: self.timezone.clone(),
            start: self.start_time.map(timestamp),
            end: self.end_time.map(timestamp),
            bounds,
        })
    }

    pub(super) fn tracking(&self) -> Result<TargetTracking, Fault> {
        let kind = self
            .policy_type
            .as_deref()
            .unwrap_or("TargetTrackingScaling");
        let others = self.step_scaling_policy_configuration.is_some()
            || self.predictive_scaling_policy_configuration.is_some();
        if kind != "TargetTrackingScaling" || others {
            return Err(invalid(
                "Provisioned concurrency is scaled by policies of the type TargetTrackingScaling only.",
            ));
        }
        let tracking = &self.target_tracking_scaling_policy_configuration;
        let tracking = tracking.as_ref().ok_or_else(|| {
            invalid("TargetTrackingScalingPolicyConfiguration is required for this policy.")
        })?;
        tracking.parse()
    }
}

impl Tracking {
    fn parse(&self) -> Result<TargetTracking, Fault> {
        let target = self.target_value.filter(|it| *it > 0.0 && *it <= 1.0);
        let target = target.ok_or_else(|| {
            invalid("TargetValue of a utilization is above 0 and at most 1: 0.7 stands for 70 %.")
        })?;
        let (statistic, is_predefined) = self.metric()?;
        Ok(TargetTracking {
            target,
            statistic,
            is_predefined,
            out_cooldown_seconds: capacity("scaleOutCooldown", self.scale_out_cooldown)?,
            in_cooldown_seconds: capacity("scaleInCooldown", self.scale_in_cooldown)?,
            disable_scale_in: self.disable_scale_in,
        })
    }

    fn metric(&self) -> Result<(Statistic, bool), Fault> {
        let (predefined, customized) = (
            &self.predefined_metric_specification,
            &self.customized_metric_specification,
        );
        match (predefined, customized) {
            (Some(it), None) if it.predefined_metric_type.as_deref() == Some(PREDEFINED) => {
                Ok((Statistic::Average, true))
            }
            (None, Some(it))
                if it.metrics.is_none()
                    && it.namespace.as_deref() == Some("AWS/Lambda")
                    && it.metric_name.as_deref() == Some(METRIC) =>
            {
                let all = [Statistic::Average, Statistic::Maximum, Statistic::Minimum];
                let named = all
                    .into_iter()
                    .find(|known| Some(known.name()) == it.statistic.as_deref());
                let missing = || invalid("Statistic is one of Average, Maximum and Minimum.");
                Ok((named.ok_or_else(missing)?, false))
            }
            _ => Err(invalid(format!(
                "One metric is needed: the predefined {PREDEFINED}, or {METRIC} of the namespace AWS/Lambda. This host \
                 has no other metrics to scale by."
            ))),
        }
    }
}

fn capacity(member: &str, value: Option<i64>) -> Result<Option<u32>, Fault> {
    let parsed = value.map(u32::try_from).transpose();
    parsed.map_err(|_| {
        invalid(format!(
            "1 validation error detected: Value '{}' at '{member}' failed to satisfy constraint: Member must have value \
             greater than or equal to 0",
            value.unwrap_or_default()
        ))
    })
}

/// Seconds since the epoch.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast of a float saturates"
)]
fn timestamp(seconds: f64) -> Timestamp {
    Timestamp::from_millis((seconds * 1_000.0) as u64)
}
