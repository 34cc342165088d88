//! Code signing configurations through the API: lifecycle, functions that use them, refusals.

use serde_json::{Value, json};

use crate::harness::{Lamina, guest, zipped};
use crate::signing::{CONFIGS, configure, of_function};

const FUNCTIONS: &str = "/2015-03-31/functions";
const FAKE: &str = "arn:aws:signer:us-east-1:000000000000:/signing-profiles/test/0123456789";

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told from start to end")]
async fn unused_configuration_is_changed_and_deleted() {
    // Built first: building may take longer than the host keeps an idle connection.
    let echo = guest("echo");
    let host = Lamina::start();
    let request = json!({
        "AllowedPublishers": {"SigningProfileVersionArns": [FAKE]}, "Tags": {"k": "v"},
    });
    let made = host.lambda("POST", CONFIGS, &request).await;
    assert_eq!(made.status, 201);
    let made = made.json()["CodeSigningConfig"].clone();
    let id = made["CodeSigningConfigId"].as_str().expect("an id");
    let digits = id.strip_prefix("csc-").expect("its prefix");
    assert!(
        digits.len() == 17 && digits.bytes().all(|it| it.is_ascii_hexdigit()),
        "{id}"
    );
    let arn = format!("arn:aws:lambda:us-east-1:000000000000:code-signing-config:{id}");
    let modified = made["LastModified"].as_str().expect("a date");
    assert!(
        modified.len() == 28 && modified.ends_with("+0000"),
        "{modified}"
    );
    assert_eq!(
        made,
        json!({
            "CodeSigningConfigArn": arn, "CodeSigningConfigId": id, "LastModified": modified,
            "AllowedPublishers": {"SigningProfileVersionArns": [FAKE]},
            "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": "Warn"},
        })
    );
    let path = format!("{CONFIGS}/{arn}");
    let change = json!({"Description": "d", "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": "Enforce"}});
    let changed = host.lambda("PUT", &path, &change).await;
    assert_eq!(changed.status, 200);
    let got = host.lambda("GET", &path, &Value::Null).await;
    assert_eq!(got.json(), changed.json());
    let config = &got.json()["CodeSigningConfig"];
    assert_eq!(config["Description"], "d");
    assert_eq!(config["AllowedPublishers"], made["AllowedPublishers"]);
    assert_eq!(
        config["CodeSigningPolicies"]["UntrustedArtifactOnDeployment"],
        "Enforce"
    );

    host.create("f", &echo, json!({})).await;
    let none = host.lambda("GET", &of_function("f"), &Value::Null).await;
    assert_eq!((none.status.as_u16(), none.json()), (200, json!({})));
    let revision = host.settled("f").await["RevisionId"].clone();
    let put = host
        .lambda(
            "PUT",
            &of_function("f"),
            &json!({"CodeSigningConfigArn": arn}),
        )
        .await;
    let has = json!({"CodeSigningConfigArn": arn, "FunctionName": "f"});
    assert_eq!((put.status.as_u16(), put.json()), (200, has.clone()));
    assert_eq!(host.settled("f").await["RevisionId"], revision);
    let by_arn = of_function("arn:aws:lambda:us-east-1:000000000000:function:f");
    assert_eq!(host.lambda("GET", &by_arn, &Value::Null).await.json(), has);
    let users = format!("{path}/functions");
    let listed = host.lambda("GET", &users, &Value::Null).await.json();
    let function = "arn:aws:lambda:us-east-1:000000000000:function:f";
    assert_eq!(listed, json!({"FunctionArns": [function]}));
    let kept = host.lambda("DELETE", &path, &Value::Null).await;
    assert_eq!(
        (kept.status.as_u16(), kept.error().0.as_str()),
        (409, "ResourceConflictException")
    );

    let dir = host.kill();
    let host = Lamina::in_dir(dir, "");
    assert_eq!(
        host.lambda("GET", &of_function("f"), &Value::Null)
            .await
            .json(),
        has
    );
    // Unused again after its function is deleted.
    let gone = host
        .lambda("DELETE", &format!("{FUNCTIONS}/f"), &Value::Null)
        .await;
    assert_eq!(gone.status, 204);
    let listed = host.lambda("GET", &users, &Value::Null).await.json();
    assert_eq!(listed, json!({"FunctionArns": []}));
    assert_eq!(host.lambda("DELETE", &path, &Value::Null).await.status, 204);
    let again = host.lambda("DELETE", &path, &Value::Null).await;
    assert_eq!(again.status, 404);
}

#[tokio::test]
async fn missing_resource_error_is_awss() {
    let package = zipped(&guest("echo"));
    let host = Lamina::start();
    let arn = "arn:aws:lambda:us-east-1:000000000000:code-signing-config:csc-0123456789abcdef0";
    let path = format!("{CONFIGS}/{arn}");
    let text = format!("The Lambda code signing configuration {arn} can not be found.");
    let users = format!("{path}/functions");
    for (method, path) in [
        ("GET", &path),
        ("PUT", &path),
        ("DELETE", &path),
        ("GET", &users),
    ] {
        let missing = host.lambda(method, path, &json!({})).await;
        assert_eq!(missing.status, 404);
        assert_eq!(
            missing.header("x-amzn-errortype"),
            "ResourceNotFoundException"
        );
        assert_eq!(missing.json(), json!({"Message": text}), "{method} {path}");
    }
    let text = format!(
        "The code signing configuration cannot be found. Check that the provided configuration is \
         not deleted: {arn}."
    );
    let body = json!({"Type": "User", "Message": text});
    let asked = json!({"CodeSigningConfigArn": arn});
    // The configuration is checked before the function.
    let put = host.lambda("PUT", &of_function("none"), &asked).await;
    assert_eq!((put.status.as_u16(), put.json()), (404, body.clone()));
    assert_eq!(
        put.header("x-amzn-errortype"),
        "CodeSigningConfigNotFoundException"
    );
    let made = host.try_create("f", &package, asked).await;
    assert_eq!((made.status.as_u16(), made.json()), (404, body));
    let config = configure(&host, &[FAKE], "Warn").await;
    let text = "Function not found: arn:aws:lambda:us-east-1:000000000000:function:none";
    let asked = json!({"CodeSigningConfigArn": config});
    for (method, body) in [
        ("PUT", &asked),
        ("GET", &Value::Null),
        ("DELETE", &Value::Null),
    ] {
        let missing = host.lambda(method, &of_function("none"), body).await;
        let expected = ("ResourceNotFoundException".into(), text.into());
        assert_eq!(
            (missing.status.as_u16(), missing.error()),
            (404, expected),
            "{method}"
        );
    }
    let elsewhere = arn.replace("000000000000", "111111111111");
    let other = host
        .lambda("GET", &format!("{CONFIGS}/{elsewhere}"), &Value::Null)
        .await;
    assert_eq!(other.status, 404);
}

#[tokio::test]
async fn configurations_are_listed_in_pages() {
    let echo = guest("echo");
    let host = Lamina::start();
    let mut arns = Vec::new();
    for _ in 0..3 {
        arns.push(configure(&host, &[FAKE], "Warn").await);
    }
    arns.sort();
    let mut found = Vec::new();
    let mut marker = String::new();
    for expected in [2, 1] {
        let path = format!("{CONFIGS}?MaxItems=2{marker}");
        let page = host.lambda("GET", &path, &Value::Null).await.json();
        let items = page["CodeSigningConfigs"].as_array().expect("a list");
        assert_eq!(items.len(), expected);
        let arn = |it: &Value| it["CodeSigningConfigArn"].as_str().map(str::to_owned);
        found.extend(items.iter().filter_map(arn));
        marker = page["NextMarker"]
            .as_str()
            .map_or(String::new(), |it| format!("&Marker={it}"));
    }
    assert_eq!((found, marker.as_str()), (arns.clone(), ""));
    for name in ["a", "b", "c"] {
        host.create(name, &echo, json!({"CodeSigningConfigArn": arns[0]}))
            .await;
    }
    let path = format!("{CONFIGS}/{}/functions?MaxItems=2", arns[0]);
    let page = host.lambda("GET", &path, &Value::Null).await.json();
    let arn = |name: &str| format!("arn:aws:lambda:us-east-1:000000000000:function:{name}");
    assert_eq!(page["FunctionArns"], json!([arn("a"), arn("b")]));
    let next = page["NextMarker"].as_str().expect("there is more");
    let page = host
        .lambda("GET", &format!("{path}&Marker={next}"), &Value::Null)
        .await;
    assert_eq!(page.json(), json!({"FunctionArns": [arn("c")]}));
    let other = format!("{CONFIGS}/{}/functions", arns[1]);
    let page = host.lambda("GET", &other, &Value::Null).await;
    assert_eq!(page.json(), json!({"FunctionArns": []}));
}

#[tokio::test]
async fn configuration_in_use_is_not_deleted() {
    let echo = guest("echo");
    let host = std::sync::Arc::new(Lamina::start());
    host.create("f", &echo, json!({})).await;
    for _ in 0..20 {
        let config = configure(&host, &[FAKE], "Warn").await;
        let put = tokio::spawn({
            let (host, asked) = (host.clone(), json!({"CodeSigningConfigArn": config}));
            async move { host.lambda("PUT", &of_function("f"), &asked).await.status }
        });
        let delete = tokio::spawn({
            let (host, path) = (host.clone(), format!("{CONFIGS}/{config}"));
            async move { host.lambda("DELETE", &path, &Value::Null).await.status }
        });
        let (put, delete) = (put.await.expect("it ends"), delete.await.expect("it ends"));
        let has = host
            .lambda("GET", &of_function("f"), &Value::Null)
            .await
            .json();
        let outcome = (put.as_u16(), delete.as_u16());
        match outcome {
            (200, 409) => assert_eq!(has["CodeSigningConfigArn"], config),
            (404, 204) => assert_ne!(has["CodeSigningConfigArn"], config),
            _ => panic!("{outcome:?}"),
        }
    }
}

#[tokio::test]
async fn invalid_configuration_is_refused() {
    let host = Lamina::start();
    let publishers =
        |arns: Value| json!({"AllowedPublishers": {"SigningProfileVersionArns": arns}});
    let mut policy = publishers(json!([FAKE]));
    policy["CodeSigningPolicies"] = json!({"UntrustedArtifactOnDeployment": "Maybe"});
    let mut long = publishers(json!([FAKE]));
    long["Description"] = "d".repeat(257).into();
    let mut tags = publishers(json!([FAKE]));
    tags["Tags"] = (0..51)
        .map(|it| (it.to_string(), json!("")))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let cases = [
        (json!({}), "ValidationException", "allowedPublishers"),
        (
            publishers(json!([])),
            "ValidationException",
            "length greater than or equal to 1",
        ),
        (
            publishers(json!(vec![FAKE; 21])),
            "ValidationException",
            "length less than or equal to 20",
        ),
        (
            publishers(json!(["nobody"])),
            "ValidationException",
            "pattern",
        ),
        (publishers(json!("x")), "SerializationException", ""),
        (policy, "ValidationException", "[Enforce, Warn]"),
        (long, "ValidationException", "256"),
        (
            tags,
            "InvalidParameterValueException",
            "Number of tags exceeds resource tag limit.",
        ),
    ];
    for (body, name, text) in cases {
        let refused = host.lambda("POST", CONFIGS, &body).await;
        let (found, message) = refused.error();
        assert_eq!(
            (refused.status.as_u16(), found.as_str()),
            (400, name),
            "{body}: {message}"
        );
        assert!(message.contains(text), "{body}: {message}");
    }
    for arn in [
        "csc-1",
        "arn:aws:lambda:us-east-1:000000000000:code-signing-config:csc-%2F",
    ] {
        let refused = host
            .lambda("GET", &format!("{CONFIGS}/{arn}"), &Value::Null)
            .await;
        assert_eq!(
            refused.error().0,
            "ValidationException",
            "{arn}: {}",
            refused.text()
        );
    }
    assert_eq!(
        host.lambda("GET", CONFIGS, &Value::Null).await.json()["CodeSigningConfigs"],
        json!([])
    );
}
