//! HTTPS from Python functions, by the libraries that people use.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::packages::Package;
use super::with_egress;
use crate::harness::{Lamina, log_of, root};

/// Certificate for 127.0.0.1, and the authority that signed it.
pub(super) struct Certificates(TempDir);

/// HTTPS server with such a certificate.
struct Server {
    child: Child,
    port: u16,
    certificates: Certificates,
}

impl Certificates {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut make = Command::new(root().join(".tools/venv/bin/python"));
        make.arg(root().join("tests/clients/certificate.py"));
        let made = make.arg(dir.path()).status();
        assert!(made.expect("python runs: run tests/run").success());
        Self(dir)
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("UTF-8").to_owned()
    }

    pub(super) fn authority(&self) -> Vec<u8> {
        std::fs::read(self.path("authority.pem")).expect("it was made")
    }
}

impl Server {
    fn start() -> Self {
        let certificates = Certificates::new();
        let mut command = Command::new(root().join(".tools/venv/bin/python"));
        command.arg(root().join("tests/python/server.py"));
        command.args(["server.pem", "server.key"].map(|it| certificates.path(it)));
        let child = command.stdout(Stdio::piped()).spawn();
        let mut child = child.expect("python runs");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it was piped");
        BufReader::new(stdout).read_line(&mut line).expect("a port");
        Self {
            port: line.trim().parse().expect("a port"),
            child,
            certificates,
        }
    }

    /// Result of a function of this source, which has the authority's certificate and these packages.
    async fn called(&self, host: &Lamina, name: &str, source: &str, packages: &[&str]) -> Value {
        let mut package = Package::new(source, packages);
        package.add("authority.pem", self.certificates.authority());
        package.called(host, name, json!({"port": self.port})).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const SOCKETS: &str = r#"
import http.client, socket, ssl, urllib.request

def fails(call):
    try:
        call()
    except ssl.SSLCertVerificationError as error:
        return "certificate" in str(error)
    except OSError as error:
        return isinstance(error.__cause__ or getattr(error, "reason", None), ssl.SSLCertVerificationError)

def wrapped(context, port, name):
    with socket.create_connection(("127.0.0.1", port), 10) as plain:
        with context.wrap_socket(plain, server_hostname=name) as sock:
            sock.sendall(b"GET /5 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            received = b""
            while data := sock.recv(1000):
                received += data
            return [sock.version(), received[-5:].decode(), len(sock.getpeercert(True)) > 100]

def lambda_handler(event, context):
    port = event["port"]
    url = f"https://127.0.0.1:{port}"
    own = ssl.create_default_context(cafile="authority.pem")
    large = urllib.request.urlopen(f"{url}/900000", context=own).read()
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=own, timeout=10)
    posts = []
    for size in (3, 300_000):
        connection.request("POST", "/", b"y" * size)
        posts.append(connection.getresponse().read().decode().split()[0])
    chain = ssl.create_default_context(cafile="authority.pem")
    chain.check_hostname = False
    return {
        "large": len(large),
        "posts": posts,
        "wrapped": wrapped(own, port, "127.0.0.1"),
        "any name": wrapped(chain, port, "example.com"),
        "unverified": wrapped(ssl._create_unverified_context(), port, "example.com"),
        "other name": fails(lambda: wrapped(own, port, "example.com")),
        "other authority": fails(lambda: urllib.request.urlopen(f"{url}/1")),
    }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn sockets_and_urllib_speak_tls() {
    let (host, server) = (with_egress("any").await, Server::start());
    let result = server.called(&host, "f", SOCKETS, &[]).await;
    let session = json!(["TLSv1.3", "xxxxx", true]);
    let expected = json!({
        "large": 900_000, "posts": ["3", "300000"], "wrapped": session, "any name": session, "unverified": session,
        "other name": true, "other authority": true,
    });
    assert_eq!(result, expected);
}

const ASYNCIO: &str = r#"
import asyncio, ssl

async def get(port, context, size):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    writer.write(f"GET /{size} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
    received = await reader.read()
    writer.close()
    return len(received.partition(b"\r\n\r\n")[2])

async def main(port):
    context = ssl.create_default_context(cafile="authority.pem")
    sizes = await asyncio.gather(*(get(port, context, size) for size in (1, 1000, 200_000)))
    try:
        await get(port, ssl.create_default_context(), 1)
    except ssl.SSLCertVerificationError:
        sizes.append("refused")
    return sizes

def lambda_handler(event, context):
    return asyncio.run(main(event["port"]))
"#;

#[tokio::test(flavor = "multi_thread")]
async fn asyncio_speaks_tls() {
    let (host, server) = (with_egress("any").await, Server::start());
    let result = server.called(&host, "f", ASYNCIO, &[]).await;
    assert_eq!(result, json!([1, 1000, 200_000, "refused"]));
}

const REQUESTS: &str = r#"
def lambda_handler(event, context):
    import requests

    url = f"https://127.0.0.1:{event['port']}"
    with requests.Session() as session:
        session.verify = "authority.pem"
        sizes = [len(session.get(f"{url}/{size}", timeout=10).content) for size in (0, 10, 100_000)]
        posted = session.post(url, data=b"z" * 200_000).text.split()[0]
    try:
        requests.get(f"{url}/1")
    except requests.exceptions.SSLError:
        sizes.append("refused")
    sizes.append(len(requests.get(f"{url}/7", verify=False).content))
    return [*sizes, posted]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn requests_speaks_tls() {
    let (host, server) = (with_egress("any").await, Server::start());
    let packages = [
        "requests",
        "urllib3",
        "idna",
        "certifi",
        "charset_normalizer",
    ];
    let result = server.called(&host, "f", REQUESTS, &packages).await;
    assert_eq!(result, json!([0, 10, 100_000, "refused", 7, "200000"]));
}

const LEAK: &str = r#"
import urllib.request, ssl, sys

context = ssl.create_default_context(cafile="authority.pem")

def lambda_handler(event, _):
    for _ in range(20):
        request = urllib.request.Request(f"https://127.0.0.1:{event['port']}/", b"y" * 200_000)
        urllib.request.urlopen(request, context=context).read()
"#;

/// Uploads are not kept in memory: 20 MB through 128 MB, five times.
#[tokio::test(flavor = "multi_thread")]
async fn uploads_do_not_accumulate() {
    let (host, server) = (with_egress("any").await, Server::start());
    server.called(&host, "f", LEAK, &[]).await;
    let peak = async || {
        let event = json!({"port": server.port});
        let log = log_of(&host.invoke("f", &event).await);
        let peak = log.split("Max Memory Used: ").nth(1);
        let peak = peak.and_then(|it| it.split(' ').next()?.parse::<u32>().ok());
        peak.unwrap_or_else(|| panic!("{log}"))
    };
    let first = peak().await;
    for _ in 0..4 {
        peak().await;
    }
    let last = peak().await;
    assert!(last <= first + 4, "{first} MB, then {last} MB");
}
