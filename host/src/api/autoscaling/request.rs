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

/// Characters of a name of a policy or an action.
const NAME_MAX: usize = 256;
/// Characters of a schedule, a time zone or a role.
const TEXT_MAX: usize = 1_600;
/// Characters of the key and of the value of a tag.
const TAG_KEY_MAX: usize = 128;
const TAG_VALUE_MAX: usize = 256;
/// Seconds from 1970 to the end of the year 9999, the last one that clients can show.
const TIME_MAX: f64 = 253_402_300_799.0;

/// All members of all operations; each reads its own.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "PascalCase")]
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
    include_not_scaled_activities: bool,
    pub(super) max_results: Option<i64>,
    pub(super) next_token: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "PascalCase")]
struct SuspendedState {
    dynamic_scaling_in_suspended: Option<bool>,
    dynamic_scaling_out_suspended: Option<bool>,
    scheduled_scaling_suspended: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "PascalCase")]
struct Bounds {
    min_capacity: Option<i64>,
    max_capacity: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "PascalCase")]
struct Tracking {
    target_value: Option<f64>,
    predefined_metric_specification: Option<Predefined>,
    customized_metric_specification: Option<Customized>,
    scale_out_cooldown: Option<i64>,
    scale_in_cooldown: Option<i64>,
    disable_scale_in: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "PascalCase")]
struct Predefined {
    predefined_metric_type: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "PascalCase")]
struct Customized {
    metric_name: Option<String>,
    namespace: Option<String>,
    statistic: Option<String>,
    dimensions: Vec<Dimension>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Dimension {
    name: String,
    value: String,
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
    within(member, value, TEXT_MAX)?;
    Ok(value)
}

/// Requires the name of a policy or an action.
pub(super) fn name(member: &str, value: Option<&String>) -> Result<String, Fault> {
    let value = required(member, value)?;
    within(member, value, NAME_MAX)?;
    if value.contains([':', '/', '|']) {
        return Err(invalid(format!(
            "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: Member must have \
             none of the characters : / |"
        )));
    }
    Ok(value.to_owned())
}

fn within(member: &str, value: &str, characters_max: usize) -> Result<(), Fault> {
    if (1..=characters_max).contains(&value.chars().count()) {
        return Ok(());
    }
    Err(invalid(format!(
        "1 validation error detected: Value at '{member}' failed to satisfy constraint: Member must have length between \
         1 and {characters_max}"
    )))
}

/// Removes members that are null: they are absent.
fn without_nulls(value: &mut Value) {
    if let Some(members) = value.as_object_mut() {
        members.retain(|_, it| !it.is_null());
        members.values_mut().for_each(without_nulls);
    }
}

impl Request {
    pub(super) fn parse(body: &[u8]) -> Result<Self, Fault> {
        let unreadable =
            |error: serde_json::Error| Fault::new("SerializationException", error.to_string());
        let mut value: Value = serde_json::from_slice(body).map_err(unreadable)?;
        without_nulls(&mut value);
        serde_json::from_value(value).map_err(unreadable)
    }

    /// As [`Self::require_lambda`], for operations that list by resource.
    pub(super) fn require_listed(&self) -> Result<(), Fault> {
        self.require_lambda(false)?;
        if self.scalable_dimension.is_some() && self.resource_id.is_none() {
            return Err(invalid("ScalableDimension needs a ResourceId."));
        }
        Ok(())
    }

    /// Refuses to list what has not been scaled.
    pub(super) fn require_scaled(&self) -> Result<(), Fault> {
        match self.include_not_scaled_activities {
            true => Err(invalid(
                "This host has no activities of what it did not scale.",
            )),
            false => Ok(()),
        }
    }

    /// Tags to add.
    pub(super) fn sound_tags(&self) -> Result<BTreeMap<String, String>, Fault> {
        for (key, value) in &self.tags {
            within("tags.key", key, TAG_KEY_MAX)?;
            if value.chars().count() > TAG_VALUE_MAX {
                return Err(invalid(format!(
                    "The value of the tag {key} is longer than {TAG_VALUE_MAX} characters."
                )));
            }
            if key.to_ascii_lowercase().starts_with("aws:") {
                return Err(invalid(
                    "aws: prefixed tag key names are not allowed for external use.",
                ));
            }
        }
        Ok(self.tags.clone())
    }

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
        if let Some(role) = &self.role_arn {
            within("roleARN", role, TEXT_MAX)?;
            if !role.starts_with("arn:") {
                return Err(invalid(format!("RoleARN is not an ARN: {role}")));
            }
        }
        Ok(Registration {
            capacity_min: capacity("minCapacity", self.min_capacity)?,
            capacity_max: capacity("maxCapacity", self.max_capacity)?,
            role: self.role_arn.clone(),
            suspended: [
                suspended.dynamic_scaling_in_suspended,
                suspended.dynamic_scaling_out_suspended,
                suspended.scheduled_scaling_suspended,
            ],
            tags: self.sound_tags()?,
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
        for (member, text) in [("schedule", &self.schedule), ("timezone", &self.timezone)] {
            if let Some(text) = text {
                within(member, text, TEXT_MAX)?;
            }
        }
        Ok(ActionChoice {
            schedule: self.schedule.clone(),
            zone: self.timezone.clone(),
            start: self.start_time.map(timestamp).transpose()?,
            end: self.end_time.map(timestamp).transpose()?,
            bounds,
        })
    }

    pub(super) fn tracking(&self, target: &Target) -> Result<TargetTracking, Fault> {
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
        tracking.parse(target)
    }
}

impl Tracking {
    fn parse(&self, of: &Target) -> Result<TargetTracking, Fault> {
        // The utilization is 1 at most: a target of 1 would never scale out.
        let target = self.target_value.filter(|it| *it > 0.0 && *it < 1.0);
        let target = target.ok_or_else(|| {
            invalid("TargetValue of a utilization is above 0 and below 1: 0.7 stands for 70 %.")
        })?;
        let (statistic, is_predefined) = self.metric(of)?;
        Ok(TargetTracking {
            target,
            statistic,
            is_predefined,
            out_cooldown_seconds: capacity("scaleOutCooldown", self.scale_out_cooldown)?,
            in_cooldown_seconds: capacity("scaleInCooldown", self.scale_in_cooldown)?,
            disable_scale_in: self.disable_scale_in,
        })
    }

    fn metric(&self, of: &Target) -> Result<(Statistic, bool), Fault> {
        let (predefined, customized) = (
            &self.predefined_metric_specification,
            &self.customized_metric_specification,
        );
        match (predefined, customized) {
            (Some(it), None) if it.predefined_metric_type.as_deref() == Some(PREDEFINED) => {
                Ok((Statistic::Average, true))
            }
            (None, Some(it))
                if it.namespace.as_deref() == Some("AWS/Lambda")
                    && it.metric_name.as_deref() == Some(METRIC) =>
            {
                let all = [Statistic::Average, Statistic::Maximum, Statistic::Minimum];
                let named = all
                    .into_iter()
                    .find(|known| Some(known.name()) == it.statistic.as_deref());
                it.require_dimensions_of(of)?;
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

impl Customized {
    /// Refuses the metric of another function, version or alias.
    fn require_dimensions_of(&self, target: &Target) -> Result<(), Fault> {
        let name = &target.name;
        let qualifier = target.qualifier.as_ref().map(ToString::to_string);
        let resource = format!("{name}:{}", qualifier.unwrap_or_default());
        let is_own = |it: &Dimension| match &*it.name {
            "FunctionName" => it.value == name.as_str(),
            "Resource" => it.value == resource,
            _ => false,
        };
        if self.dimensions.iter().all(is_own) {
            return Ok(());
        }
        Err(invalid(format!(
            "The dimensions of {METRIC} are FunctionName, {name}, and Resource, {resource}: a scalable target is scaled by its \
             own metric."
        )))
    }
}

fn capacity(member: &str, value: Option<i64>) -> Result<Option<u32>, Fault> {
    let Some(value) = value else {
        return Ok(None);
    };
    let bound = match i32::try_from(value).map(u32::try_from) {
        Ok(Ok(parsed)) => return Ok(Some(parsed)),
        Ok(Err(_)) => "greater than or equal to 0",
        Err(_) if value < 0 => "greater than or equal to 0",
        Err(_) => "less than or equal to 2147483647",
    };
    Err(invalid(format!(
        "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: Member must have value \
         {bound}"
    )))
}

/// Seconds since the epoch.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast of a float saturates"
)]
fn timestamp(seconds: f64) -> Result<Timestamp, Fault> {
    if !(0.0..=TIME_MAX).contains(&seconds) {
        return Err(invalid(
            "StartTime and EndTime are between the years 1970 and 9999.",
        ));
    }
    Ok(Timestamp::from_millis((seconds * 1_000.0) as u64))
}
