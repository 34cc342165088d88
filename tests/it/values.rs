//! Request values: taken as sent or refused; limits that depend on other members are AWS's.

use std::io::{Read, Write};
use std::net::TcpStream;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::harness::{Lamina, example, guest, zipped};

const FUNCTIONS: &str = "/2015-03-31/functions";

/// Sends an Invoke with a header of arbitrary bytes; returns status and body.
fn invoke_with(host: &Lamina, name: &str, value: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(host.address).expect("it answers");
    let head = format!(
        "POST {FUNCTIONS}/f/invocations HTTP/1.1\r\nhost: {}\r\ncontent-length: 2\r\n\
         connection: close\r\n{name}: ",
        host.address
    );
    let request = [head.as_bytes(), value, b"\r\n\r\n{}"].concat();
    stream.write_all(&request).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).expect("a status");
    (status.parse().expect("a number"), body.to_owned())
}

#[tokio::test]
async fn non_ascii_tenant_id_is_refused() {
    let host = Lamina::start();
    let isolation = json!({"TenancyConfig": {"TenantIsolationMode": "PER_TENANT"}});
    host.create("f", &example("counter"), isolation).await;
    for tenant in [
        "bl\u{fc}".as_bytes(),
        b"bl\xfc",
        b"a,b",
        b"a?",
        b"",
        &[b'x'; 257],
    ] {
        let (status, body) = invoke_with(&host, "x-amz-tenant-id", tenant);
        assert_eq!(status, 400, "{tenant:?}: {body}");
        assert!(
            body.contains("at 'tenantId' failed to satisfy constraint"),
            "{body}"
        );
    }
    let (status, body) = invoke_with(&host, "x-amz-tenant-id", b"Blue 1._:/=+-@");
    assert_eq!(status, 200, "{body}");
}

#[tokio::test]
async fn non_ascii_invoke_header_is_refused() {
    let host = Lamina::start();
    host.create("f", &guest("echo"), json!({})).await;
    for name in ["x-amz-invocation-type", "x-amz-log-type"] {
        let (status, body) = invoke_with(&host, name, b"\xff");
        assert_eq!(status, 400, "{name}: {body}");
    }
}

#[tokio::test]
async fn client_context_that_is_no_object_is_refused() {
    let host = Lamina::start();
    host.create("f", &guest("hostile"), json!({})).await;
    let path = format!("{FUNCTIONS}/f/invocations");
    let event = json!({"do": "context"}).to_string();
    let send = async |context: &str| {
        let headers = [("x-amz-client-context", context)];
        host.send("POST", &path, &headers, event.clone()).await
    };
    let text = "Client context must be a valid Base64-encoded JSON object.";
    let refused = ("InvalidRequestContentException".to_owned(), text.to_owned());
    for context in [
        "string",
        &STANDARD.encode("hello"),
        &STANDARD.encode("[1]"),
        &STANDARD.encode("\"text\""),
        &STANDARD.encode("{"),
        &STANDARD.encode(b"{\xff}"),
    ] {
        assert_eq!(send(context).await.error(), refused, "{context}");
    }
    let context = json!({"custom": {"k": [1]}, "env": {"locale": "de"}}).to_string();
    let taken = send(&STANDARD.encode(&context)).await.json();
    assert_eq!(taken["clientContext"], context);
}

#[tokio::test]
async fn sizes_without_capacity_provider_have_awss_limits() {
    let host = Lamina::start();
    let package = zipped(&guest("echo"));
    let most = json!({"Timeout": 1800, "MemorySize": 10240, "EphemeralStorage": {"Size": 10240}});
    let made = host.try_create("f", &package, most).await;
    assert_eq!(made.status, 201, "{}", made.text());
    host.settled("f").await;
    let path = format!("{FUNCTIONS}/f/configuration");
    for (name, max, more) in [
        ("Timeout", 1800, json!({"Timeout": 1801})),
        ("MemorySize", 10240, json!({"MemorySize": 10241})),
        (
            "EphemeralStorage.Size",
            10240,
            json!({"EphemeralStorage": {"Size": 10241}}),
        ),
    ] {
        let text = format!(
            "'{name}' value failed to satisfy constraint: Member must have value less than or equal \
             to {max}"
        );
        let refused = ("ValidationException".to_owned(), text);
        assert_eq!(host.lambda("PUT", &path, &more).await.error(), refused);
        assert_eq!(host.try_create("g", &package, more).await.error(), refused);
    }
}

#[tokio::test]
async fn vpc_config_with_subnets_shows_vpc_id() {
    let host = Lamina::start();
    let network = json!({"SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]});
    host.create("f", &guest("echo"), json!({"VpcConfig": network}))
        .await;
    let version = host
        .lambda("POST", &format!("{FUNCTIONS}/f/versions"), &json!({}))
        .await;
    assert_eq!(version.status, 201, "{}", version.text());
    let get = async |path: &str| {
        host.lambda("GET", &format!("{FUNCTIONS}{path}"), &Value::Null)
            .await
            .json()
    };
    let shown = [
        version.json(),
        get("/f/configuration").await,
        get("/f").await["Configuration"].clone(),
        get("/f/versions").await["Versions"][1].clone(),
        get("").await["Functions"][0].clone(),
    ];
    let id = shown[0]["VpcConfig"]["VpcId"]
        .as_str()
        .expect("an id")
        .to_owned();
    let digits = id.strip_prefix("vpc-").expect("it is a VPC's");
    assert_eq!(digits.len(), 17, "{id}");
    let mut expected = network;
    expected["VpcId"] = id.into();
    expected["Ipv6AllowedForDualStack"] = false.into();
    for shown in shown {
        assert_eq!(shown["VpcConfig"], expected, "{shown}");
    }
    let left = json!({"VpcConfig": {"SubnetIds": [], "SecurityGroupIds": []}});
    let left = host
        .lambda("PUT", &format!("{FUNCTIONS}/f/configuration"), &left)
        .await;
    assert_eq!(left.json()["VpcConfig"]["VpcId"], "", "{}", left.text());
}

#[tokio::test]
async fn tag_key_with_aws_prefix_is_refused() {
    let host = Lamina::start();
    host.create("f", &guest("echo"), json!({})).await;
    let package = zipped(&guest("echo"));
    let arn = "arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af";
    let mapping = json!({
        "FunctionName": "f", "EventSourceArn": "arn:aws:sqs:us-east-1:000000000000:q",
    });
    let signing = json!({"AllowedPublishers": {"SigningProfileVersionArns":
        ["arn:aws:signer:us-east-1:000000000000:/signing-profiles/p1/abcdefghij"]}});
    let text = "aws: prefixed tag key names are not allowed for external use.";
    let refused = ("InvalidParameterValueException".to_owned(), text.to_owned());
    for key in ["aws:x", "AWS:x", "Aws:"] {
        let tags = json!({"own": "1", key: "2"});
        let with = |mut body: Value| {
            body["Tags"] = tags.clone();
            body
        };
        for (path, body) in [
            (format!("/2017-03-31/tags/{arn}"), json!({})),
            (
                "/2015-03-31/event-source-mappings".to_owned(),
                mapping.clone(),
            ),
            (
                "/2020-04-22/code-signing-configs".to_owned(),
                signing.clone(),
            ),
        ] {
            let answer = host.lambda("POST", &path, &with(body)).await;
            assert_eq!(answer.error(), refused, "{path}");
        }
        let made = host.try_create("g", &package, with(json!({}))).await;
        assert_eq!(made.error(), refused);
    }
}

#[tokio::test]
async fn provisioned_concurrency_of_weighted_alias_is_refused() {
    let host = Lamina::start();
    host.create("f", &guest("echo"), json!({})).await;
    let versions = format!("{FUNCTIONS}/f/versions");
    host.lambda("POST", &versions, &json!({})).await;
    let path = format!("{FUNCTIONS}/f/configuration");
    host.lambda("PUT", &path, &json!({"Description": "2"}))
        .await;
    host.settled("f").await;
    host.lambda("POST", &versions, &json!({})).await;
    let routing = json!({"AdditionalVersionWeights": {"2": 0.1}});
    let alias = json!({"Name": "live", "FunctionVersion": "1", "RoutingConfig": routing});
    let made = host
        .lambda("POST", &format!("{FUNCTIONS}/f/aliases"), &alias)
        .await;
    assert_eq!(made.status, 201, "{}", made.text());
    let path = "/2019-09-30/functions/f/provisioned-concurrency?Qualifier=live";
    let asked = json!({"ProvisionedConcurrentExecutions": 1});
    let put = async || host.lambda("PUT", path, &asked).await;
    let text = "Alias with weights can not be used with Provisioned Concurrency";
    let refused = ("InvalidParameterValueException".to_owned(), text.to_owned());
    assert_eq!(put().await.error(), refused);
    let alias = format!("{FUNCTIONS}/f/aliases/live");
    let route = async |routing: &Value| {
        let changed = host
            .lambda("PUT", &alias, &json!({"RoutingConfig": routing}))
            .await;
        assert_eq!(changed.status, 200, "{}", changed.text());
    };
    route(&json!({"AdditionalVersionWeights": {}})).await;
    assert_eq!(put().await.status, 202);
    // As in gradual deployments, weights come later and the provisioned concurrency stays.
    route(&routing).await;
    assert_eq!(put().await.error(), refused);
    assert_eq!(host.lambda("GET", path, &Value::Null).await.status, 200);
}
