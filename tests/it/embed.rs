//! Embedded host, as in an edge proxy.

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use lamina::event::{Event, Source};
use lamina::{
    Blame, Config, Decision, Error, Function, FunctionErrorKind, FunctionHandle, Host, HostBuilder,
    InvokeOptions, Observer, Throttle,
};
use serde_json::{Value, json};
use tower::{Service, ServiceExt};

use crate::harness::{Lamina, example, guest};

fn builder() -> (HostBuilder, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    (Host::builder().data_dir(dir.path().join("data")), dir)
}

async fn host() -> (Host, tempfile::TempDir) {
    let (builder, dir) = builder();
    (builder.build().await.expect("the host opens"), dir)
}

async fn deployed(host: &Host, name: &str, component: Vec<u8>) -> FunctionHandle {
    let function = Function::from_bytes(name, component).timeout(Duration::from_secs(30));
    host.deploy(function).await.expect("it is a function")
}

fn json_of(bytes: &Bytes) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

fn get(path: &str) -> Request<Full<Bytes>> {
    let request = Request::get(format!("http://edge.example{path}"));
    request.body(Full::default()).expect("well-formed")
}

async fn text(response: http::Response<lamina::Body>) -> String {
    let body = response.into_body().collect().await.expect("it is whole");
    String::from_utf8(body.to_bytes().to_vec()).expect("UTF-8")
}

#[expect(clippy::disallowed_methods, reason = "deadlines are times of the day")]
fn now_ms() -> u128 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("it is after 1970").as_millis()
}

/// Reserved concurrency, through the AWS API, whose keys the embedder does not need.
async fn reserve(host: &Host, name: &str, count: u32) {
    let path = format!("http://localhost/2017-10-31/functions/{name}/concurrency");
    let body = json!({"ReservedConcurrentExecutions": count}).to_string();
    let request = Request::put(path).body(Full::<Bytes>::from(body));
    let response = host.handle_as_owner(request.expect("well-formed")).await;
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn function_of_earlier_run_is_invoked_and_served() {
    let earlier = Lamina::start();
    for name in ["hello", "http"] {
        earlier.create(name, &example(name), json!({})).await;
    }
    let dir = earlier.kill();
    let host = Host::builder().data_dir(dir.path().join("data"));
    let host = host.build().await.expect("the host opens");
    let hello = host.function("hello").expect("a name");
    let event = r#"{"name":"edge"}"#;
    let response = hello.invoke(event, InvokeOptions::default()).await;
    assert_eq!(response.expect("it runs").payload, r#""Hello, edge!""#);
    let http = host.function("http").expect("a name");
    let response = http.oneshot(get("/")).await.expect("it answers");
    assert_eq!(response.status(), 200);
    assert_eq!(text(response).await, "Hello from wasi:http!\n");
}

#[tokio::test]
async fn function_from_bytes_is_deployed_and_replaced() {
    let (host, _dir) = host().await;
    let hello = deployed(&host, "f", example("hello")).await;
    let options = InvokeOptions::default;
    let first = hello.invoke(r#"{"name":"edge"}"#, options()).await;
    assert_eq!(first.expect("it runs").payload, r#""Hello, edge!""#);
    // The handle calls the new code.
    let more = Function::from_bytes("f", guest("hostile")).variable("GREETING", "hi");
    host.deploy(more.clone()).await.expect("it is a function");
    let read = json!({"do": "env"}).to_string();
    let second = hello.invoke(read.clone(), options()).await;
    let variables = json_of(&second.expect("it runs").payload);
    assert_eq!(variables["GREETING"], "hi");
    // The same again keeps the warm environment.
    host.deploy(more).await.expect("it is the same");
    let third = hello.invoke(read, options()).await.expect("it runs");
    let variables_now = json_of(&third.payload);
    let stream = "AWS_LAMBDA_LOG_STREAM_NAME";
    assert_eq!(variables_now[stream], variables[stream]);
    let refused = host.deploy(Function::from_bytes("f", "no component")).await;
    let refused = refused.expect_err("it is no component");
    assert!(matches!(refused, Error::Invalid(_)), "{refused}");
    host.remove("f").await.expect("it is there");
    let gone = hello.invoke("{}", options()).await.expect_err("it is gone");
    assert!(matches!(gone, Error::NotFound(_)), "{gone}");
    assert!(matches!(host.remove("f").await, Err(Error::NotFound(_))));
}

#[tokio::test]
async fn errors_tell_their_cause_and_blame() {
    let (host, _dir) = host().await;
    let hostile = deployed(&host, "f", guest("hostile")).await;
    let missing = host.function("missing:live").expect("a name");
    assert!(matches!(
        host.function("no such form!"),
        Err(Error::Invalid(_))
    ));
    let options = InvokeOptions::default;
    let error = missing.invoke("{}", options()).await.expect_err("none");
    assert!(matches!(error, Error::NotFound(_)), "{error}");
    assert_eq!(error.blame(), Blame::Caller);
    let error = hostile.invoke("no JSON", options()).await;
    assert!(matches!(error, Err(Error::Invalid(_))));
    for (event, kind, error_type) in [
        (
            json!({"do": "fail", "type": "Mine", "message": "as told"}),
            FunctionErrorKind::Handler,
            "Mine",
        ),
        (
            json!({"do": "exit", "code": 3}),
            FunctionErrorKind::Environment,
            "Runtime.ExitError",
        ),
        (
            json!({"do": "loop"}),
            FunctionErrorKind::Timeout,
            "Sandbox.Timedout",
        ),
    ] {
        let short = options().deadline(Duration::from_millis(200)).log_tail();
        let error = hostile.invoke(event.to_string(), short).await;
        let error = error.expect_err("it fails");
        assert_eq!(error.blame(), Blame::Function);
        let Error::Function(error) = error else {
            panic!("{error}")
        };
        assert_eq!((error.kind, &*error.error_type), (kind, error_type));
        assert_eq!(json_of(&error.payload)["errorType"], error_type);
        let log = error.log_tail.expect("it was requested");
        assert!(String::from_utf8_lossy(&log).contains("REPORT RequestId"));
    }
    reserve(&host, "f", 0).await;
    let error = hostile
        .invoke("{}", options())
        .await
        .expect_err("none free");
    assert!(
        matches!(error, Error::Throttled(Throttle::Reserved)),
        "{error}"
    );
    // Waiting cannot help: the service answers.
    let response = hostile.oneshot(get("/")).await.expect("it answers");
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn options_reach_the_function() {
    let (host, _dir) = host().await;
    let function = deployed(&host, "f", guest("hostile")).await;
    let options = InvokeOptions::default()
        .client_context(r#"{"custom":{"a":"1"}}"#)
        .trace_id("Root=1-2-3")
        .deadline(Duration::from_secs(5))
        .log_tail();
    let event = json!({"do": "context"}).to_string();
    let response = function.invoke(event, options).await.expect("it runs");
    let context = json_of(&response.payload);
    let trace_id = context["traceId"].as_str().expect("a trace");
    assert!(trace_id.starts_with("Root=1-2-3"), "{context}");
    assert_eq!(context["clientContext"], r#"{"custom":{"a":"1"}}"#);
    let deadline = context["deadlineMs"].as_u64().expect("a time");
    let now = now_ms();
    // The function's own limit is 30 s.
    assert!(u128::from(deadline) <= now + 5_000, "{deadline} {now}");
    assert_eq!(&*response.executed_version, "$LATEST");
    let log = response.log_tail.expect("it was requested");
    assert!(log.starts_with(b"START RequestId"), "{log:?}");
    let tenant = InvokeOptions::default().tenant_id("a");
    let refused = function.invoke("{}", tenant).await.expect_err("no tenants");
    assert!(matches!(refused, Error::Invalid(_)), "{refused}");
    let odd = InvokeOptions::default().client_context("{");
    assert!(matches!(
        function.invoke("{}", odd).await,
        Err(Error::Invalid(_))
    ));
}

#[tokio::test]
async fn ready_service_holds_a_permit() {
    let (host, _dir) = host().await;
    let mut first = deployed(&host, "web", example("http")).await;
    reserve(&host, "web", 1).await;
    // Without type annotations.
    first.ready().await.expect("a permit is free");
    let mut second = first.clone();
    let mut waiting = Box::pin(second.ready());
    let is_pending = poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_pending()));
    assert!(is_pending.await);
    let event = r#"{"requestContext":{"http":{"method":"GET"}}}"#;
    let throttled = first.invoke(event, InvokeOptions::default()).await;
    assert!(matches!(
        throttled,
        Err(Error::Throttled(Throttle::Reserved))
    ));
    let response = first.call(get("/")).await.expect("it answers");
    assert_eq!(text(response).await, "Hello from wasi:http!\n");
    // The permit of the first call is released, and wakes the second.
    let second = waiting.await.expect("a permit is free");
    let response = second.call(get("/")).await.expect("it answers");
    assert_eq!(response.status(), 200);
    drop(response);
    // A dropped handle gives its permit back.
    let mut third = host.function("web").expect("a name");
    third.ready().await.expect("a permit is free");
    drop(third);
    let mut fourth = host.function("web").expect("a name");
    let response = fourth.ready().await.expect("a permit").call(get("/")).await;
    assert_eq!(response.expect("it answers").status(), 200);
}

#[tokio::test]
async fn bodies_stream_through_service() {
    let (host, _dir) = host().await;
    let web = deployed(&host, "web", guest("http-manners")).await;
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    let frames = futures_util::stream::unfold(receiver, async |mut receiver| {
        let bytes = receiver.recv().await?;
        Some((Ok::<_, Infallible>(Frame::data(bytes)), receiver))
    });
    let request = Request::post("http://edge.example/echo");
    let request = request.body(StreamBody::new(Box::pin(frames)));
    sender.send("one".into()).await.expect("it is read");
    let response = web.oneshot(request.expect("well-formed")).await;
    let mut body = response.expect("it answers").into_body();
    let first = body.frame().await.expect("a frame").expect("it arrives");
    assert_eq!(first.into_data().expect("data"), "one");
    sender.send("two".into()).await.expect("it is read");
    drop(sender);
    let rest = body.collect().await.expect("it is whole");
    assert_eq!(rest.to_bytes(), "two");
}

#[tokio::test]
async fn handle_ends_with_its_host() {
    let (host, _dir) = host().await;
    let hello = deployed(&host, "hello", example("hello")).await;
    drop(host);
    let error = hello.invoke("{}", InvokeOptions::default()).await;
    assert!(matches!(error, Err(Error::Ended)));
    assert!(matches!(hello.prewarm(1).await, Err(Error::Ended)));
    let response = hello.clone().oneshot(get("/")).await.expect("it answers");
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn closed_host_frees_its_directory() {
    let (host, dir) = host().await;
    let hello = deployed(&host, "hello", example("hello")).await;
    let before = hello.invoke("{}", InvokeOptions::default()).await;
    before.expect("it runs");
    assert!(host.close(Duration::from_secs(60)).await);
    // Although a handle is left.
    let error = hello.invoke("{}", InvokeOptions::default()).await;
    assert!(matches!(error, Err(Error::Ended)));
    let again = Host::builder().data_dir(dir.path().join("data"));
    let again = again.build().await.expect("the host opens");
    let hello = again.function("hello").expect("a name");
    let response = hello.invoke("{}", InvokeOptions::default()).await;
    assert_eq!(response.expect("it runs").payload, r#""Hello, world!""#);
}

#[tokio::test]
async fn drain_waits_for_calls_in_progress() {
    let (host, _dir) = host().await;
    let web = deployed(&host, "web", guest("http-manners")).await;
    let response = web.clone().oneshot(get("/slowly")).await;
    let response = response.expect("it answers");
    assert!(!host.drain(Duration::ZERO).await, "a call is in progress");
    let refused = web.clone().oneshot(get("/")).await.expect("it answers");
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    let drained = host.drain(Duration::from_secs(60));
    let (drained, text) = tokio::join!(drained, text(response));
    assert!(drained);
    assert_eq!(text, "onetwo");
}

#[tokio::test]
async fn prewarm_of_function_with_tenant_isolation_is_refused() {
    let earlier = Lamina::start();
    let isolated = json!({"TenancyConfig": {"TenantIsolationMode": "PER_TENANT"}});
    earlier.create("hello", &example("hello"), isolated).await;
    let dir = earlier.kill();
    let host = Host::builder().data_dir(dir.path().join("data"));
    let host = host.build().await.expect("the host opens");
    let hello = host.function("hello").expect("a name");
    let error = hello.prewarm(1).await;
    assert!(matches!(error, Err(Error::Invalid(_))), "{error:?}");
    let options = InvokeOptions::default().tenant_id("blue");
    hello.invoke("{}", options).await.expect("it runs");
}

#[tokio::test]
async fn prewarmed_environment_serves_first_call() {
    #[derive(Debug, Default)]
    struct Starts(Mutex<Vec<String>>);
    impl Observer for Starts {
        fn receive(&self, source: &Source, event: &Event<'_>) {
            let name = &source.function_name;
            let line = match event {
                Event::InitStart(_) => format!("init {name}"),
                Event::Report(report) => {
                    format!("report {name} {:?}", report.metrics.init_duration)
                }
                _ => return,
            };
            self.0.lock().expect("no test panics").push(line);
        }
    }
    let starts = Arc::new(Starts::default());
    let (builder, _dir) = builder();
    let host = builder.observer(Arc::clone(&starts) as Arc<dyn Observer>);
    let host = host.build().await.expect("the host opens");
    let hello = deployed(&host, "hello", example("hello")).await;
    assert_eq!(hello.prewarm(2).await.expect("there is room"), 2);
    assert_eq!(hello.prewarm(1).await.expect("there are two"), 2);
    let response = hello.invoke("{}", InvokeOptions::default()).await;
    response.expect("it runs");
    let seen = starts.0.lock().expect("no test panics").clone();
    assert_eq!(seen, ["init hello", "init hello", "report hello None"]);
}

#[tokio::test]
async fn directory_is_deployed_and_swapped() {
    let (host, dir) = host().await;
    let components = dir.path().join("components");
    std::fs::create_dir(&components).expect("it is made");
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(components.join(name), bytes).expect("it is written");
    };
    write("web.wasm", &example("http"));
    write("broken.wasm", b"no component");
    write("functions.toml", b"[web]\nmemory_mib = 256");
    let outcomes = host.deploy_directory(&components).await;
    let outcomes = outcomes.expect("it can be read");
    assert!(matches!(outcomes["broken"], Err(Error::Invalid(_))));
    let web = outcomes["web"].as_ref().expect("it is a function").clone();
    let first = web.clone().oneshot(get("/")).await.expect("it answers");
    assert_eq!(text(first).await, "Hello from wasi:http!\n");
    write("web.wasm", &guest("http-hello"));
    std::fs::remove_file(components.join("broken.wasm")).expect("it is there");
    let outcomes = host.deploy_directory(&components).await;
    assert_eq!(outcomes.expect("it can be read").len(), 1);
    let second = web.oneshot(get("/")).await.expect("it answers");
    assert_eq!(text(second).await, "hello");
}

#[tokio::test]
async fn owner_needs_no_key_and_clients_do() {
    let keys = "[[keys]]\naccess_key_id = \"a\"\nsecret_access_key = \"b\"";
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("lamina.toml");
    std::fs::write(&path, keys).expect("it is written");
    let mut config = Config::read(&path).expect("a configuration");
    config.data_dir = dir.path().join("data");
    let host = Host::builder().config(config).build().await;
    let host = host.expect("the host opens");
    let hello = deployed(&host, "hello", example("hello")).await;
    let response = hello.invoke("{}", InvokeOptions::default()).await;
    response.expect("a handle needs no key");
    let list = || {
        let request = Request::get("http://localhost/2015-03-31/functions");
        request.body(Full::<Bytes>::default()).expect("well-formed")
    };
    assert_eq!(host.handle(list()).await.status(), 403);
    let listed = host.handle_as_owner(list()).await;
    assert_eq!(listed.status(), 200);
    assert!(text(listed).await.contains("hello"));
    let alias = json!({"Name": "live", "FunctionVersion": "$LATEST"});
    let request = Request::post("http://localhost/2015-03-31/functions/hello/aliases");
    let request = request.body(Full::<Bytes>::from(alias.to_string()));
    let made = host.handle_as_owner(request.expect("well-formed")).await;
    assert_eq!(made.status(), 201);
    let live = host.function("hello:live").expect("a name");
    let response = live.invoke("{}", InvokeOptions::default()).await;
    response.expect("the alias is there at once");
}

#[tokio::test]
async fn second_host_of_directory_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let open = || Host::builder().data_dir(dir.path()).build();
    let _first = open().await.expect("the host opens");
    let second = open().await.expect_err("it is taken").to_string();
    assert!(second.contains("in use by another process"), "{second}");
}

#[tokio::test]
async fn temporary_hosts_share_nothing() {
    let open = async || Host::builder().temporary().build().await.expect("it opens");
    let (first, second) = (open().await, open().await);
    let hello = deployed(&first, "hello", example("hello")).await;
    let response = hello.invoke("{}", InvokeOptions::default()).await;
    assert_eq!(response.expect("it runs").payload, r#""Hello, world!""#);
    let missing = second.function("hello").expect("a name");
    let error = missing.invoke("{}", InvokeOptions::default()).await;
    assert!(matches!(error, Err(Error::NotFound(_))));
}

#[tokio::test]
async fn prewarm_fails_with_the_function() {
    let (host, _dir) = host().await;
    let broken = Function::from_bytes("f", guest("hostile")).variable("INIT", "trap");
    let broken = host.deploy(broken).await.expect("it is a function");
    let error = broken.prewarm(1).await.expect_err("it does not start");
    assert!(matches!(error, Error::Function(_)), "{error}");
}

#[tokio::test]
async fn filter_decides_on_head() {
    let (host, _dir) = host().await;
    let filter = Function::from_bytes("filter", example("filter"));
    let filter = host
        .deploy(filter.variable("UPSTREAM", "backend.example:8080"))
        .await;
    let filter = filter.expect("it is a function");
    let decide = async |path: &str, token: &str| {
        let request = Request::post(format!("http://edge.example{path}"));
        // The function gets no body, whatever the head says.
        let request = request
            .header("content-length", "1000000")
            .header("authorization", token);
        let (mut head, ()) = request.body(()).expect("well-formed").into_parts();
        let decision = filter.decide(&head).await.expect("it decides");
        if let Decision::Modify(changes) = &decision {
            changes.apply(&mut head);
        }
        (decision, head)
    };
    let (decision, _) = decide("/", "Bearer guess").await;
    let Decision::Respond(response) = decision else {
        panic!("{decision:?}")
    };
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
    let (decision, head) = decide("/old/list?a=1", "Bearer let-me-in").await;
    assert!(
        matches!(&decision, Decision::Modify(it) if it.host.is_none()),
        "{decision:?}"
    );
    assert_eq!(head.uri, "http://edge.example/list?a=1");
    assert_eq!(head.headers["x-user"], "guest");
    assert!(!head.headers.contains_key("authorization"));
    let (decision, _) = decide("/upstream/a", "Bearer let-me-in").await;
    let Decision::Modify(changes) = decision else {
        panic!("{decision:?}")
    };
    assert_eq!(changes.host.expect("it has one"), "backend.example:8080");
}

#[tokio::test]
async fn failed_filter_lets_nothing_pass() {
    let (host, _dir) = host().await;
    let (head, ()) = Request::get("/")
        .body(())
        .expect("well-formed")
        .into_parts();
    let missing = host.function("filter").expect("a name");
    assert!(matches!(
        missing.decide(&head).await,
        Err(Error::NotFound(_))
    ));
    // A handler of events that fails, and one whose result is a JSON document.
    let hello = deployed(&host, "hello", example("hello")).await;
    let decision = hello.decide(&head).await.expect("it responds");
    assert!(matches!(decision, Decision::Respond(_)), "{decision:?}");
    let hostile = deployed(&host, "hostile", guest("hostile")).await;
    let error = hostile.decide(&head).await.expect_err("it fails");
    assert!(matches!(error, Error::Function(_)), "{error}");
    assert_eq!(error.blame(), Blame::Function);
}

#[test]
fn opening_a_host_blocks_no_worker() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let authorities = dir.path().join("authorities.pem");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, &authorities, mode).expect("a pipe");
    let config = Config {
        data_dir: dir.path().join("data"),
        certificate_authorities: vec![authorities.clone()],
        ..Config::default()
    };
    let (sender, opened) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        // The pipe's reader waits for this task of the same worker.
        let write = async { tokio::fs::write(&authorities, "no certificate").await };
        let (host, written) = runtime.block_on(async { tokio::join!(Host::open(config), write) });
        written.expect("the host reads");
        sender
            .send(host.expect_err("the file has no certificate"))
            .expect("awaited");
    });
    let error = opened.recv_timeout(Duration::from_secs(60));
    let error = error.expect("another task of the worker runs while the host opens");
    assert!(error.to_string().contains("authorities.pem"), "{error}");
}
