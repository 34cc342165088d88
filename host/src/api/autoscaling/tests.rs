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
        ("RegisterScalableTarget", "function:f:live", true),
        ("DeregisterScalableTarget", "function:f:live", true),
        ("PutScalingPolicy", "function:f:live", true),
        ("DeleteScalingPolicy", "function:f:live", true),
        ("PutScheduledAction", "function:f:live", true),
        ("DeleteScheduledAction", "function:f:live", true),
        ("DescribeScalableTargets", "*", false),
        ("DescribeScalingPolicies", "*", false),
        ("DescribeScheduledActions", "*", false),
        ("DescribeScalingActivities", "*", false),
        ("ListTagsForResource", "id", false),
        ("TagResource", "id", false),
        ("UntagResource", "id", false),
    ] {
        let call = Call::parse(operation, request.to_string().as_bytes()).unwrap();
        let expected = match resource {
            "*" => "*".to_owned(),
            id => format!("{arn}{id}"),
        };
        assert_eq!(
            (call.resource(&home()), call.scales()),
            (expected, scales),
            "{operation}"
        );
    }
}
