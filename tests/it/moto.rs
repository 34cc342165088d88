//! Server of AWS's services for the tests: moto, installed by `tests/run` from PyPI into `.tools`.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::harness::root;

/// Moto on its own port; stopped on drop.
pub struct Moto {
    child: Child,
    pub endpoint: String,
}

/// Response of moto.
pub struct Response {
    pub headers: HeaderMap,
    pub body: String,
}

impl Moto {
    pub async fn start() -> Self {
        Self::started("http", &[]).await
    }

    /// Moto with TLS.
    pub async fn encrypted(certificate: &str, key: &str) -> Self {
        Self::started("https", &["-s", "-c", certificate, "-k", key]).await
    }

    async fn started(scheme: &str, more: &[&str]) -> Self {
        let program = root().join(".tools/venv/bin/moto_server");
        assert!(
            program.exists(),
            "{} is missing: run tests/run",
            program.display()
        );
        let port = free_port();
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        let child = command
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("moto starts");
        let moto = Self {
            child,
            endpoint: format!("{scheme}://127.0.0.1:{port}"),
        };
        for _ in 0..600 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .is_ok()
            {
                return moto;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("moto does not answer");
    }

    /// Sends an operation of SQS.
    pub async fn sqs(&self, operation: &str, body: &Value) -> Value {
        self.call("sqs", &format!("AmazonSQS.{operation}"), body)
            .await
    }

    /// Sends an operation of Kinesis.
    pub async fn kinesis(&self, operation: &str, body: &Value) -> Value {
        self.call("kinesis", &format!("Kinesis_20131202.{operation}"), body)
            .await
    }

    /// Sends an operation of DynamoDB.
    pub async fn dynamo_db(&self, operation: &str, body: &Value) -> Value {
        self.call("dynamodb", &format!("DynamoDB_20120810.{operation}"), body)
            .await
    }

    async fn call(&self, service: &str, operation: &str, body: &Value) -> Value {
        let request = Request::builder()
            .method("POST")
            .uri(format!("{}/", self.endpoint))
            .header("authorization", claim(service))
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", operation)
            .body(Full::new(Bytes::from(body.to_string())))
            .expect("the request is well-formed");
        let http = Client::builder(TokioExecutor::new()).build_http();
        let response = http.request(request).await.expect("moto answers");
        let (parts, body) = response.into_parts();
        let body = body
            .collect()
            .await
            .expect("the answer is whole")
            .to_bytes();
        assert!(parts.status.is_success(), "{operation}: {body:?}");
        serde_json::from_slice(&body).unwrap_or_default()
    }

    /// Unless guarded, moto accepts any credentials.
    pub async fn send(&self, service: &str, method: &str, path: &str, body: &[u8]) -> Response {
        let claim = claim(service);
        let form = match service {
            "iam" | "sns" => "application/x-www-form-urlencoded",
            _ => "application/octet-stream",
        };
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.endpoint))
            .header("authorization", claim)
            .header("content-type", form)
            .body(Full::new(Bytes::copy_from_slice(body)))
            .expect("the request is well-formed");
        let http = Client::builder(TokioExecutor::new()).build_http();
        let response = http.request(request).await.expect("moto answers");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("the answer is whole");
        let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        assert!(parts.status.is_success(), "{method} {path}: {body}");
        let headers = parts.headers;
        Response { headers, body }
    }

    /// Creates a versioned bucket.
    pub async fn bucket(&self, name: &str) {
        self.send("s3", "PUT", &format!("/{name}"), b"").await;
        let versioning = "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                          <Status>Enabled</Status></VersioningConfiguration>";
        let path = format!("/{name}?versioning");
        self.send("s3", "PUT", &path, versioning.as_bytes()).await;
    }

    /// Puts an object and returns its version.
    pub async fn put(&self, path: &str, object: &[u8]) -> String {
        let said = self.send("s3", "PUT", path, object).await;
        let version = said.headers.get("x-amz-version-id");
        let version = version.and_then(|it| it.to_str().ok());
        version.expect("the bucket keeps versions").to_owned()
    }

    /// Creates a user with read access to S3; returns key id and secret. From then on moto checks
    /// credentials.
    pub async fn guarded(&self) -> (String, String) {
        let iam = async |form: &str| self.send("iam", "POST", "/", form.as_bytes()).await.body;
        let policy = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%7B%22Effect%22%3A%22\
                      Allow%22%2C%22Action%22%3A%22s3%3A%2A%22%2C%22Resource%22%3A%22%2A%22%7D%7D";
        iam("Action=CreateUser&UserName=u").await;
        iam(&format!(
            "Action=PutUserPolicy&UserName=u&PolicyName=p&PolicyDocument={policy}"
        ))
        .await;
        let made = iam("Action=CreateAccessKey&UserName=u").await;
        self.send("moto", "POST", "/moto-api/reset-auth", b"0")
            .await;
        (
            within(&made, "<AccessKeyId>", "<"),
            within(&made, "<SecretAccessKey>", "<"),
        )
    }
}

fn claim(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/{service}/aws4_request, \
         SignedHeaders=host, Signature=x"
    )
}

fn within(text: &str, before: &str, after: &str) -> String {
    let rest = text.split(before).nth(1).expect(before);
    rest.split(after).next().unwrap_or_default().to_owned()
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
