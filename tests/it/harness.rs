//! Host under test: the program on its own port, in its own directory.

use std::io::{BufRead, BufReader, Cursor, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

pub const ROLE: &str = "arn:aws:iam::000000000000:role/r";

/// Repository root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ is in the repository")
}

/// Program under test, built once as its users build it; `LAMINA_PROGRAM` names another build.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    static BUILT: OnceLock<bool> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(program) = std::env::var_os("LAMINA_PROGRAM") {
            return program.into();
        }
        build(&BUILT, &["build", "--release", "-p", "lamina"], root());
        root().join("target/release/lamina")
    })
}

/// Example program of an embedder. Not optimised: link-time optimisation of all of them takes ten minutes.
pub fn embedder(name: &str) -> PathBuf {
    static BUILT: OnceLock<bool> = OnceLock::new();
    let beside = std::env::var_os("LAMINA_PROGRAM")
        .map(|program| PathBuf::from(program).with_file_name(name))
        .filter(|embedder| embedder.exists());
    beside.unwrap_or_else(|| {
        // With the tests, whose dependencies have features of their own: the ones that `cargo test` has built.
        let debug = ["build", "--workspace", "--bins", "--tests"];
        build(&BUILT, &debug, root());
        root().join("target/debug").join(name)
    })
}

/// Component of a guest in `tests/guests`.
pub fn guest(name: &str) -> Vec<u8> {
    static BUILT: OnceLock<bool> = OnceLock::new();
    component(&BUILT, "tests/guests", name)
}

/// Component of an example.
pub fn example(name: &str) -> Vec<u8> {
    static BUILT: OnceLock<bool> = OnceLock::new();
    component(&BUILT, "examples", name)
}

fn component(built: &OnceLock<bool>, workspace: &str, name: &str) -> Vec<u8> {
    let dir = root().join(workspace);
    build(
        built,
        &["build", "--release", "--target", "wasm32-wasip2"],
        &dir,
    );
    let file = format!(
        "target/wasm32-wasip2/release/{}.wasm",
        name.replace('-', "_")
    );
    let path = dir.join(&file);
    let path = if path.exists() {
        path
    } else {
        dir.join(file.replace('_', "-"))
    };
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Runs cargo once, and fails every later test at once if it failed: a repeated build takes minutes and fails again.
fn build(built: &OnceLock<bool>, arguments: &[&str], dir: &Path) {
    let succeeded = built.get_or_init(|| {
        let status = Command::new("cargo")
            .args(arguments)
            .current_dir(dir)
            .status();
        status.expect("cargo runs").success()
    });
    assert!(succeeded, "cargo {arguments:?} in {}", dir.display());
}

/// Deployment package of a component.
pub fn zipped(component: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file("bootstrap.wasm", stored)
        .expect("the zip is in memory");
    zip.write_all(component).expect("the zip is in memory");
    zip.finish().expect("the zip is in memory").into_inner()
}

/// Sends a signal to a child, without the program `kill`, which is in procps and missing on minimal
/// machines.
pub fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    kill_process(pid.expect("a child has a process id"), signal).expect("the child runs");
}

pub struct Lamina {
    child: Child,
    pub address: SocketAddr,
    pub dir: TempDir,
    /// Lines on stderr before the host was ready.
    pub said: Vec<String>,
    /// Lines on stderr since.
    heard: Arc<Mutex<Vec<String>>>,
    http: Client<hyper_util::client::legacy::connect::HttpConnector, Full<Bytes>>,
}

pub struct ApiResponse {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl ApiResponse {
    /// Host name of a created function URL.
    pub fn url_domain(&self) -> String {
        assert_eq!(self.status, 201, "{}", self.text());
        let made = self.json();
        let url = made["FunctionUrl"].as_str().expect("a URL");
        let url = url.trim_start_matches("http://");
        url.trim_end_matches('/').to_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap_or("?"))
    }

    /// Error type and message.
    pub fn error(&self) -> (String, String) {
        let body = self.json();
        let message = body["message"]
            .as_str()
            .or_else(|| body["Message"].as_str());
        (
            self.header("x-amzn-errortype").into(),
            message.unwrap_or_default().into(),
        )
    }
}

impl Lamina {
    pub fn start() -> Self {
        Self::configured("")
    }

    /// Host with additional configuration.
    pub fn configured(limits: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Self::in_dir(dir, limits)
    }

    /// Host with additional configuration and environment variables.
    pub fn with_environment(limits: &str, variables: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let text = format!("[limits]\nsettle_millis = 20\n{limits}\n");
        Self::launch(program(), dir, &text, variables)
    }

    /// Host run from another path of the program.
    pub fn run_by(program: &Path) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Self::launch(program, dir, "[limits]\nsettle_millis = 20\n", &[])
    }

    pub fn in_dir(dir: TempDir, limits: &str) -> Self {
        let settle = if limits.contains("settle_millis") {
            ""
        } else {
            "settle_millis = 20\n"
        };
        Self::launch(
            program(),
            dir,
            &format!("[limits]\n{settle}{limits}\n"),
            &[],
        )
    }

    /// Host with settings before and inside `[limits]`.
    pub fn with(settings: &str, limits: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Self::launch(
            program(),
            dir,
            &format!("{settings}\n[limits]\n{limits}\n"),
            &[],
        )
    }

    /// Host on a directory of a former one, with settings.
    pub fn in_dir_with(dir: TempDir, settings: &str) -> Self {
        Self::again(dir, settings, "")
    }

    /// Host in a directory, with settings before and inside `[limits]`.
    pub fn again(dir: TempDir, settings: &str, limits: &str) -> Self {
        let text = format!("{settings}\n[limits]\nsettle_millis = 20\n{limits}\n");
        Self::launch(program(), dir, &text, &[])
    }

    /// Host started by a shell with this umask.
    pub fn masked(umask: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut shell = Command::new("sh");
        let script = format!("umask {umask} && exec \"$0\" \"$@\"");
        shell.arg("-c").arg(script).arg(program());
        Self::launch_by(shell, dir, "[limits]\nsettle_millis = 20\n", &[])
    }

    /// Host started by a shell with `ulimit` limits.
    pub fn limited(ulimit: &str, limits: &str) -> Self {
        Self::after(&format!("ulimit {ulimit}"), limits)
    }

    /// Host started by a shell after a command such as `umask 000`.
    pub fn after(command: &str, limits: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let text = format!("[limits]\nsettle_millis = 20\n{limits}\n");
        let mut shell = Command::new("sh");
        let script = format!("{command} && exec \"$0\" \"$@\"");
        shell.arg("-c").arg(script).arg(program());
        Self::launch_by(shell, dir, &text, &[])
    }

    fn launch(program: &Path, dir: TempDir, text: &str, variables: &[(&str, &str)]) -> Self {
        Self::launch_by(Command::new(program), dir, text, variables)
    }

    fn launch_by(
        mut command: Command,
        dir: TempDir,
        text: &str,
        variables: &[(&str, &str)],
    ) -> Self {
        let config = dir.path().join("lamina.toml");
        std::fs::write(&config, text).expect("the configuration is written");
        command.arg("start").arg("--listen").arg("127.0.0.1:0");
        command
            .arg("--config")
            .arg(&config)
            .arg("--data-dir")
            .arg(dir.path().join("data"));
        // Developers may have an S3 server configured in their environment.
        for name in [
            "AWS_ENDPOINT_URL",
            "AWS_ENDPOINT_URL_S3",
            "AWS_ACCESS_KEY_ID",
        ] {
            command.env_remove(name);
        }
        command.envs(variables.iter().copied());
        let mut child = command
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("it was piped")).lines();
        let mut said = Vec::new();
        let address = loop {
            let line = stderr.next().and_then(Result::ok);
            let line = line.unwrap_or_else(|| panic!("the host ended: {said:?}"));
            if let Some(rest) = line.split("answers on http://").nth(1) {
                let address = rest.split(',').next().unwrap_or_default();
                break address.parse().expect("an address");
            }
            said.push(line);
        };
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hearing = Arc::clone(&heard);
        // Read on, because a full pipe would block the host.
        std::thread::spawn(move || {
            for line in stderr.map_while(Result::ok) {
                hearing.lock().expect("no reader panics").push(line);
            }
        });
        let http = Client::builder(TokioExecutor::new()).build_http();
        Self {
            child,
            address,
            dir,
            said,
            heard,
            http,
        }
    }

    /// Waits for a line on stderr.
    pub async fn hears(&self, part: &str) {
        for _ in 0..1_000 {
            let heard = self.heard.lock().expect("no reader panics").clone();
            if heard.iter().any(|line| line.contains(part)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        panic!("the host never writes {part:?}");
    }

    /// Kills the host like `kill -9`; returns its directory.
    pub fn kill(mut self) -> TempDir {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
        let other = tempfile::tempdir().expect("a temporary directory");
        std::mem::replace(&mut self.dir, other)
    }

    /// Waits for the end of the host.
    pub fn ended(&mut self) -> ExitStatus {
        self.child.wait().expect("it is our child")
    }

    /// All lines on stderr since the host was ready, once it has ended.
    pub async fn heard_all(&self) -> Vec<String> {
        // The thread that reads drops its share at the end of stderr.
        while Arc::strong_count(&self.heard) > 1 {
            tokio::task::yield_now().await;
        }
        self.heard.lock().expect("no reader panics").clone()
    }

    /// Sends a signal to the host.
    pub fn signal(&self, signal: Signal) {
        self::signal(&self.child, signal);
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> ApiResponse {
        let answer = self.try_send(method, path, headers, body).await;
        answer.expect("the host answers")
    }

    /// Sends a request. `None` if the host ends before its whole answer is here.
    pub async fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Option<ApiResponse> {
        let mut request = Request::builder()
            .method(method)
            .uri(self.endpoint() + path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Full::new(body.into()))
            .expect("the request is well-formed");
        let response = self.http.request(request).await.ok()?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        Some(ApiResponse {
            status: parts.status,
            headers: parts.headers,
            body,
        })
    }

    /// Sends an event.
    pub async fn send_event(&self, name: &str, event: &Value) -> ApiResponse {
        let path = format!("/2015-03-31/functions/{name}/invocations");
        let event_type = [("x-amz-invocation-type", "Event")];
        self.send("POST", &path, &event_type, event.to_string())
            .await
    }

    /// Waits until no event of a function is queued or in work.
    pub async fn until_no_events(&self, name: &str) {
        let path = format!("/_lamina/queues/{name}");
        for _ in 0..6_000 {
            let shown = self.send("GET", &path, &[], "").await.json();
            if shown["Events"].as_array().is_some_and(Vec::is_empty) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("events of {name} are left");
    }

    pub async fn lambda(&self, method: &str, path: &str, body: &Value) -> ApiResponse {
        let body = if body.is_null() {
            Bytes::new()
        } else {
            body.to_string().into()
        };
        self.send(method, path, &[], body).await
    }

    /// Requests a function and returns the response.
    pub async fn try_create(&self, name: &str, package: &[u8], more: Value) -> ApiResponse {
        let mut request = json!({
            "FunctionName": name, "Runtime": "provided.al2023", "Handler": "bootstrap",
            "Role": ROLE, "Code": {"ZipFile": STANDARD.encode(package)},
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            request[key] = value.clone();
        }
        self.lambda("POST", "/2015-03-31/functions", &request).await
    }

    /// Creates a function and waits until it is active.
    pub async fn create(&self, name: &str, component: &[u8], more: Value) {
        let made = self.try_create(name, &zipped(component), more).await;
        assert_eq!(made.status, 201, "{}", made.text());
        self.settled(name).await;
    }

    pub async fn settled(&self, name: &str) -> Value {
        let path = format!("/2015-03-31/functions/{name}/configuration");
        for _ in 0..1_000 {
            let shown = self.lambda("GET", &path, &Value::Null).await.json();
            if shown["State"] == "Active" && shown["LastUpdateStatus"] == "Successful" {
                return shown;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("{name} does not settle");
    }

    /// Invokes a function and requests its log tail.
    pub async fn invoke(&self, name: &str, event: &Value) -> ApiResponse {
        let path = format!("/2015-03-31/functions/{name}/invocations");
        let tail = [("x-amz-log-type", "Tail")];
        self.send("POST", &path, &tail, event.to_string()).await
    }

    pub async fn health(&self) {
        assert_eq!(
            self.send("GET", "/_lamina/health", &[], "").await.text(),
            "ok\n"
        );
    }

    /// Resident memory of the host in KiB.
    pub fn resident_kib(&self) -> u64 {
        self.memory_kib("VmRSS:")
    }

    /// Requires that the host's memory is back within so much of what it was: it is released in the background, which
    /// takes a while on a busy machine.
    pub async fn requires_growth_below(&self, before_kib: u64, kib_max: u64) {
        let mut grown = 0;
        for _ in 0..200 {
            grown = self.resident_kib().saturating_sub(before_kib);
            if grown < kib_max {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("{grown} KiB more than before");
    }

    /// Peak resident memory of the host in KiB.
    pub fn peak_kib(&self) -> u64 {
        self.memory_kib("VmHWM:")
    }

    fn memory_kib(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("the host runs");
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next());
        number
            .and_then(|number| number.parse().ok())
            .expect("it is a number")
    }
}

/// Log tail of a response.
pub fn log_of(answer: &ApiResponse) -> String {
    let log = STANDARD
        .decode(answer.header("x-amz-log-result"))
        .expect("base64");
    String::from_utf8(log).expect("UTF-8")
}

impl Drop for Lamina {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
