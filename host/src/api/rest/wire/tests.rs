use http::Method;
use serde_json::json;

use super::*;
use crate::names::RequestId;

fn operation(method: &str, target: &str) -> Option<(Operation, String)> {
    let (path, query) = target
        .split_once('?')
        .map_or((target, None), |(a, b)| (a, Some(b)));
    let found = route(&Method::from_bytes(method.as_bytes()).unwrap(), path, query).ok()?;
    Some((found.operation(), found.label("FunctionName").to_owned()))
}

#[test]
fn request_is_routed_to_operation() {
    let arn = "arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Af";
    let cases = [
        ("POST /2015-03-31/functions", Operation::CreateFunction, ""),
        ("POST /2015-03-31/functions/", Operation::CreateFunction, ""),
        (
            "GET /2015-03-31/functions/?MaxItems=5",
            Operation::ListFunctions,
            "",
        ),
        (
            "POST /2015-03-31/functions/f/invocations",
            Operation::Invoke,
            "f",
        ),
        (
            "GET /2015-03-31/functions/f?Qualifier=1",
            Operation::GetFunction,
            "f",
        ),
        (
            "GET /2018-10-31/layers?find=LayerVersion&Arn=x",
            Operation::GetLayerVersionByArn,
            "",
        ),
        ("GET /2018-10-31/layers", Operation::ListLayers, ""),
        (
            "GET /2019-09-30/functions/f/provisioned-concurrency?List=ALL",
            Operation::ListProvisionedConcurrencyConfigs,
            "f",
        ),
        (
            "GET /2019-09-30/functions/f/provisioned-concurrency",
            Operation::GetProvisionedConcurrencyConfig,
            "f",
        ),
    ];
    for (request, expected, label) in cases {
        let (method, target) = request.split_once(' ').unwrap();
        assert_eq!(
            operation(method, target),
            Some((expected, label.to_owned())),
            "{request}"
        );
    }
    let (_, label) = operation("GET", &format!("/2015-03-31/functions/{arn}")).unwrap();
    assert_eq!(label, "arn:aws:lambda:us-east-1:123456789012:function:f");
}

#[test]
fn unknown_path_and_unknown_method_are_told_apart() {
    let wrong = route(&Method::PATCH, "/2015-03-31/functions/f", None).unwrap_err();
    assert_eq!(
        wrong,
        RouteError::WrongMethod {
            allowed: vec![Method::DELETE, Method::GET]
        }
    );
    for path in [
        "/",
        "",
        "/2015-03-31",
        "/2015-03-31/functions//invocations",
        "/a/b/c/d/e/f/g",
    ] {
        assert_eq!(
            route(&Method::GET, path, None),
            Err(RouteError::UnknownPath),
            "{path}"
        );
    }
}

#[test]
fn path_or_query_that_is_not_utf8_is_refused() {
    for (path, query) in [
        ("/2015-03-31/functions/f%ff", None),
        ("/2015-03-31/functions/f", Some("Qualifier=%ff")),
        ("/2015-03-31/functions/f", Some("%c3=x")),
    ] {
        let found = route(&Method::GET, path, query);
        assert_eq!(found, Err(RouteError::NotText), "{path} {query:?}");
    }
    let whole = route(&Method::GET, "/2015-03-31/functions/%c3%bc%zz", None).unwrap();
    assert_eq!(whole.label("FunctionName"), "\u{fc}%zz");
}

#[test]
fn operation_is_reached_by_its_uri() {
    let model: Value =
        serde_json::from_str(include_str!("../../../../model/lambda-2015-03-31.json")).unwrap();
    for (name, operation) in model["operations"].as_object().unwrap() {
        let uri = operation["http"]["requestUri"].as_str().unwrap();
        let target = uri.replace(['{', '}'], "x");
        let (path, query) = target
            .split_once('?')
            .map_or((&*target, None), |(a, b)| (a, Some(b)));
        let method = operation["http"]["method"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!(
            route(&method, path, query).unwrap().operation().name(),
            name
        );
    }
}

/// Violations of a request to create a function.
fn refusal(body: &Value) -> String {
    let route = route(&Method::POST, "/2015-03-31/functions", None).unwrap();
    let body = Bytes::from(body.to_string());
    let parsed = parse::<CreateFunctionRequest>(&route, None, &HeaderMap::new(), &body);
    parsed.map_or_else(|rejection| rejection.to_string(), |_| String::new())
}

const NOT_32_BITS: &str =
    "The value at 'reservedConcurrentExecutions' is not a whole number of 32 bits.";

/// Violations of a request to reserve concurrency.
fn refused_reserve(reserve: i64) -> String {
    let path = "/2017-10-31/functions/f/concurrency";
    let route = route(&Method::PUT, path, None).unwrap();
    let body = Bytes::from(json!({"ReservedConcurrentExecutions": reserve}).to_string());
    let parsed = parse::<PutFunctionConcurrencyRequest>(&route, None, &HeaderMap::new(), &body);
    parsed.map_or_else(|rejection| rejection.to_string(), |_| String::new())
}

fn with(name: &str, value: Value) -> Value {
    let mut request = json!({
        "FunctionName": "f", "Role": "arn:aws:iam::123456789012:role/r", "Handler": "bootstrap",
        "Runtime": "provided.al2023", "Code": {"ZipFile": ""},
    });
    request[name] = value;
    request
}

#[test]
fn violation_has_awss_message() {
    assert_eq!(refusal(&with("Timeout", json!(3))), "");
    assert_eq!(
        refusal(&with("Architectures", json!(["foo"]))),
        "1 validation error detected: Value '[foo]' at 'architectures' failed to satisfy \
         constraint: Member must satisfy constraint: [Member must satisfy enum value set: \
         [x86_64, arm64], Member must not be null]"
    );
    assert_eq!(
        refusal(&with("Timeout", json!(0))),
        "1 validation error detected: Value '0' at 'timeout' failed to satisfy constraint: Member \
         must have value greater than or equal to 1"
    );
    assert_eq!(
        refusal(&with("Role", json!("r"))),
        "1 validation error detected: Value 'r' at 'role' failed to satisfy constraint: Member \
         must satisfy regular expression pattern: \
         arn:(aws[a-zA-Z-]*)?:iam::\\d{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+"
    );
    let nothing = refusal(&json!({}));
    assert!(
        nothing.starts_with("3 validation errors detected: Value null at '"),
        "{nothing}"
    );
    assert!(nothing.contains(
        "Value null at 'functionName' failed to satisfy constraint: Member must not be null"
    ));
    let variables = json!({"Variables": {"1bad": "x"}});
    let keys = refusal(&with("Environment", variables));
    assert!(
        keys.contains("Value '{1bad=x}' at 'environment.variables'"),
        "{keys}"
    );
    assert!(
        keys.contains("Map keys must satisfy constraint: [Member must"),
        "{keys}"
    );
}

/// Violations of a request of an operation.
fn told(operation: Operation, request: &Value) -> String {
    let refused = check::check(operation.input(), request);
    refused.unwrap_err().to_string()
}

#[test]
fn enum_values_have_awss_order() {
    let recursion = json!({"FunctionName": "f", "RecursiveLoop": "?"});
    let snap_start = with("SnapStart", json!({"ApplyOn": "?"}));
    let mapping = json!({"FunctionName": "f", "StartingPosition": "?"});
    let cases = [
        (
            Operation::PutFunctionRecursionConfig,
            recursion,
            "[Terminate, Allow]",
        ),
        (
            Operation::CreateFunction,
            snap_start,
            "[PublishedVersions, None]",
        ),
        (
            Operation::CreateFunction,
            with("Architectures", json!(["?"])),
            "[x86_64, arm64]",
        ),
        (
            Operation::CreateEventSourceMapping,
            mapping,
            "[LATEST, AT_TIMESTAMP, TRIM_HORIZON]",
        ),
    ];
    for (operation, request, expected) in cases {
        let told = told(operation, &request);
        assert!(told.contains(expected), "{told}");
    }
    let open = ["nodejs20.x", "python3.14", "provided.al2023", "java25"];
    let places: Vec<_> = open
        .map(|name| RUNTIMES.iter().position(|it| *it == name))
        .into();
    assert!(places.is_sorted() && places[0].is_some(), "{places:?}");
}

#[test]
fn number_key_and_item_violations_have_awss_message() {
    let alias = |weights: Value| {
        let routing = json!({"AdditionalVersionWeights": weights});
        let alias = json!({"FunctionName": "f", "Name": "a", "FunctionVersion": "1"});
        let mut alias = alias.as_object().unwrap().clone();
        alias.insert("RoutingConfig".into(), routing);
        told(Operation::CreateAlias, &Value::Object(alias))
    };
    let high = alias(json!({"7": 3}));
    assert!(high.contains("Value '{7=3.0}' at"), "{high}");
    assert!(high.ends_with(", Member must not be null]"), "{high}");
    let key = alias(json!({"x": 0.25}));
    assert!(key.contains("Value '{x=0.25}' at"), "{key}");
    assert!(key.ends_with("pattern: [0-9]+]"), "{key}");
    let vpc = refusal(&with("VpcConfig", json!({"SubnetIds": ["net"]})));
    assert!(vpc.ends_with("pattern: subnet-[0-9a-z]*]"), "{vpc}");
}

#[test]
fn runtimes_of_a_layer_are_reported_first_and_as_one() {
    let route = route(&Method::POST, "/2018-10-31/layers/l/versions", None).unwrap();
    let body = json!({
        "Content": {"ZipFile": ""}, "CompatibleArchitectures": ["z80"],
        "CompatibleRuntimes": ["cobol", "java21"],
    });
    let body = Bytes::from(body.to_string());
    let parsed = parse::<PublishLayerVersionRequest>(&route, None, &HeaderMap::new(), &body);
    let text = parsed.map_or_else(|rejection| rejection.to_string(), |_| String::new());
    let (runtimes, architectures) = text.split_once("; ").unwrap();
    let expected = "2 validation errors detected: Value '[cobol, java21]' at \
                    'compatibleRuntimes' failed to satisfy constraint: Member must satisfy enum \
                    value set: [";
    assert!(runtimes.starts_with(expected), "{runtimes}");
    assert!(!runtimes.contains("not be null"), "{runtimes}");
    assert_eq!(
        architectures,
        "Value '[z80]' at 'compatibleArchitectures' failed to satisfy constraint: Member must \
         satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], Member must not \
         be null]"
    );
}

#[test]
fn value_of_wrong_type_is_refused() {
    assert_eq!(
        refusal(&with("Timeout", json!("3"))),
        "The value at 'timeout' is not a whole number."
    );
    // The model limits Timeout, so AWS's message comes first.
    let told = refusal(&with("Timeout", json!(1_i64 << 32)));
    assert!(told.contains("less than or equal to 5400"), "{told}");
    assert_eq!(refused_reserve(1 << 32), NOT_32_BITS);
    assert_eq!(
        refused_reserve(-1),
        "1 validation error detected: Value '-1' at \
        'reservedConcurrentExecutions' failed to satisfy constraint: Member must have value greater \
        than or equal to 0"
    );
    assert_eq!(
        refusal(&with("Tags", json!([]))),
        "The value at 'tags' is not an object."
    );
    assert_eq!(
        refusal(&with("Code", json!({"ZipFile": "%"}))),
        "The value at 'code.zipFile' is not base64."
    );
    assert!(refusal(&json!([])).starts_with("Could not parse request body into json"));
}

#[test]
fn error_spells_message_as_its_shape_does() {
    let id = RequestId::random(&crate::clock::Clock::system());
    let cases = [
        (
            ErrorShape::ResourceNotFoundException,
            404,
            r#"{"Type":"User","Message":"m"}"#,
        ),
        (
            ErrorShape::InvalidParameterValueException,
            400,
            r#"{"Type":"User","message":"m"}"#,
        ),
        (
            ErrorShape::ResourceConflictException,
            409,
            r#"{"Type":"User","message":"m"}"#,
        ),
        (
            ErrorShape::ServiceException,
            500,
            r#"{"Type":"Service","Message":"m"}"#,
        ),
        (ErrorShape::ValidationException, 400, r#"{"message":"m"}"#),
        (
            ErrorShape::PreconditionFailedException,
            412,
            r#"{"Type":"User","message":"m"}"#,
        ),
    ];
    for (shape, status, body) in cases {
        let response = Fault::new(shape, "m").into_response(&id);
        assert_eq!(response.status(), status, "{shape:?}");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let whole = http_body_util::BodyExt::collect(response.into_body());
        let bytes = runtime.block_on(whole).unwrap().to_bytes();
        assert_eq!(bytes, body, "{shape:?}");
    }
}
