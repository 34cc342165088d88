//! Commands and settings for operators: logs of the host, drain time, variables and secret files, backups, systemd.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Lamina, guest, root, signal};
use crate::projects::{Project, command, ran};

/// A host whose stderr is read.
struct Host {
    child: Child,
    lines: Receiver<String>,
}

impl Host {
    fn start(command: &mut Command) -> Self {
        let mut child = command
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stderr = BufReader::new(child.stderr.take().expect("it was piped"));
        let (send, lines) = channel();
        std::thread::spawn(move || {
            stderr
                .lines()
                .map_while(Result::ok)
                .try_for_each(|it| send.send(it))
        });
        Self { child, lines }
    }

    fn until(&self, wanted: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(60));
            let line = line.unwrap_or_else(|_| panic!("{wanted} was not said"));
            if line.contains(wanted) {
                return line;
            }
        }
    }

    fn address(&self) -> SocketAddr {
        let line = self.until("answers on http://");
        let address = line
            .split("http://")
            .nth(1)
            .and_then(|it| it.split(',').next());
        address.and_then(|it| it.parse().ok()).expect("an address")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a request without a signature; returns the response.
fn get(address: SocketAddr, path: &str) -> String {
    let output = Command::new("curl")
        .args(["-s", "-i", &format!("http://{address}{path}")])
        .output()
        .expect("curl runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn json_log_has_one_object_a_line_and_requests() {
    let project = Project::new("[log]\nformat = \"json\"\naccess = true\n");
    let mut start = command(project.path(), &["start", "--listen", "127.0.0.1:0"]);
    let host = Host::start(&mut start);
    let address = host.address();
    get(address, "/2015-03-31/functions/none?secret=x");
    let line = host.until("lamina::access");
    let entry: Value = serde_json::from_str(&line).expect("it is JSON");
    let expected = [
        ("method", json!("GET")),
        ("path", json!("/2015-03-31/functions/none")),
        ("status", json!(404)),
        ("client", json!("127.0.0.1")),
        ("host", json!(address.to_string())),
    ];
    for (key, value) in expected {
        assert_eq!(entry[key], value, "{line}");
    }
    assert!(
        entry["duration_ms"].is_number() && entry["request_id"].is_string(),
        "{line}"
    );
    assert!(!line.contains("secret"), "{line}");
    signal(&host.child, Signal::TERM);
    let line = host.until("lamina has stopped");
    assert!(serde_json::from_str::<Value>(&line).is_ok(), "{line}");
}

#[test]
fn access_log_is_off_by_default() {
    let project = Project::new("");
    let host = Host::start(&mut command(
        project.path(),
        &["start", "--listen", "127.0.0.1:0"],
    ));
    get(host.address(), "/_lamina/health");
    signal(&host.child, Signal::TERM);
    let mut lines = host
        .lines
        .iter()
        .take_while(|it| !it.contains("has stopped"));
    assert!(lines.all(|line| !line.contains("duration_ms")));
    drop(host);
    let mut start = command(project.path(), &["start", "--listen", "127.0.0.1:0"]);
    let host = Host::start(start.env("LAMINA_LOG__ACCESS", "true"));
    get(host.address(), "/_lamina/health");
    host.until("duration_ms");
}

#[test]
fn variables_and_secret_files_configure_the_host() {
    let project = Project::new(
        "region = \"eu-west-1\"\n[[keys]]\naccess_key_id = \"AK\"\nsecret_access_key_file = \"secret\"\n",
    );
    project.write("secret", "hidden\n");
    let start = ["start", "--listen", "127.0.0.1:0"];
    let mut start = command(project.path(), &start);
    let start = start.env("LAMINA_REGION", "eu-west-3");
    let host = Host::start(start.env("LAMINA_REGOIN", "eu-west-4"));
    host.until("secret can be read by other users");
    host.until("LAMINA_REGOIN is no setting");
    let endpoint = format!("http://{}", host.address());
    let arguments = ["list", "--endpoint-url", &endpoint, "--region", "eu-west-3"];
    let mut list = command(project.path(), &arguments);
    list.env("AWS_ACCESS_KEY_ID", "AK")
        .env("AWS_SECRET_ACCESS_KEY", "hidden");
    let (code, _, notes) = ran(&mut list);
    assert_eq!(code, Some(0), "{notes}");
    let mut wrong = command(project.path(), &["start"]);
    let (code, _, notes) = ran(wrong.env("LAMINA_LIMITS__CONCURENCY", "1"));
    assert_eq!(code, Some(3));
    assert!(notes.contains("unknown field `concurency`"), "{notes}");
}

#[test]
fn unencrypted_listener_is_warned_of() {
    let keys = "[[keys]]\naccess_key_id = \"AK\"\nsecret_access_key = \"hidden\"\n";
    let project = Project::new(keys);
    let start = ["start", "--listen", "0.0.0.0:0"];
    let host = Host::start(&mut command(project.path(), &start));
    host.until("requests there are not encrypted");
}

#[tokio::test(flavor = "multi_thread")]
async fn drain_time_cuts_requests_off() {
    let host = Lamina::configured("drain_seconds = 0");
    host.create("f", &guest("hostile"), json!({"Timeout": 60}))
        .await;
    let path = "/2015-03-31/functions/f/invocations";
    let slow = host.try_send(
        "POST",
        path,
        &[],
        json!({"do": "sleep", "ms": 5_000}).to_string(),
    );
    let stop = async {
        // The function runs.
        while !host
            .send("GET", "/_lamina/metrics", &[], "")
            .await
            .text()
            .contains("lamina_permits_in_use 1")
        {
            tokio::task::yield_now().await;
        }
        host.signal(Signal::TERM);
    };
    let (answer, ()) = tokio::join!(slow, stop);
    assert!(answer.is_none(), "the request was cut off");
}

fn lamina(dir: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    ran(&mut command(dir, arguments))
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_cut_off_by_the_drain_time_do_not_panic() {
    let mut host = Lamina::configured("drain_seconds = 0");
    host.create("f", &guest("hostile"), json!({"Timeout": 3}))
        .await;
    // Calls of a function that has spun start on the threads of guests.
    host.invoke("f", &json!({"do": "loop"})).await;
    let path = "/2015-03-31/functions/f/invocations";
    let sleep = json!({"do": "sleep", "ms": 2_500}).to_string();
    let calls = (0..4).map(|_| host.try_send("POST", path, &[], sleep.clone()));
    let calls = futures_util::future::join_all(calls);
    let stop = async {
        while !host
            .send("GET", "/_lamina/metrics", &[], "")
            .await
            .text()
            .contains("lamina_permits_in_use 4")
        {
            tokio::task::yield_now().await;
        }
        host.signal(Signal::TERM);
    };
    tokio::join!(calls, stop);
    assert!(host.ended().success());
    let heard = host.heard_all().await;
    assert!(
        heard.iter().all(|line| !line.contains("panicked")),
        "{heard:?}"
    );
}

#[test]
fn doctor_reports_on_machine_and_configuration() {
    let project = Project::new("listen = \"127.0.0.1:0\"\n");
    let (code, told, notes) = lamina(project.path(), &["doctor"]);
    assert_eq!(code, Some(0), "{told}{notes}");
    for check in [
        "configuration",
        "data directory",
        "disk sync",
        "open files",
        "clock",
    ] {
        assert!(told.contains(&format!("  {check}: ")), "{check} in {told}");
    }
    let left = std::fs::read_dir(project.path())
        .expect("it is there")
        .filter_map(Result::ok);
    assert!(
        left.into_iter()
            .all(|it| !it.file_name().to_string_lossy().contains("doctor"))
    );
    project.write("lamina.toml", "listen = \"nowhere\"\n");
    let (code, told, _) = lamina(project.path(), &["doctor"]);
    assert_eq!(code, Some(3));
    assert!(
        told.contains("FAIL  configuration: ") && told.contains("line 1"),
        "{told}"
    );
}

#[test]
fn doctor_finds_what_start_refuses() {
    let project = Project::new(
        "listen = \"127.0.0.1:0\"\n[s3]\nendpoint = \"nourl\"\n[tls]\nlisten = \"127.0.0.1:0\"\n\
         [[tls.certificates]]\ncertificate = \"no.pem\"\nkey = \"no.key\"\n",
    );
    let (code, told, _) = lamina(project.path(), &["doctor"]);
    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("FAIL  tls: no.pem: "), "{told}");
    assert!(told.contains("FAIL  s3: "), "{told}");
    project.write("file", "");
    let (code, told, _) = lamina(project.path(), &["doctor", "--data-dir", "file"]);
    assert_eq!(code, Some(3));
    assert!(
        told.contains("FAIL  data directory: the data directory file is a file"),
        "{told}"
    );
}

#[test]
fn doctor_beside_its_running_host_finds_no_fault() {
    let project = Project::new("");
    let start = ["start", "--listen", "127.0.0.1:0"];
    let host = Host::start(&mut command(project.path(), &start));
    let listen = host.address().to_string();
    let (code, told, notes) = lamina(project.path(), &["doctor", "--listen", &listen]);
    assert_eq!(code, Some(0), "{told}{notes}");
    let process = format!("process {}", host.child.id());
    assert!(
        told.contains(&format!("the host runs ({process})")),
        "{told}"
    );
    assert!(told.contains(&format!("is in use by {process}")), "{told}");
}

#[test]
fn systemd_is_notified_and_hands_over_its_socket() {
    let project = Project::new("");
    let path = project.path().join("notify");
    let notifications = UnixDatagram::bind(&path).expect("it is bound");
    notifications
        .set_read_timeout(Some(Duration::from_secs(60)))
        .expect("it is set");
    let received = || {
        let mut bytes = [0; 256];
        let length = notifications.recv(&mut bytes).expect("a notification");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    let socket = TcpListener::bind("127.0.0.1:0").expect("it is bound");
    let address = socket.local_addr().expect("it has one");
    // The shell moves the socket to the first descriptor of systemd's protocol.
    let mut shell = Command::new("sh");
    let script = "exec 3<&0 0</dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$0\" start";
    shell.args(["-c", script]).arg(crate::harness::program());
    shell
        .current_dir(project.path())
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(socket)));
    let host = Host::start(shell.env("NOTIFY_SOCKET", &path));
    assert_eq!(host.address(), address);
    assert_eq!(received().trim(), "READY=1");
    assert!(get(address, "/_lamina/health").contains("200 OK"));
    signal(&host.child, Signal::HUP);
    let reloading = received();
    assert!(
        reloading.contains("RELOADING=1") && reloading.contains("MONOTONIC_USEC="),
        "{reloading}"
    );
    assert_eq!(received().trim(), "READY=1");
    signal(&host.child, Signal::TERM);
    assert_eq!(received().trim(), "STOPPING=1");
}

#[test]
fn public_socket_of_systemd_needs_keys() {
    let project = Project::new("");
    let socket = TcpListener::bind("0.0.0.0:0").expect("it is bound");
    let mut shell = Command::new("sh");
    let script = "exec 3<&0 0</dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$0\" start";
    shell.args(["-c", script]).arg(crate::harness::program());
    shell.current_dir(project.path());
    shell.stdin(Stdio::from(std::os::fd::OwnedFd::from(socket)));
    let (code, _, notes) = ran(&mut shell);
    assert_eq!(code, Some(3));
    assert!(notes.contains("[[keys]]"), "{notes}");
}

#[test]
fn completions_and_man_pages_name_every_command() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for shell in ["bash", "zsh", "fish"] {
        let (code, told, _) = lamina(dir.path(), &["completions", shell]);
        assert_eq!(code, Some(0));
        assert!(
            told.contains("deploy") && told.contains("backup"),
            "{shell}"
        );
    }
    let (code, told, _) = lamina(dir.path(), &["man", "pages"]);
    assert_eq!((code, told.as_str()), (Some(0), "pages/lamina.1\n"));
    for page in ["lamina.1", "lamina-deploy.1", "lamina-layer-publish.1"] {
        let page = std::fs::read_to_string(dir.path().join("pages").join(page));
        assert!(page.expect("it was written").contains(".TH"));
    }
}

/// To renew the page: `lamina reference > CONFIGURATION.md`.
#[test]
fn reference_page_is_made_from_the_code() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (code, told, _) = lamina(dir.path(), &["reference"]);
    assert_eq!(code, Some(0));
    let page = std::fs::read_to_string(root().join("CONFIGURATION.md")).expect("it is there");
    assert!(
        page == told,
        "CONFIGURATION.md differs from `lamina reference`"
    );
    for key in [
        "`drain_seconds`",
        "`shared_target`",
        "`secret_access_key`",
        "### `[[keys]]`",
    ] {
        assert!(page.contains(key), "{key}");
    }
}
