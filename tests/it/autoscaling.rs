//! Autoscaling of provisioned concurrency through the Application Auto Scaling API.

use serde_json::{Value, json};

use crate::clients::{client, json_of};
use crate::harness::{ApiResponse, Lamina, guest};
use crate::signed::Signed;

const RESOURCE: &str = "function:f:live";
const DIMENSION: &str = "lambda:function:ProvisionedConcurrency";

async fn with_alias(host: &Lamina) {
    host.create("f", &guest("echo"), json!({"Publish": true}))
        .await;
    let alias = json!({"Name": "live", "FunctionVersion": "1"});
    let made = host
        .lambda("POST", "/2015-03-31/functions/f/aliases", &alias)
        .await;
    assert_eq!(made.status, 201, "{}", made.text());
}

/// Waits for provisioned concurrency of the alias.
async fn is_provisioned(host: &Lamina, environments: u32) {
    let path = "/2019-09-30/functions/f/provisioned-concurrency?Qualifier=live";
    for _ in 0..6_000 {
        let shown = host.lambda("GET", path, &Value::Null).await.json();
        if shown["RequestedProvisionedConcurrentExecutions"] == environments {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{environments} environments were not asked for");
}

fn request(more: &Value) -> Value {
    let mut request = json!({
        "ServiceNamespace": "lambda", "ResourceId": RESOURCE, "ScalableDimension": DIMENSION,
    });
    let members = more.as_object().expect("an object").clone();
    request.as_object_mut().expect("an object").extend(members);
    request
}

async fn call(host: &Lamina, operation: &str, body: &Value) -> ApiResponse {
    let target = format!("AnyScaleFrontendService.{operation}");
    let headers = [("x-amz-target", target.as_str())];
    host.send("POST", "/", &headers, body.to_string()).await
}

/// The same, signed by a key.
async fn call_signed(host: &Lamina, key: &str, operation: &str, body: &Value) -> ApiResponse {
    let target = format!("AnyScaleFrontendService.{operation}");
    let headers = [("x-amz-target", target.as_str())];
    let (signed, service) = (Signed { host, key }, "application-autoscaling");
    signed
        .send(service, "POST", "/", &headers, body.to_string())
        .await
}

/// Configuration of a user with an access key of the same name and this policy.
fn key(id: &str, policy: &Value) -> String {
    format!(
        "[[keys]]\naccess_key_id = \"{id}\"\nsecret_access_key = \"{id}\"\nname = \"{id}\"\npolicy = '{policy}'\n"
    )
}

/// Runs an operation of the AWS CLI on the service.
fn aws(host: &Lamina, operation: &str, more: &[&str]) -> Value {
    let mut command = client("venv/bin/aws", host);
    command.args([
        "application-autoscaling",
        operation,
        "--service-namespace",
        "lambda",
    ]);
    json_of(command.args(more))
}

/// Runs an operation of the AWS CLI on the alias.
fn on_alias(host: &Lamina, operation: &str, more: &[&str]) -> Value {
    let target = ["--resource-id", RESOURCE, "--scalable-dimension", DIMENSION];
    aws(host, operation, &[&target[..], more].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn aws_cli_drives_scalable_targets() {
    let host = Lamina::start();
    with_alias(&host).await;
    let bounds = ["--min-capacity", "2", "--max-capacity", "5"];
    let bounds = [&bounds[..], &["--tags", "team=a"]].concat();
    let registered = on_alias(&host, "register-scalable-target", &bounds);
    let arn = registered["ScalableTargetARN"].as_str().expect("an ARN");
    is_provisioned(&host, 2).await;
    let named = ["--resource-ids", RESOURCE];
    let shown = &aws(&host, "describe-scalable-targets", &named)["ScalableTargets"][0];
    assert_eq!(
        (&shown["MinCapacity"], &shown["MaxCapacity"]),
        (&json!(2), &json!(5))
    );
    assert_eq!(shown["ScalableTargetARN"], arn);
    assert_eq!(shown["SuspendedState"]["DynamicScalingInSuspended"], false);

    let named = ["--resource-id", RESOURCE];
    let activities = aws(&host, "describe-scaling-activities", &named);
    let activity = &activities["ScalingActivities"][0];
    assert_eq!(activity["Cause"], "minimum capacity was set to 2");
    assert_eq!(activity["StatusCode"], "Successful");

    let of_arn = |operation: &str, more: &[&str]| {
        let mut command = client("venv/bin/aws", &host);
        command.args(["application-autoscaling", operation, "--resource-arn", arn]);
        json_of(command.args(more))
    };
    of_arn("tag-resource", &["--tags", "stage=b"]);
    of_arn("untag-resource", &["--tag-keys", "team"]);
    assert_eq!(
        of_arn("list-tags-for-resource", &[])["Tags"],
        json!({"stage": "b"})
    );

    let bounds = ["--max-capacity", "1", "--min-capacity", "1"];
    on_alias(&host, "register-scalable-target", &bounds);
    is_provisioned(&host, 1).await;
    on_alias(&host, "deregister-scalable-target", &[]);
    let left = aws(&host, "describe-scalable-targets", &[]);
    assert_eq!(left["ScalableTargets"], json!([]));
    is_provisioned(&host, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn aws_cli_drives_policies_and_scheduled_actions() {
    let host = Lamina::start();
    with_alias(&host).await;
    let bounds = ["--min-capacity", "1", "--max-capacity", "5"];
    on_alias(&host, "register-scalable-target", &bounds);
    let tracking = json!({
        "TargetValue": 0.7, "ScaleInCooldown": 60,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "LambdaProvisionedConcurrencyUtilization"},
    });
    let text = tracking.to_string();
    let configuration = "--target-tracking-scaling-policy-configuration";
    let kind = [
        "--policy-name",
        "p",
        "--policy-type",
        "TargetTrackingScaling",
    ];
    let put = [&kind[..], &[configuration, &text]].concat();
    let policy = on_alias(&host, "put-scaling-policy", &put);
    let listed = &aws(&host, "describe-scaling-policies", &[])["ScalingPolicies"][0];
    assert_eq!(listed["PolicyARN"], policy["PolicyARN"]);
    assert_eq!(listed["TargetTrackingScalingPolicyConfiguration"], tracking);

    let named = ["--scheduled-action-name", "night"];
    let schedule = [
        "--schedule",
        "cron(0 22 * * ? *)",
        "--timezone",
        "Europe/Berlin",
    ];
    let bounds = ["--scalable-target-action", "MinCapacity=0,MaxCapacity=1"];
    let put = [&named[..], &schedule, &bounds].concat();
    on_alias(&host, "put-scheduled-action", &put);
    let names = ["--scheduled-action-names", "night"];
    let listed = &aws(&host, "describe-scheduled-actions", &names)["ScheduledActions"][0];
    assert_eq!(listed["Timezone"], "Europe/Berlin");
    let expected = json!({"MinCapacity": 0, "MaxCapacity": 1});
    assert_eq!(listed["ScalableTargetAction"], expected);

    on_alias(&host, "delete-scaling-policy", &["--policy-name", "p"]);
    on_alias(&host, "delete-scheduled-action", &named);
    for (operation, member) in [
        ("describe-scaling-policies", "ScalingPolicies"),
        ("describe-scheduled-actions", "ScheduledActions"),
    ] {
        assert_eq!(aws(&host, operation, &[])[member], json!([]));
    }
}

#[tokio::test]
async fn scalable_target_survives_kill() {
    let host = Lamina::start();
    with_alias(&host).await;
    let bounds = request(&json!({"MinCapacity": 1, "MaxCapacity": 3}));
    let made = call(&host, "RegisterScalableTarget", &bounds).await;
    assert_eq!(made.status, 200, "{}", made.text());
    let host = Lamina::in_dir(host.kill(), "");
    let all = json!({"ServiceNamespace": "lambda"});
    let shown = call(&host, "DescribeScalableTargets", &all).await.json();
    assert_eq!(shown["ScalableTargets"][0]["MaxCapacity"], 3, "{shown}");
    is_provisioned(&host, 1).await;
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table of requests")]
async fn unsuitable_autoscaling_request_is_refused() {
    let host = Lamina::start();
    with_alias(&host).await;
    let predefined = json!({"PredefinedMetricType": "LambdaProvisionedConcurrencyUtilization"});
    let tracking = |target: f64| {
        json!({"PolicyName": "p", "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": target, "PredefinedMetricSpecification": predefined,
        }})
    };
    for (operation, more, name, part) in [
        (
            "RegisterScalableTarget",
            json!({}),
            "ValidationException",
            "MinCapacity and MaxCapacity",
        ),
        (
            "RegisterScalableTarget",
            json!({"MinCapacity": 2, "MaxCapacity": 1}),
            "ValidationException",
            "Minimum capacity cannot be greater",
        ),
        (
            "RegisterScalableTarget",
            json!({"MinCapacity": -1, "MaxCapacity": 1}),
            "ValidationException",
            "Value '-1' at 'minCapacity'",
        ),
        (
            "RegisterScalableTarget",
            json!({"ResourceId": "function:f", "MinCapacity": 1, "MaxCapacity": 1}),
            "ValidationException",
            "function:NAME:QUALIFIER",
        ),
        (
            "RegisterScalableTarget",
            json!({"ResourceId": "function:f:no", "MinCapacity": 1, "MaxCapacity": 1}),
            "ValidationException",
            "function:f:no",
        ),
        (
            "RegisterScalableTarget",
            json!({"ServiceNamespace": "ecs", "MinCapacity": 1, "MaxCapacity": 1}),
            "ValidationException",
            "Unsupported service namespace",
        ),
        (
            "PutScalingPolicy",
            tracking(0.7),
            "ObjectNotFoundException",
            "No scalable target found",
        ),
        (
            "RegisterScalableTarget",
            json!({"MinCapacity": 1, "MaxCapacity": 4_294_967_296_u64}),
            "ValidationException",
            "less than or equal to 2147483647",
        ),
        (
            "RegisterScalableTarget",
            json!({"MinCapacity": 1, "MaxCapacity": 2, "MaxCapcity": 3}),
            "SerializationException",
            "MaxCapcity",
        ),
        (
            "RegisterScalableTarget",
            json!({"MinCapacity": 1, "MaxCapacity": 2, "Tags": {"aws:x": "y"}}),
            "ValidationException",
            "aws: prefixed",
        ),
        (
            "PutScheduledAction",
            json!({"ScheduledActionName": "a:b", "Schedule": "rate(1 minute)",
            "ScalableTargetAction": {"MinCapacity": 1}}),
            "ValidationException",
            "none of the characters",
        ),
        (
            "PutScheduledAction",
            json!({"ScheduledActionName": "a", "Schedule": "rate(1 minute)", "StartTime": 1e300,
            "ScalableTargetAction": {"MinCapacity": 1}}),
            "ValidationException",
            "between the years 1970 and 9999",
        ),
        (
            "PutScalingPolicy",
            json!({"PolicyName": "p", "TargetTrackingScalingPolicyConfiguration": {
                "TargetValue": 0.5, "CustomizedMetricSpecification": {
                    "Namespace": "AWS/Lambda", "MetricName": "ProvisionedConcurrencyUtilization",
                    "Statistic": "Maximum", "Dimensions": [{"Name": "FunctionName", "Value": "g"}],
                },
            }}),
            "ValidationException",
            "its own metric",
        ),
        (
            "PutScalingPolicy",
            tracking(70.0),
            "ValidationException",
            "0.7 stands for 70 %",
        ),
        (
            "PutScalingPolicy",
            json!({"PolicyName": "p", "PolicyType": "StepScaling"}),
            "ValidationException",
            "TargetTrackingScaling only",
        ),
        (
            "PutScheduledAction",
            json!({"ScheduledActionName": "a", "Schedule": "rate(1 minute)",
            "ScalableTargetAction": {"MinCapacity": 1}}),
            "ObjectNotFoundException",
            RESOURCE,
        ),
        (
            "DeregisterScalableTarget",
            json!({}),
            "ObjectNotFoundException",
            RESOURCE,
        ),
        (
            "DescribeScalableTargets",
            json!({"MaxResults": 51}),
            "ValidationException",
            "MaxResults",
        ),
        (
            "DescribeScalableTargets",
            json!({"NextToken": "x"}),
            "InvalidNextTokenException",
            "next token",
        ),
        (
            "GetPredictiveScalingForecast",
            json!({}),
            "UnknownOperationException",
            "GetPredictiveScalingForecast",
        ),
    ] {
        let refused = call(&host, operation, &request(&more)).await;
        let error = refused.json();
        assert_eq!(refused.status, 400, "{operation} {more}: {error}");
        assert_eq!(error["__type"], name, "{operation} {more}: {error}");
        let text = error["message"].as_str().unwrap_or_default();
        assert!(text.contains(part), "{operation} {more}: {error}");
    }
    let bounds = request(&json!({"MinCapacity": 0, "MaxCapacity": 1}));
    assert_eq!(
        call(&host, "RegisterScalableTarget", &bounds).await.status,
        200
    );
    let action = request(
        &json!({"ScheduledActionName": "a", "Schedule": "cron(0 25 * * ? *)",
        "ScalableTargetAction": {"MinCapacity": 1}}),
    );
    let refused = call(&host, "PutScheduledAction", &action).await.json();
    assert_eq!(
        refused["message"],
        "Invalid Schedule Expression cron(0 25 * * ? *)."
    );
}

#[tokio::test]
async fn autoscaling_needs_permission_on_provisioned_concurrency() {
    let policy = |actions: &Value, resource: &str| {
        json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "application-autoscaling:*", "Resource": "*"},
            {"Effect": "Allow", "Action": actions, "Resource": resource},
        ]})
    };
    let f = "arn:aws:lambda:us-east-1:000000000000:function:f";
    let change = json!("lambda:PutProvisionedConcurrencyConfig");
    let keys = [
        "[[keys]]\naccess_key_id = \"owner\"\nsecret_access_key = \"owner\"\n".to_owned(),
        key("scaler", &policy(&change, &format!("{f}:live"))),
        key("other", &policy(&change, &format!("{f}:prod"))),
        key("lister", &policy(&json!("lambda:GetFunction"), "*")),
    ];
    let host = Lamina::configured(&keys.concat());
    let of = |key| Signed { host: &host, key };
    of("owner").create("f", &json!({"Publish": true})).await;
    let alias = json!({"Name": "live", "FunctionVersion": "1"});
    let path = "/2015-03-31/functions/f/aliases";
    let made = of("owner").lambda("POST", path, &alias).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let ask = async |key: &str, operation: &str, body: &Value| {
        call_signed(&host, key, operation, body).await
    };
    let bounds = request(&json!({"MinCapacity": 1, "MaxCapacity": 3}));
    for (key, expected) in [
        ("other", 403),
        ("lister", 403),
        ("scaler", 200),
        ("owner", 200),
    ] {
        let answer = ask(key, "RegisterScalableTarget", &bounds).await;
        assert_eq!(answer.status, expected, "{key}: {}", answer.text());
        if expected == 403 {
            let text = answer.json()["message"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            let resource = format!("lambda:PutProvisionedConcurrencyConfig on resource: {f}:live");
            assert!(text.contains(&resource), "{text}");
        }
    }
    let all = json!({"ServiceNamespace": "lambda"});
    assert_eq!(
        ask("lister", "DescribeScalableTargets", &all).await.status,
        200
    );
    // The signature is of this service alone.
    let target = [(
        "x-amz-target",
        "AnyScaleFrontendService.DescribeScalableTargets",
    )];
    let signed = of("owner");
    let refused = signed
        .send("lambda", "POST", "/", &target, all.to_string())
        .await;
    assert_eq!(refused.status, 403, "{}", refused.text());
}

#[tokio::test]
async fn deny_of_a_scalable_target_holds_by_arn_and_tags() {
    let deny = |condition: &str| {
        json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "*", "Resource": "*"},
            {"Effect": "Deny", "Action": "application-autoscaling:*",
             "Resource": "arn:aws:application-autoscaling:us-east-1:000000000000:scalable-target/*",
             "Condition": {"StringEquals": {condition: "prod"}}},
        ]})
    };
    let keys = [
        "[[keys]]\naccess_key_id = \"owner\"\nsecret_access_key = \"owner\"\n".to_owned(),
        key("resource", &deny("aws:ResourceTag/env")),
        key("request", &deny("aws:RequestTag/env")),
    ];
    let host = Lamina::configured(&keys.concat());
    let owner = Signed {
        host: &host,
        key: "owner",
    };
    owner.create("f", &json!({"Publish": true})).await;
    let alias = json!({"Name": "live", "FunctionVersion": "1"});
    let made = owner
        .lambda("POST", "/2015-03-31/functions/f/aliases", &alias)
        .await;
    assert_eq!(made.status, 201, "{}", made.text());
    let ask = async |key: &str, operation: &str, body: &Value| {
        call_signed(&host, key, operation, body).await
    };
    let prod = json!({"env": "prod"});
    let bounds = |tags: &Value| request(&json!({"MinCapacity": 0, "MaxCapacity": 1, "Tags": tags}));
    let refused = ask("request", "RegisterScalableTarget", &bounds(&prod)).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    let made = ask("owner", "RegisterScalableTarget", &bounds(&prod)).await;
    assert_eq!(made.status, 200, "{}", made.text());
    let arn = made.json()["ScalableTargetARN"].clone();
    let of_arn = |more: &Value| {
        let mut body = json!({"ResourceARN": arn});
        body.as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        body
    };
    for (key, operation, body, expected) in [
        (
            "resource",
            "DeregisterScalableTarget",
            request(&json!({})),
            403,
        ),
        ("resource", "ListTagsForResource", of_arn(&json!({})), 403),
        (
            "request",
            "TagResource",
            of_arn(&json!({"Tags": prod})),
            403,
        ),
        (
            "request",
            "TagResource",
            of_arn(&json!({"Tags": {"env": "test"}})),
            200,
        ),
        ("resource", "ListTagsForResource", of_arn(&json!({})), 200),
        (
            "resource",
            "DeregisterScalableTarget",
            request(&json!({})),
            200,
        ),
    ] {
        let answer = ask(key, operation, &body).await;
        assert_eq!(
            answer.status,
            expected,
            "{key} {operation}: {}",
            answer.text()
        );
    }
}
