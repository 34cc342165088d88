//! The target of a call is the one that is authorized.

use serde_json::json;

use super::call::Call;
use crate::names::{AccountId, Home, Region};

fn home() -> Home {
    Home {
        account: AccountId::parse("000000000000").unwrap(),
        region: Region::parse("us-east-1").unwrap(),
    }
}

#[test]
fn call_is_authorized_on_its_own_target() {
    let arn = "arn:aws:application-autoscaling:us-east-1:000000000000:scalable-target/";
    let request = json!({
        "ServiceNamespace": "lambda", "ScalableDimension": "lambda:function:ProvisionedConcurrency",
        "ResourceId": "function:f:live", "ResourceIds": ["function:g:live"], "MinCapacity": 1, "MaxCapacity": 2,
        "PolicyName": "p", "ScheduledActionName": "a", "ResourceARN": format!("{arn}id"),
        "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 0.5,
            "PredefinedMetricSpecification": {"PredefinedMetricType": "LambdaProvisionedConcurrencyUtilization"}},
    });
    for (operation, resource, scales) in [
        ("RegisterScalableTarget", "any", true),
        ("DeregisterScalableTarget", "any", true),
        ("PutScalingPolicy", "any", true),
        ("DeleteScalingPolicy", "any", true),
        ("PutScheduledAction", "any", true),
        ("DeleteScheduledAction", "any", true),
        ("DescribeScalableTargets", "*", false),
        ("DescribeScalingPolicies", "*", false),
        ("DescribeScheduledActions", "*", false),
        ("DescribeScalingActivities", "*", false),
        ("ListTagsForResource", "id", false),
        ("TagResource", "id", false),
        ("UntagResource", "id", false),
    ] {
        let call = Call::parse(operation, request.to_string().as_bytes(), &home()).unwrap();
        let expected = match resource {
            "*" => "*".to_owned(),
            // Not registered, it has no id yet.
            "any" => format!("{arn}*"),
            id => format!("{arn}{id}"),
        };
        assert_eq!(
            (call.resource(&home(), None), call.target().is_some()),
            (expected, scales),
            "{operation}"
        );
    }
}
