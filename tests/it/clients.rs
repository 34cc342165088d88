//! Real clients: AWS CLI, boto3, cargo-lambda, JavaScript SDK. `tests/run` installs them into
//! `.tools`; these tests fail without them and say so.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::harness::{Lamina, ROLE, example, guest, program, root, zipped};
use crate::moto::Moto;

/// Command of a client, with the settings of all AWS clients.
pub fn client(program: &str, host: &Lamina) -> Command {
    let program = root().join(".tools").join(program);
    assert!(
        program.exists(),
        "{} is missing: run tests/run",
        program.display()
    );
    let mut command = Command::new(program);
    aim(&mut command, host);
    command
}

/// Points AWS clients to a host.
fn aim(command: &mut Command, host: &Lamina) {
    command
        .env("AWS_ACCESS_KEY_ID", "x")
        .env("AWS_SECRET_ACCESS_KEY", "x");
    command
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_REGION", "us-east-1");
    command
        .env("AWS_ENDPOINT_URL", host.endpoint())
        .env("ENDPOINT", host.endpoint());
    command.env("AWS_EC2_METADATA_DISABLED", "true");
}

fn ran(command: &mut Command) -> Output {
    let output = command.output().expect("the client runs");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {told}");
    output
}

pub fn json_of(command: &mut Command) -> Value {
    serde_json::from_slice(&ran(command).stdout).unwrap_or(Value::Null)
}

fn package(dir: &Path) -> String {
    let path = dir.join("f.zip");
    std::fs::write(&path, zipped(&example("hello"))).expect("the package is written");
    path.to_str().expect("UTF-8").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn destinations_get_records_and_dead_letters() {
    let moto = Moto::start().await;
    let settings = format!(
        "[aws]\nendpoint = \"{0}\"\naccess_key_id = \"x\"\nsecret_access_key = \"x\"\n\
         [s3]\nendpoint = \"{0}\"\naccess_key_id = \"x\"\nsecret_access_key = \"x\"",
        moto.endpoint
    );
    let host = Lamina::with(&settings, "settle_millis = 20");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let package = dir.path().join("f.zip");
    std::fs::write(&package, zipped(&guest("hostile"))).expect("the package is written");
    let mut script = client("venv/bin/python", &host);
    script
        .arg(root().join("tests/clients/destinations.py"))
        .arg(&package)
        .env_remove("AWS_ENDPOINT_URL")
        .env("HOST", host.endpoint())
        .env("MOTO", &moto.endpoint);
    ran(&mut script);
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one story, told from start to end")]
async fn aws_cli_drives_host() {
    let host = Lamina::start();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let zip = format!("fileb://{}", package(dir.path()));
    let out = dir
        .path()
        .join("out.json")
        .to_str()
        .expect("UTF-8")
        .to_owned();
    let aws = |arguments: &[&str]| json_of(client("venv/bin/aws", &host).args(arguments));
    let made = aws(&[
        "lambda",
        "create-function",
        "--function-name",
        "cli",
        "--runtime",
        "provided.al2023",
        "--handler",
        "bootstrap",
        "--role",
        ROLE,
        "--zip-file",
        &zip,
        "--tags",
        "team=edge",
    ]);
    assert_eq!(made["State"], "Pending");
    aws(&[
        "lambda",
        "wait",
        "function-active-v2",
        "--function-name",
        "cli",
    ]);
    let invoke = [
        "lambda",
        "invoke",
        "--function-name",
        "cli",
        "--log-type",
        "Tail",
    ];
    let answer = aws(&[&invoke[..], &["--payload", r#"{"name":"CLI"}"#, &out]].concat());
    assert_eq!(
        (&answer["StatusCode"], &answer["ExecutedVersion"]),
        (&json!(200), &json!("$LATEST"))
    );
    assert!(answer["LogResult"].is_string());
    assert_eq!(
        std::fs::read_to_string(&out).expect("written"),
        r#""Hello, CLI!""#
    );
    let name = ["--function-name", "cli"];
    aws(&[
        &["lambda", "update-function-configuration", "--timeout", "7"],
        &name[..],
    ]
    .concat());
    aws(&[&["lambda", "wait", "function-updated-v2"], &name[..]].concat());
    aws(&[
        &["lambda", "update-function-code", "--zip-file", &zip],
        &name[..],
    ]
    .concat());
    aws(&[&["lambda", "wait", "function-updated"], &name[..]].concat());
    let got = aws(&[&["lambda", "get-function"], &name[..]].concat());
    assert_eq!(
        (&got["Configuration"]["Timeout"], &got["Tags"]["team"]),
        (&json!(7), &json!("edge"))
    );
    assert_eq!(
        aws(&["lambda", "list-functions"])["Functions"][0]["FunctionName"],
        "cli"
    );
    let logs = aws(&[
        "logs",
        "filter-log-events",
        "--log-group-name",
        "/aws/lambda/cli",
    ]);
    let lines = logs["events"].as_array().expect("events");
    assert!(
        lines
            .iter()
            .any(|event| event["message"] == "greeting CLI\n"),
        "{logs}"
    );
    let streams = aws(&[
        "logs",
        "describe-log-streams",
        "--log-group-name",
        "/aws/lambda/cli",
    ]);
    assert!(streams["logStreams"][0]["logStreamName"].is_string());
    let url = aws(&[
        &[
            "lambda",
            "create-function-url-config",
            "--auth-type",
            "NONE",
        ],
        &name[..],
    ]
    .concat());
    let curl = Command::new("curl")
        .arg("-s")
        .arg(url["FunctionUrl"].as_str().expect("a URL"))
        .output();
    assert_eq!(
        String::from_utf8_lossy(&curl.expect("curl runs").stdout),
        "Hello, world!"
    );
    aws(&[&["lambda", "delete-function"], &name[..]].concat());
    assert_eq!(aws(&["lambda", "list-functions"])["Functions"], json!([]));
}

/// The script is for a thousand invocations by hand; the CLI is too slow for that here.
#[tokio::test(flavor = "multi_thread")]
async fn aws_cli_alone_drives_control_plane() {
    let guest = root().join("tests/guests/target/wasm32-wasip2/release/hostile.wasm");
    // Builds the guest.
    drop(self::guest("hostile"));
    let aws = root().join(".tools/venv/bin/aws");
    assert!(aws.exists(), "the AWS CLI is missing: run tests/run");
    let mut command = Command::new("bash");
    command.arg(root().join("tests/clients/control_plane.sh"));
    command.env("LAMINA", program()).env("AWS", aws);
    ran(command.env("GUEST", guest).env("CALLS", "20"));
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_drives_host() {
    let host = Lamina::start();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let script = root().join("tests/clients/boto.py");
    ran(client("venv/bin/python", &host)
        .arg(script)
        .arg(package(dir.path())));
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_reads_response_stream() {
    let host = Lamina::start();
    let component = example("streaming");
    host.create("countdown", &component, json!({"Timeout": 30}))
        .await;
    let script = root().join("tests/clients/stream.py");
    ran(client("venv/bin/python", &host).arg(script));
}

#[tokio::test(flavor = "multi_thread")]
async fn chalice_deploys_function() {
    let host = Lamina::with("runtimes = \"accept\"", "");
    let [chalice, aws] = ["chalice", "aws"].map(|it| root().join(".tools/venv/bin").join(it));
    assert!(chalice.exists(), "chalice is missing: run tests/run");
    let mut command = Command::new("bash");
    aim(&mut command, &host);
    command.arg(root().join("tests/clients/chalice.sh"));
    ran(command.env("CHALICE", chalice).env("AWS", aws));
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript_sdk_drives_host() {
    let host = Lamina::start();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let script = root().join("tests/clients/sdk.mjs");
    ran(client("node/bin/node", &host)
        .arg(script)
        .arg(package(dir.path())));
}

#[tokio::test(flavor = "multi_thread")]
async fn cargo_lambda_invokes_function() {
    let host = Lamina::start();
    host.create("cargo", &example("hello"), json!({})).await;
    let mut command = client("venv/bin/cargo-lambda", &host);
    command.args([
        "lambda",
        "invoke",
        "--remote",
        "--endpoint-url",
        &host.endpoint(),
    ]);
    command.args(["--data-ascii", r#"{"name":"cargo"}"#, "cargo"]);
    let output = ran(&mut command);
    assert!(String::from_utf8_lossy(&output.stdout).contains("Hello, cargo!"));
}

/// cargo-lambda requires a native `bootstrap`; the component beside it is what runs.
#[tokio::test(flavor = "multi_thread")]
async fn cargo_lambda_deploys_component_alias_and_url() {
    let host = Lamina::start();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(dir.path().join(name), bytes).expect("it is written");
    };
    let manifest = "[package]\nname = \"app\"\nversion = \"0.1.0\"\n[[bin]]\nname = \"app\"\npath = \"app.rs\"\n";
    write("Cargo.toml", manifest.as_bytes());
    write("app.rs", b"fn main() {}");
    write("app.wasm", &example("hello"));
    write(
        "bootstrap",
        &std::fs::read("/bin/true").expect("a native program"),
    );
    let mut command = client("venv/bin/cargo-lambda", &host);
    command.args(["lambda", "deploy", "--endpoint-url", &host.endpoint()]);
    command.args(["--binary-path", "bootstrap", "--include", "app.wasm"]);
    command.args([
        "--role",
        ROLE,
        "--enable-function-url",
        "--alias",
        "live",
        "app",
    ]);
    ran(command.current_dir(dir.path()));
    host.settled("app").await;
    let answer = host.invoke("app:live", &json!({"name": "cargo"})).await;
    assert_eq!(answer.text(), "\"Hello, cargo!\"");
    let path = "/2021-10-31/functions/app/url?Qualifier=live";
    let url = host.lambda("GET", path, &Value::Null).await.json();
    let url = url["FunctionUrl"].as_str().expect("a URL");
    let got = Command::new("curl").arg("-s").arg(url).output();
    let got = got.expect("curl runs").stdout;
    assert_eq!(String::from_utf8_lossy(&got), "Hello, world!");
}

#[tokio::test(flavor = "multi_thread")]
async fn host_with_keys_requires_signatures() {
    let keys = "[[keys]]\naccess_key_id = \"AK\"\nsecret_access_key = \"secret\"";
    let host = Lamina::configured(keys);
    let unsigned = host
        .lambda("GET", "/2015-03-31/functions", &Value::Null)
        .await;
    assert_eq!(unsigned.error().0, "MissingAuthenticationTokenException");
    let aws = |id: &str, secret: &str| {
        let mut command = client("venv/bin/aws", &host);
        command
            .env("AWS_ACCESS_KEY_ID", id)
            .env("AWS_SECRET_ACCESS_KEY", secret);
        let output = command
            .args(["lambda", "list-functions"])
            .output()
            .expect("the CLI runs");
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    assert_eq!(aws("AK", "secret"), (true, String::new()));
    assert!(aws("AK", "wrong").1.contains("InvalidSignatureException"));
    assert!(
        aws("OTHER", "secret")
            .1
            .contains("UnrecognizedClientException")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn cargo_component_build_runs() {
    let dir = root().join("examples/hello-component");
    let mut command = Command::new("cargo");
    let tools = root().join(".tools/cargo/bin");
    assert!(
        tools.join("cargo-component").exists(),
        "cargo-component is missing: run tests/run"
    );
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(tools).chain(std::env::split_paths(&path)));
    command
        .env("PATH", path.expect("a PATH"))
        .args(["component", "build", "--release"]);
    ran(command.current_dir(&dir));
    let built = dir.join("target/wasm32-wasip1/release/hello_component.wasm");
    let host = Lamina::start();
    host.create("c", &std::fs::read(built).expect("it was built"), json!({}))
        .await;
    let event = std::fs::read_to_string(dir.join("event.json")).expect("an event");
    let event: Value = serde_json::from_str(&event).expect("JSON");
    let answer = host.invoke("c", &event).await;
    assert_eq!(
        answer.header("x-amz-function-error"),
        "",
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn native_bootstrap_beside_component_is_ignored() {
    use std::io::Write;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in [
        ("bootstrap", b"\x7fELF\x02\x01\x01\0".to_vec()),
        ("app.wasm", guest("echo")),
    ] {
        zip.start_file(name, zip::write::SimpleFileOptions::default())
            .expect("in memory");
        zip.write_all(&bytes).expect("in memory");
    }
    let host = Lamina::start();
    let package = zip.finish().expect("in memory").into_inner();
    assert_eq!(host.try_create("f", &package, json!({})).await.status, 201);
    host.settled("f").await;
    assert_eq!(host.invoke("f", &json!(7)).await.json(), json!(7));
}
