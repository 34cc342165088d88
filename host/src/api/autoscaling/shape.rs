//! AWS's shapes of scalable targets and of what belongs to them.

use serde_json::{Value, json};

use super::request::{DIMENSION, PREDEFINED};
use crate::clock::Timestamp;
use crate::control::autoscaling::{ActionRecord, Activity, PolicyRecord, ScalingRecord};
use crate::names::Home;

pub(super) fn target_arn(home: &Home, id: &str) -> String {
    let Home { region, account } = home;
    format!("arn:aws:application-autoscaling:{region}:{account}:scalable-target/{id}")
}

pub(super) fn policy_arn(home: &Home, id: &str, resource: &str, name: &str) -> String {
    let Home { region, account } = home;
    format!(
        "arn:aws:autoscaling:{region}:{account}:scalingPolicy:{id}:resource/lambda/{resource}:policyName/{name}"
    )
}

fn action_arn(home: &Home, id: &str, resource: &str, name: &str) -> String {
    let Home { region, account } = home;
    format!(
        "arn:aws:autoscaling:{region}:{account}:scheduledAction:{id}:resource/lambda/{resource}:scheduledActionName/{name}"
    )
}

/// Seconds since the epoch, with milliseconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds since 1970 are below 2^53"
)]
fn seconds(at: Timestamp) -> f64 {
    at.millis() as f64 / 1_000.0
}

/// An object without its null members.
fn compact(mut object: Value) -> Value {
    if let Some(members) = object.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    object
}

pub(super) fn target(home: &Home, record: &ScalingRecord) -> Value {
    let role = format!(
        "arn:aws:iam::{}:role/aws-service-role/lambda.application-autoscaling.amazonaws.com/\
         AWSServiceRoleForApplicationAutoScaling_LambdaConcurrency",
        home.account
    );
    json!({
        "ServiceNamespace": "lambda",
        "ResourceId": record.resource_id(),
        "ScalableDimension": DIMENSION,
        "MinCapacity": record.capacity_min,
        "MaxCapacity": record.capacity_max,
        "RoleARN": record.role.clone().unwrap_or(role),
        "CreationTime": seconds(record.created),
        "SuspendedState": {
            "DynamicScalingInSuspended": record.suspended.dynamic_in,
            "DynamicScalingOutSuspended": record.suspended.dynamic_out,
            "ScheduledScalingSuspended": record.suspended.scheduled,
        },
        "ScalableTargetARN": target_arn(home, &record.id),
    })
}

pub(super) fn policy(
    home: &Home,
    record: &ScalingRecord,
    name: &str,
    policy: &PolicyRecord,
) -> Value {
    let (resource, tracking) = (record.resource_id(), &policy.tracking);
    let predefined = json!({"PredefinedMetricType": PREDEFINED});
    let customized = json!({
        "MetricName": "ProvisionedConcurrencyUtilization",
        "Namespace": "AWS/Lambda",
        "Dimensions": [
            {"Name": "FunctionName", "Value": record.function.as_str()},
            {"Name": "Resource", "Value": format!("{}:{}", record.function, record.qualifier)},
        ],
        "Statistic": tracking.statistic.name(),
    });
    let configuration = compact(json!({
        "TargetValue": tracking.target,
        "PredefinedMetricSpecification": tracking.is_predefined.then_some(predefined),
        "CustomizedMetricSpecification": (!tracking.is_predefined).then_some(customized),
        "ScaleOutCooldown": tracking.out_cooldown_seconds,
        "ScaleInCooldown": tracking.in_cooldown_seconds,
        "DisableScaleIn": tracking.disable_scale_in,
    }));
    json!({
        "PolicyARN": policy_arn(home, &policy.id, &resource, name),
        "PolicyName": name,
        "ServiceNamespace": "lambda",
        "ResourceId": resource,
        "ScalableDimension": DIMENSION,
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": configuration,
        "Alarms": [],
        "CreationTime": seconds(policy.created),
    })
}

pub(super) fn action(
    home: &Home,
    record: &ScalingRecord,
    name: &str,
    action: &ActionRecord,
) -> Value {
    let resource = record.resource_id();
    compact(json!({
        "ScheduledActionName": name,
        "ScheduledActionARN": action_arn(home, &action.id, &resource, name),
        "ServiceNamespace": "lambda",
        "Schedule": action.schedule,
        "Timezone": action.zone,
        "ResourceId": resource,
        "ScalableDimension": DIMENSION,
        "StartTime": action.start.map(seconds),
        "EndTime": action.end.map(seconds),
        "ScalableTargetAction": compact(json!({
            "MinCapacity": action.capacity_min,
            "MaxCapacity": action.capacity_max,
        })),
        "CreationTime": seconds(action.created),
    }))
}

pub(super) fn activity(record: &ScalingRecord, activity: &Activity) -> Value {
    json!({
        "ActivityId": activity.id,
        "ServiceNamespace": "lambda",
        "ResourceId": record.resource_id(),
        "ScalableDimension": DIMENSION,
        "Description": activity.description,
        "Cause": activity.cause,
        "StartTime": seconds(activity.start),
        "EndTime": seconds(activity.end),
        "StatusCode": activity.status.name(),
        "StatusMessage": activity.message,
    })
}
