//! Servers under measurement, one process each.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tempfile::TempDir;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("benches/ is in the repository")
}

/// Program under measurement: `LAMINA_PROGRAM`, or the release build.
fn program() -> PathBuf {
    std::env::var_os("LAMINA_PROGRAM")
        .map_or_else(|| root().join("target/release/lamina"), PathBuf::from)
}

/// Example `hello`, built by the tests.
pub(crate) fn hello() -> anyhow::Result<Vec<u8>> {
    read(&root().join("examples/target/wasm32-wasip2/release/hello.wasm"))
}

/// Guest of `tests/guests`, built by the tests.
pub(crate) fn guest(name: &str) -> anyhow::Result<Vec<u8>> {
    read(&guest_path(name))
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| {
        let build = "cargo build --release --target wasm32-wasip2";
        format!("{}: {build} in its workspace", path.display())
    })
}

fn guest_path(name: &str) -> PathBuf {
    let file = format!("{}.wasm", name.replace('-', "_"));
    root()
        .join("tests/guests/target/wasm32-wasip2/release")
        .join(file)
}

/// A listening child process, killed on drop.
pub(crate) struct Running {
    child: Child,
    address: SocketAddr,
}

impl Running {
    pub(crate) fn bare() -> anyhow::Result<Self> {
        let program = std::env::current_exe()?;
        Self::spawn(Command::new(program).arg("bare"), "answers on http://")
    }

    pub(crate) fn wasmtime_serve(reuse: bool) -> anyhow::Result<Self> {
        let program = root().join(".tools/wasmtime/bin/wasmtime");
        let mut command = Command::new(program);
        command.args(["serve", "-S", "cli", "--addr", "127.0.0.1:0"]);
        if !reuse {
            command.args(["--max-instance-reuse-count", "1"]);
        } else {
            command.args(["--max-instance-reuse-count", "1000000"]);
        }
        Self::spawn(command.arg(guest_path("http-hello")), "http://")
    }

    /// JavaScript worker that sends the same bytes as the guest `http-hello`.
    pub(crate) fn workerd(dir: &Path) -> anyhow::Result<Self> {
        let program = root().join(".tools/workerd/node_modules/.bin/workerd");
        let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let worker = "export default { fetch() { return new Response('hello'); } };\n";
        std::fs::write(dir.join("worker.js"), worker)?;
        let config = format!(
            "using Workerd = import \"/workerd/workerd.capnp\";\n\
             const config :Workerd.Config = (services = [(name = \"main\", worker = (\n\
               modules = [(name = \"worker\", esModule = embed \"worker.js\")],\n\
               compatibilityDate = \"2024-01-01\"))],\n\
               sockets = [(name = \"http\", address = \"{address}\", http = (), service = \"main\")]);\n"
        );
        let path = dir.join("config.capnp");
        std::fs::write(&path, config)?;
        let child = Command::new(program).arg("serve").arg(path).spawn()?;
        let running = Self { child, address };
        for _ in 0..200 {
            if std::net::TcpStream::connect(address).is_ok() {
                return Ok(running);
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        bail!("workerd does not answer")
    }

    fn spawn(command: &mut Command, before: &str) -> anyhow::Result<Self> {
        let mut child = command
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        let mut lines = BufReader::new(child.stderr.take().context("it was piped")?).lines();
        let mut said = String::new();
        let address = loop {
            let Some(line) = lines.next().transpose()? else {
                bail!("{said}")
            };
            if let Some(rest) = line.split(before).nth(1) {
                let address = rest.split([',', '/', ' ']).next().unwrap_or_default();
                break address.parse()?;
            }
            said.push_str(&line);
        };
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { child, address })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Baseline hyper server: reads a request and sends fixed bytes.
pub(crate) async fn bare() -> anyhow::Result<()> {
    use std::io::Write;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    writeln!(
        std::io::stderr(),
        "answers on http://{}",
        listener.local_addr()?
    )?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = service_fn(async |request: http::Request<hyper::body::Incoming>| {
            request.into_body().collect().await?;
            Ok::<_, hyper::Error>(http::Response::new(Full::new(Bytes::from_static(b"hello"))))
        });
        let connection = hyper::server::conn::http1::Builder::new();
        tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
    }
}

/// Release build of Lamina.
pub(crate) struct Lamina {
    running: Running,
    dir: TempDir,
    limits: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Lamina {
    pub(crate) fn start(limits: &str) -> anyhow::Result<Self> {
        Self::in_dir(tempfile::tempdir()?, limits)
    }

    fn in_dir(dir: TempDir, limits: &str) -> anyhow::Result<Self> {
        let config = dir.path().join("lamina.toml");
        std::fs::write(&config, format!("[limits]\n{limits}\n"))?;
        let mut command = Command::new(program());
        command
            .args(["start", "--listen", "127.0.0.1:0", "--config"])
            .arg(&config);
        command.arg("--data-dir").arg(dir.path().join("data"));
        let running = Running::spawn(&mut command, "answers on http://")?;
        Ok(Self {
            running,
            dir,
            limits: limits.to_owned(),
            client: Client::builder(TokioExecutor::new()).build_http(),
        })
    }

    /// Installs a runtime that `tests/run` has built.
    pub(crate) fn install(&self, runtime: &str) -> anyhow::Result<()> {
        let bundle = root().join(format!(".tools/runtimes/{runtime}.zip"));
        let mut command = Command::new(program());
        command.args(["runtime", "install", runtime, "--from"]);
        command.arg(bundle).arg("--data-dir");
        if !command
            .arg(self.dir.path().join("data"))
            .status()?
            .success()
        {
            bail!("{runtime} was not installed");
        }
        Ok(())
    }

    pub(crate) fn restart(self) -> anyhow::Result<Self> {
        let limits = self.limits.clone();
        Self::in_dir(self.stop(), &limits)
    }

    pub(crate) fn stop(self) -> TempDir {
        drop(self.running);
        self.dir
    }

    pub(crate) fn url(&self, path: &str) -> String {
        self.running.url(path)
    }

    pub(crate) fn resident_kib(&self) -> anyhow::Result<u64> {
        self.memory_kib("VmRSS:")
    }

    /// The most resident memory that the host ever had.
    pub(crate) fn peak_kib(&self) -> anyhow::Result<u64> {
        self.memory_kib("VmHWM:")
    }

    fn memory_kib(&self, name: &'static str) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.running.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.context(name)?.parse().context(name)
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<Value> {
        let body = self.exchange(method, path, None, body).await?;
        Ok(serde_json::from_slice(&body).unwrap_or_default())
    }

    /// A page as text.
    pub(crate) async fn page(&self, path: &str) -> anyhow::Result<String> {
        let body = self.exchange("GET", path, None, &Value::Null).await?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// Queues an event.
    pub(crate) async fn send_event(&self, name: &str, event: &Value) -> anyhow::Result<()> {
        let path = format!("/2015-03-31/functions/{name}/invocations");
        let kind = Some("Event");
        self.exchange("POST", &path, kind, event).await.map(drop)
    }

    async fn exchange(
        &self,
        method: &str,
        path: &str,
        invocation_type: Option<&str>,
        body: &Value,
    ) -> anyhow::Result<Bytes> {
        let body = if body.is_null() {
            Bytes::new()
        } else {
            body.to_string().into()
        };
        let mut request = http::Request::builder().method(method).uri(self.url(path));
        if let Some(kind) = invocation_type {
            request = request.header("x-amz-invocation-type", kind);
        }
        let response = self.client.request(request.body(Full::new(body))?).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            bail!(
                "{method} {path}: {status} {}",
                String::from_utf8_lossy(&body)
            );
        }
        Ok(body)
    }

    pub(crate) async fn request_function(
        &self,
        name: &str,
        component: &[u8],
    ) -> anyhow::Result<()> {
        self.request_with(name, component, Value::Null).await
    }

    async fn request_with(&self, name: &str, component: &[u8], more: Value) -> anyhow::Result<()> {
        let mut request = json!({
            "FunctionName": name, "Runtime": "provided.al2023", "Handler": "bootstrap",
            "Role": "arn:aws:iam::000000000000:role/r", "Timeout": 30,
            "Code": {"ZipFile": STANDARD.encode(component)},
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            request[key] = value.clone();
        }
        self.send("POST", "/2015-03-31/functions", &request)
            .await
            .map(drop)
    }

    pub(crate) async fn create(&self, name: &str, component: &[u8]) -> anyhow::Result<()> {
        self.create_with(name, component, Value::Null).await
    }

    /// Creates a function with additional configuration.
    pub(crate) async fn create_with(
        &self,
        name: &str,
        component: &[u8],
        more: Value,
    ) -> anyhow::Result<()> {
        self.request_with(name, component, more).await?;
        let path = format!("/2015-03-31/functions/{name}/configuration");
        while self.send("GET", &path, &Value::Null).await?["State"] != "Active" {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        Ok(())
    }

    pub(crate) async fn invoke(&self, name: &str, event: &Value) -> anyhow::Result<Value> {
        self.send(
            "POST",
            &format!("/2015-03-31/functions/{name}/invocations"),
            event,
        )
        .await
    }

    /// Host name of a function URL.
    pub(crate) async fn function_url(&self, name: &str) -> anyhow::Result<String> {
        self.function_url_with(name, &json!({"AuthType": "NONE"}))
            .await
    }

    /// Host name of a function URL with this configuration.
    pub(crate) async fn function_url_with(
        &self,
        name: &str,
        config: &Value,
    ) -> anyhow::Result<String> {
        let path = format!("/2021-10-31/functions/{name}/url");
        let made = self.send("POST", &path, config).await?;
        let url = made["FunctionUrl"].as_str().context("a URL")?;
        Ok(url
            .trim_start_matches("http://")
            .trim_end_matches('/')
            .to_owned())
    }
}
