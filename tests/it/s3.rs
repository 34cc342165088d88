//! Packages in S3, on a real S3 server: functions and layers from objects, and S3's errors.

use std::process::Command;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::harness::{ApiResponse, Lamina, ROLE, example, guest, root, zipped};
use crate::moto::Moto;

const FUNCTIONS: &str = "/2015-03-31/functions";

/// Requests a function of this code and returns the response.
pub async fn try_create(host: &Lamina, name: &str, code: Value) -> ApiResponse {
    let request = json!({
        "FunctionName": name, "Runtime": "provided.al2023", "Handler": "bootstrap",
        "Role": ROLE, "Code": code,
    });
    host.lambda("POST", FUNCTIONS, &request).await
}

/// S3 server with one object under every key; it records the request lines.
struct RecordingServer {
    endpoint: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl RecordingServer {
    async fn start(object: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("it is bound"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = asked.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.expect("a request"));
                }
                let head = String::from_utf8(head).expect("text");
                let line = head.lines().next().unwrap_or_default().to_owned();
                noted.lock().expect("no test failed").push(line);
                let length = object.len();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
                );
                let answer = [answer.as_bytes(), &object].concat();
                stream.write_all(&answer).await.expect("the host reads");
            }
        });
        Self { endpoint, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no test failed").clone()
    }
}

/// Host with this S3 endpoint and more settings of `[s3]`.
pub fn host_of(endpoint: &str, more: &str) -> Lamina {
    Lamina::configured(&format!("[s3]\nendpoint = \"{endpoint}\"\n{more}"))
}

/// Credentials that moto accepts unless guarded.
const ANY_KEYS: &str = "access_key_id = \"x\"\nsecret_access_key = \"x\"";

pub async fn require_refused(host: &Lamina, code: Value, expected: &str) {
    let refused = try_create(host, "refused", code.clone()).await;
    let expected = ("InvalidParameterValueException".into(), expected.to_owned());
    assert_eq!(
        (refused.status.as_u16(), refused.error()),
        (400, expected),
        "{code}"
    );
    assert_eq!(refused.json()["Type"], "User");
    let path = format!("{FUNCTIONS}/refused");
    let there = host.lambda("GET", &path, &Value::Null).await;
    assert_eq!(there.status, 404, "nothing was made");
}

#[tokio::test]
async fn function_is_created_and_updated_from_s3() {
    let moto = Moto::start().await;
    moto.bucket("code").await;
    let (hello, echo) = (zipped(&example("hello")), zipped(&guest("echo")));
    let first = moto.put("/code/a%20b/%C3%BC%2B%26%3D%25.zip", &hello).await;
    let second = moto.put("/code/a%20b/%C3%BC%2B%26%3D%25.zip", &echo).await;
    assert_ne!(first, second);
    let host = host_of(&moto.endpoint, ANY_KEYS);
    let uploaded = host.try_create("uploaded", &hello, json!({})).await.json();

    let at = json!({"S3Bucket": "code", "S3Key": "a b/ü+&=%.zip", "S3ObjectVersion": first});
    let made = try_create(&host, "f", at.clone()).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let made = made.json();
    for member in ["CodeSha256", "CodeSize"] {
        assert_eq!(made[member], uploaded[member], "{member}");
    }
    host.settled("f").await;
    let answer = host.invoke("f", &json!({"name": "S3"})).await;
    assert_eq!(answer.text(), "\"Hello, S3!\"");

    // Without a version id, the latest is used.
    let code = format!("{FUNCTIONS}/f/code");
    let newest = json!({"S3Bucket": "code", "S3Key": "a b/ü+&=%.zip"});
    let mut dry = newest.clone();
    dry["DryRun"] = json!(true);
    let tried = host.lambda("PUT", &code, &dry).await;
    assert_eq!(tried.status, 200, "{}", tried.text());
    assert_ne!(tried.json()["CodeSha256"], made["CodeSha256"]);
    let answer = host.invoke("f", &json!({"name": "S3"})).await;
    assert_eq!(answer.text(), "\"Hello, S3!\"", "it was a dry run");
    let updated = host.lambda("PUT", &code, &newest).await;
    assert_eq!(updated.status, 200, "{}", updated.text());
    assert_eq!(updated.json()["CodeSha256"], tried.json()["CodeSha256"]);
    host.settled("f").await;
    assert_eq!(host.invoke("f", &json!(7)).await.text(), "7");

    let mut back = at;
    back["S3ObjectStorageMode"] = json!("COPY");
    back["Publish"] = json!(true);
    let published = host.lambda("PUT", &code, &back).await.json();
    assert_eq!(published["Version"], "1");
    assert_eq!(published["CodeSha256"], made["CodeSha256"]);
}

#[tokio::test]
async fn object_keys_are_signed_and_fetched_unchanged() {
    let server = RecordingServer::start(zipped(&guest("echo"))).await;
    let keys = ["/a.zip", "a//b.zip", "//", "a/", "a/../b.zip", "./a.zip"];
    let host = host_of(&server.endpoint, ANY_KEYS);
    for (number, key) in keys.into_iter().enumerate() {
        let code = json!({"S3Bucket": "code", "S3Key": key});
        let made = try_create(&host, &format!("f{number}"), code).await;
        assert_eq!(made.status, 201, "{key}: {}", made.text());
    }
    let asked: Vec<String> = keys.map(|key| format!("GET /code/{key} HTTP/1.1")).into();
    assert_eq!(server.asked(), asked);
}

#[tokio::test]
async fn s3_error_is_passed_on() {
    let moto = Moto::start().await;
    moto.bucket("code").await;
    moto.put("/code/here.zip", &zipped(&guest("echo"))).await;
    let host = host_of(&moto.endpoint, ANY_KEYS);
    let said = |code: &str, message: &str| {
        format!(
            "Error occurred while GetObject. S3 Error Code: {code}. S3 Error Message: {message}"
        )
    };
    let cases = [
        (
            json!({"S3Bucket": "missing", "S3Key": "here.zip"}),
            said("NoSuchBucket", "The specified bucket does not exist"),
        ),
        (
            json!({"S3Bucket": "code", "S3Key": "missing.zip"}),
            said("NoSuchKey", "The specified key does not exist."),
        ),
        (
            json!({"S3Bucket": "code", "S3Key": "here.zip",
                   "S3ObjectVersion": "11111111-1111-1111-1111-111111111111"}),
            said("NoSuchVersion", "The specified version does not exist."),
        ),
    ];
    for (code, expected) in &cases {
        require_refused(&host, code.clone(), expected).await;
    }

    host.create("f", &guest("echo"), json!({})).await;
    let before = host.settled("f").await;
    let path = format!("{FUNCTIONS}/f/code");
    for (code, expected) in &cases {
        let refused = host.lambda("PUT", &path, code).await;
        assert_eq!(refused.status, 400);
        assert_eq!(&refused.error().1, expected);
    }
    assert_eq!(host.settled("f").await, before, "nothing was changed");
    let taken = json!({"S3Bucket": "missing", "S3Key": "here.zip"});
    let taken = try_create(&host, "f", taken).await;
    assert_eq!(taken.error().0, "ResourceConflictException");
}

#[tokio::test]
async fn layer_is_published_from_s3() {
    let moto = Moto::start().await;
    moto.bucket("code").await;
    let package = zipped(&guest("echo"));
    let version = moto.put("/code/layer.zip", &package).await;
    let host = host_of(&moto.endpoint, ANY_KEYS);
    let path = "/2018-10-31/layers/l/versions";
    let publish = async |content: Value| {
        let request = json!({"Content": content});
        host.lambda("POST", path, &request).await
    };
    let uploaded = publish(json!({"ZipFile": STANDARD.encode(&package)})).await;
    let at = json!({"S3Bucket": "code", "S3Key": "layer.zip", "S3ObjectVersion": version});
    let fetched = publish(at).await;
    assert_eq!(fetched.status, 201, "{}", fetched.text());
    let (uploaded, fetched) = (uploaded.json(), fetched.json());
    assert_eq!(fetched["Version"], 2);
    for member in ["CodeSha256", "CodeSize"] {
        let (one, other) = (&uploaded["Content"][member], &fetched["Content"][member]);
        assert_eq!(one, other, "{member}");
    }
    let missing = publish(json!({"S3Bucket": "code", "S3Key": "missing.zip"})).await;
    let expected = "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: \
                    The specified key does not exist.";
    let error = ("InvalidParameterValueException".into(), expected.into());
    assert_eq!(missing.error(), error);
    let listed = host.lambda("GET", path, &Value::Null).await.json();
    let versions = listed["LayerVersions"].as_array().map(Vec::len);
    assert_eq!(
        versions,
        Some(2),
        "a number is not spent on what is missing"
    );
}

#[tokio::test]
async fn s3_requests_are_signed_with_configured_keys() {
    let moto = Moto::start().await;
    moto.bucket("code").await;
    let package = zipped(&guest("echo"));
    let version = moto.put("/code/a%20b.zip", &package).await;
    moto.put("/code//odd//key/", &package).await;
    let (id, secret) = moto.guarded().await;
    let code = json!({"S3Bucket": "code", "S3Key": "a b.zip", "S3ObjectVersion": version});
    let keys = |secret: &str| format!("access_key_id = \"{id}\"\nsecret_access_key = \"{secret}\"");
    let host = host_of(&moto.endpoint, &keys(&secret));
    let made = try_create(&host, "f", code.clone()).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let odd = json!({"S3Bucket": "code", "S3Key": "/odd//key/"});
    let made = try_create(&host, "odd", odd).await;
    assert_eq!(made.status, 201, "{}", made.text());

    let host = host_of(&moto.endpoint, &keys("wrong"));
    let refused = try_create(&host, "f", code).await.error();
    assert_eq!(refused.0, "InvalidParameterValueException");
    let expected = "Error occurred while GetObject. S3 Error Code: SignatureDoesNotMatch. \
                    S3 Error Message: The request signature we calculated";
    assert!(refused.1.starts_with(expected), "{refused:?}");
}

#[tokio::test]
async fn s3_settings_default_to_environment() {
    let moto = Moto::start().await;
    moto.bucket("code").await;
    moto.put("/code/a.zip", &zipped(&guest("echo"))).await;
    let code = json!({"S3Bucket": "code", "S3Key": "a.zip"});
    let variables = [
        ("AWS_ENDPOINT_URL", moto.endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", "x"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
        ("AWS_REGION", "eu-west-1"),
    ];
    let host = Lamina::with_environment("", &variables);
    assert_eq!(try_create(&host, "f", code.clone()).await.status, 201);

    let mut elsewhere = variables;
    elsewhere[0].1 = "http://127.0.0.1:9";
    let file = format!("[s3]\nendpoint = \"{}\"", moto.endpoint);
    let host = Lamina::with_environment(&file, &elsewhere);
    assert_eq!(try_create(&host, "f", code).await.status, 201);
}

#[tokio::test]
async fn private_ca_is_trusted_if_machine_trusts_it() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| {
        let path = dir.path().join(name);
        path.to_str().expect("UTF-8").to_owned()
    };
    let made = Command::new(root().join(".tools/venv/bin/python"))
        .arg(root().join("tests/clients/certificate.py"))
        .arg(dir.path())
        .status();
    assert!(made.expect("python runs").success());
    let moto = Moto::encrypted(&path("server.pem"), &path("server.key")).await;
    let code = json!({"S3Bucket": "missing", "S3Key": "a.zip"});
    let file = format!("[s3]\nendpoint = \"{}\"\n{ANY_KEYS}", moto.endpoint);
    let authority = path("authority.pem");
    let host = Lamina::with_environment(&file, &[("SSL_CERT_FILE", &authority)]);
    let refused = try_create(&host, "f", code.clone()).await.error().1;
    assert!(refused.contains("NoSuchBucket"), "{refused}");

    let host = Lamina::configured(&file);
    let refused = try_create(&host, "f", code).await.error().1;
    assert!(refused.contains("could not be reached"), "{refused}");
}
