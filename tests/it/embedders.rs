//! Example programs that run functions inside themselves, each built, run and called.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::harness::{embedder, example, guest, root};

/// Callers of a load.
const CALLERS: usize = 8;

/// A running example.
struct Embedder {
    child: Child,
    url: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Embedder {
    fn start(name: &str, arguments: &[&Path]) -> Self {
        let program = embedder(name);
        let child = Command::new(&program)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let mut lines = BufReader::new(child.stdout.take().expect("it was piped")).lines();
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .find(|line| line.starts_with("http://"))
            .expect("it prints its address");
        // Drained, because a full pipe would block the program.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            url,
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    async fn send(&self, method: &str, path: &str, body: impl Into<Bytes>) -> (StatusCode, Bytes) {
        self.send_as("Bearer let-me-in", method, path, body).await
    }

    async fn send_as(
        &self,
        authorization: &str,
        method: &str,
        path: &str,
        body: impl Into<Bytes>,
    ) -> (StatusCode, Bytes) {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("authorization", authorization)
            .body(Full::new(body.into()));
        let request = self.client.request(request.expect("well-formed")).await;
        let response = request.expect("it answers");
        let status = response.status();
        let body = response.into_body().collect().await;
        (status, body.expect("it is whole").to_bytes())
    }
}

impl Drop for Embedder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn written(dir: &TempDir, name: &str, component: &[u8]) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, component).expect("it is written");
    path
}

#[tokio::test]
async fn hyper_server_serves_a_function() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let component = written(&dir, "http.wasm", &example("http"));
    let server = Embedder::start("embed-hyper", &[&component, &dir.path().join("data")]);
    let (status, body) = server.send("GET", "/", "").await;
    assert_eq!(
        (status.as_u16(), &body[..]),
        (200, &b"Hello from wasi:http!\n"[..])
    );
    let large = Bytes::from(vec![b'x'; 10 << 20]);
    let (status, body) = server.send("POST", "/echo", large.clone()).await;
    assert_eq!(status, 200);
    assert!(body == large, "{} bytes came back", body.len());
}

#[tokio::test]
async fn axum_routes_to_functions() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let web = written(&dir, "http.wasm", &example("http"));
    let hello = written(&dir, "hello.wasm", &example("hello"));
    let filter = written(&dir, "filter.wasm", &example("filter"));
    let data = dir.path().join("data");
    let server = Embedder::start("embed-axum", &[&web, &hello, &filter, &data]);
    let (status, _) = server.send_as("Bearer guess", "GET", "/health", "").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "the filter answers");
    let (_, body) = server.send("GET", "/health", "").await;
    assert_eq!(body, "ok");
    let (_, body) = server.send("GET", "/", "").await;
    assert_eq!(body, "Hello from wasi:http!\n");
    let (_, body) = server.send("POST", "/greet", r#"{"name":"axum"}"#).await;
    assert_eq!(body, r#""Hello, axum!""#);
    let (_, body) = server.send("POST", "/old/greet", r#"{"name":"old"}"#).await;
    assert_eq!(body, r#""Hello, old!""#, "the filter rewrites the path");
    let (status, _) = server.send("POST", "/greet", "no JSON").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, _) = server.send("POST", "/greet", "[]").await;
    assert_eq!(status, StatusCode::BAD_GATEWAY, "the function refuses it");
}

/// A directory of components that are replaced while they are served.
struct Components(PathBuf);

impl Components {
    fn new(dir: &TempDir) -> Self {
        let path = dir.path().join("components");
        std::fs::create_dir(&path).expect("it is made");
        Self(path)
    }

    /// Replaces a file. A rename, so that no half of it is read.
    fn put(&self, name: &str, bytes: &[u8]) {
        let part = self.0.join("part");
        std::fs::write(&part, bytes).expect("it is written");
        std::fs::rename(part, self.0.join(name)).expect("it is renamed");
    }
}

/// Callers that repeat a request until they are stopped, each of whose responses must be one of those allowed.
struct Load {
    is_over: Arc<AtomicBool>,
    calls: Arc<AtomicU32>,
    callers: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(server: &Arc<Embedder>, path: &'static str, allowed: &'static [&'static str]) -> Self {
        let (is_over, calls) = <(Arc<AtomicBool>, Arc<AtomicU32>)>::default();
        let caller = |_| {
            let (server, is_over) = (Arc::clone(server), Arc::clone(&is_over));
            let calls = Arc::clone(&calls);
            tokio::spawn(async move {
                while !is_over.load(Ordering::Relaxed) {
                    let (status, body) = server.send("GET", path, "").await;
                    assert_eq!(status, StatusCode::OK, "{body:?}");
                    assert!(allowed.iter().any(|it| body == it), "{body:?}");
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let callers = (0..CALLERS).map(caller).collect();
        Self {
            is_over,
            calls,
            callers,
        }
    }

    fn require_no_failure(&self) {
        assert!(
            !self.callers.iter().any(JoinHandle::is_finished),
            "a request failed"
        );
    }

    async fn end(self) {
        self.is_over.store(true, Ordering::Relaxed);
        for caller in self.callers {
            caller.await.expect("no request failed");
        }
        assert!(self.calls.load(Ordering::Relaxed) > 0);
    }
}

const OLD: &str = "Hello from wasi:http!\n";
const NEW: &str = "hello";

/// Swaps a function some times under load, and requires each swap to show.
async fn swap_under_load(server: &Arc<Embedder>, components: &Components, path: &'static str) {
    let load = Load::start(server, path, &[OLD, NEW]);
    for (component, expected) in [
        (guest("http-hello"), NEW),
        (example("http"), OLD),
        (guest("http-hello"), NEW),
    ] {
        components.put("web.wasm", &component);
        while server.send("GET", path, "").await.1 != expected {
            load.require_no_failure();
        }
    }
    load.end().await;
}

#[tokio::test]
async fn directory_proxy_swaps_components_without_a_failed_request() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let components = Components::new(&dir);
    components.put("web.wasm", &example("http"));
    let data = dir.path().join("data");
    let proxy = Embedder::start("embed-directory", &[&components.0, &data]);
    let (status, _) = proxy.send("GET", "/none/", "").await;
    assert_ne!(status, StatusCode::OK);
    swap_under_load(&Arc::new(proxy), &components, "/web/").await;
}

/// The library without default features brings no command line and no subscriber along.
#[test]
fn library_has_no_dependency_of_the_program() {
    let tree = Command::new("cargo")
        .args(["tree", "-p", "lamina", "--no-default-features"])
        .args(["--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .current_dir(root())
        .output();
    let tree = tree.expect("cargo runs");
    assert!(tree.status.success(), "{tree:?}");
    let text = String::from_utf8_lossy(&tree.stdout).into_owned();
    let names: Vec<&str> = text.lines().filter_map(|it| it.split(' ').next()).collect();
    assert!(names.contains(&"wasmtime"), "{text}");
    for name in [
        "clap",
        "indicatif",
        "notify",
        "notify-debouncer-full",
        "tracing-subscriber",
    ] {
        assert!(!names.contains(&name), "{name}");
    }
}
