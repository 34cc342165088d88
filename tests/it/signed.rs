//! Client that signs its requests with AWS's own signer.

use std::time::SystemTime;

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::harness::{ApiResponse, Lamina, ROLE, guest, zipped};

/// Header that declares the SHA-256 of a body.
pub const DIGEST: &str = "x-amz-content-sha256";

/// Caller with an access key; its secret equals its id.
#[derive(Clone, Copy)]
pub struct Signed<'a> {
    pub host: &'a Lamina,
    pub key: &'a str,
}

impl Signed<'_> {
    pub async fn lambda(&self, method: &str, path: &str, body: &Value) -> ApiResponse {
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        self.send("lambda", method, path, &[], body).await
    }

    /// Sends a request to a function URL.
    pub async fn url(&self, domain: &str) -> ApiResponse {
        self.send("lambda", "GET", "/", &[("host", domain)], "")
            .await
    }

    pub async fn logs(&self, operation: &str, body: &Value) -> ApiResponse {
        let target = format!("Logs_20140328.{operation}");
        let headers = [("x-amz-target", target.as_str())];
        self.send("logs", "POST", "/", &headers, body.to_string())
            .await
    }

    pub async fn send(
        &self,
        service: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> ApiResponse {
        let body = body.into();
        let address = self.host.address.to_string();
        let named = headers.iter().any(|(name, _)| *name == "host");
        let own: &[(&str, &str)] = if named { &[] } else { &[("host", &address)] };
        let headers = [own, headers].concat();
        let signature = self.sign(service, method, path, &headers, &body);
        let signature = signature.iter().map(|(name, value)| (&**name, &**value));
        let all: Vec<(&str, &str)> = headers.into_iter().chain(signature).collect();
        self.host.send(method, path, &all, body).await
    }

    /// The headers that sign a request. A digest among its headers is taken for the body's, whatever that is.
    pub fn sign(
        &self,
        service: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Bytes,
    ) -> Vec<(String, String)> {
        let key = self.key;
        let identity = aws_credential_types::Credentials::new(key, key, None, None, "test").into();
        #[expect(
            clippy::disallowed_methods,
            reason = "signatures are made for the time it is"
        )]
        let now = SystemTime::now();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name(service)
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .expect("all is given");
        let host = headers.iter().find(|(name, _)| *name == "host");
        let host = host.map(|(_, host)| *host).unwrap_or_default();
        let uri = format!("http://{host}{path}");
        let declared = headers.iter().find(|(name, _)| *name == DIGEST);
        let body = match declared {
            Some((_, digest)) => SignableBody::Precomputed((*digest).to_owned()),
            None => SignableBody::Bytes(body),
        };
        let request = SignableRequest::new(method, uri, headers.iter().copied(), body);
        let (made, _) = sign(request.expect("it is well-formed"), &params.into())
            .expect("it can be signed")
            .into_parts();
        let headers = made.headers();
        headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// Creates an echo function and waits until it is active.
    pub async fn create(&self, name: &str, more: &Value) {
        let made = self.try_create(name, more).await;
        assert_eq!(made.status, 201, "{}", made.text());
        self.settled(name).await;
    }

    pub async fn try_create(&self, name: &str, more: &Value) -> ApiResponse {
        let mut request = json!({
            "FunctionName": name, "Runtime": "provided.al2023", "Handler": "bootstrap",
            "Role": ROLE, "Code": {"ZipFile": STANDARD.encode(zipped(&guest("echo")))},
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            request[key] = value.clone();
        }
        self.lambda("POST", "/2015-03-31/functions", &request).await
    }

    async fn settled(&self, name: &str) {
        let path = format!("/2015-03-31/functions/{name}/configuration");
        for _ in 0..1_000 {
            let shown = self.lambda("GET", &path, &Value::Null).await.json();
            if shown["State"] == "Active" && shown["LastUpdateStatus"] == "Successful" {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("{name} does not settle");
    }

    pub async fn invoke(&self, name: &str) -> ApiResponse {
        let path = format!("/2015-03-31/functions/{name}/invocations");
        self.lambda("POST", &path, &json!({"x": 1})).await
    }
}
