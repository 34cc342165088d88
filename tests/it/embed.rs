//! Embedded host, as in an edge proxy.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use lamina::{Config, Host};
use serde_json::json;
use tower::ServiceExt;

use crate::harness::{Lamina, example};

/// Data directory with functions of an earlier host.
async fn functions(names: &[&str]) -> tempfile::TempDir {
    let host = Lamina::start();
    for name in names {
        host.create(name, &example(name), json!({})).await;
    }
    host.kill()
}

#[tokio::test]
async fn function_is_invoked_and_served() {
    let dir = functions(&["hello", "http"]).await;
    let config = Config {
        data_dir: dir.path().join("data"),
        ..Config::default()
    };
    let host = Host::open(config).await.expect("the host opens");
    let hello = host.function("hello").expect("a name");
    let answer = hello
        .invoke(r#"{"name":"edge"}"#.into())
        .await
        .expect("it runs");
    assert_eq!(
        (answer.failed, &answer.payload[..]),
        (false, br#""Hello, edge!""#.as_slice())
    );
    assert!(hello.invoke("no JSON".into()).await.is_err());
    assert!(host.function("no such form!").is_err());
    assert!(
        host.function("missing")
            .expect("a name")
            .invoke("{}".into())
            .await
            .is_err()
    );

    let http = host.function("http").expect("a name");
    let request = Request::get("http://edge.example/").body(Full::<Bytes>::default());
    let response = http
        .oneshot(request.expect("well-formed"))
        .await
        .expect("it answers");
    assert_eq!(response.status(), 200);
    let body = response
        .into_body()
        .collect()
        .await
        .expect("it is whole")
        .to_bytes();
    assert!(!body.is_empty());
}

#[tokio::test]
async fn second_host_of_directory_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let config = || Config {
        data_dir: dir.path().to_owned(),
        ..Config::default()
    };
    let _first = Host::open(config()).await.expect("the host opens");
    let second = Host::open(config())
        .await
        .expect_err("it is taken")
        .to_string();
    assert!(second.contains("in use by another process"), "{second}");
}
