//! Doors of function URLs: domains, custom domains and paths, TLS, trusted proxies and the PROXY protocol.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Lamina, guest};
use crate::http_server::certificate;
use crate::signed::Signed;
use crate::urls::{get, url_of};

async fn host(settings: &str) -> Lamina {
    let host = Lamina::with(settings, "settle_millis = 20");
    host.create("echo", &guest("echo"), json!({})).await;
    host
}

/// Creates a function URL and returns it as shown.
async fn url(host: &Lamina) -> String {
    let path = "/2021-10-31/functions/echo/url";
    let made = host
        .lambda("POST", path, &json!({"AuthType": "NONE"}))
        .await;
    let made = made.json();
    made["FunctionUrl"].as_str().expect("a URL").to_owned()
}

fn id_of(url: &str) -> &str {
    let (_, rest) = url.split_once("://").expect("a URL");
    rest.split('.').next().expect("a label")
}

#[tokio::test]
async fn url_is_shown_with_configured_domain() {
    let host = host("[urls]\ndomain = \"fn.example\"\nscheme = \"https\"\nport = 8443\n").await;
    let shown = url(&host).await;
    let id = id_of(&shown);
    assert_eq!(
        shown,
        format!("https://{id}.lambda-url.us-east-1.fn.example:8443/")
    );
    let domain = format!("{id}.lambda-url.us-east-1.fn.example");
    let event = get(&host, &domain, "/x", &[]).await.json();
    assert_eq!(event["requestContext"]["domainName"], domain);
}

#[tokio::test]
async fn url_is_reached_below_a_path_of_the_host() {
    let host = host("").await;
    let shown = url(&host).await;
    let id = id_of(&shown);
    let answer = host
        .send("GET", &format!("/_url/{id}/a//b%20c?x=1&y"), &[], "")
        .await;
    let event = answer.json();
    assert_eq!(event["rawPath"], "/a//b%20c");
    assert_eq!(event["rawQueryString"], "x=1&y");
    let context = &event["requestContext"];
    assert_eq!(context["domainName"], "127.0.0.1");
    assert_eq!(
        (&context["apiId"], &context["domainPrefix"]),
        (&json!(id), &json!(id))
    );
    assert_eq!(context["http"]["path"], "/a//b%20c");
    let policy = answer.header("content-security-policy");
    assert!(
        policy.starts_with("sandbox "),
        "pages have no access to the APIs: {policy}"
    );
    let bare = host
        .send("GET", &format!("/_url/{id}"), &[], "")
        .await
        .json();
    assert_eq!(bare["rawPath"], "/");
    let python = format!(
        "import urllib.request; print(urllib.request.urlopen('{}/_url/{id}/p').status)",
        host.endpoint()
    );
    let called = Command::new("python3").arg("-c").arg(python).output();
    assert_eq!(called.expect("python3 runs").stdout, b"200\n");
    let nobody = host.send("GET", "/_url/nobody/", &[], "").await;
    assert_eq!(
        (nobody.status.as_u16(), nobody.text().as_str()),
        (403, "{\"Message\":null}")
    );
}

#[tokio::test]
async fn signature_covers_path_as_sent() {
    let key = "[[keys]]\naccess_key_id = \"k\"\nsecret_access_key = \"k\"\n";
    let host = Lamina::with(key, "settle_millis = 20");
    let signed = Signed {
        host: &host,
        key: "k",
    };
    signed.create("echo", &json!({})).await;
    let made = signed
        .lambda(
            "POST",
            "/2021-10-31/functions/echo/url",
            &json!({"AuthType": "AWS_IAM"}),
        )
        .await;
    let shown = made.json()["FunctionUrl"]
        .as_str()
        .expect("a URL")
        .to_owned();
    let path = format!("/_url/{}/a/b", id_of(&shown));
    let event = signed.send("lambda", "GET", &path, &[], "").await;
    assert_eq!(event.json()["rawPath"], "/a/b", "{}", event.text());
    assert_eq!(
        event.json()["requestContext"]["authorizer"]["iam"]["accessKey"],
        "k"
    );
    assert_eq!(host.send("GET", &path, &[], "").await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_signs_requests_to_url() {
    let key = "[[keys]]\naccess_key_id = \"k\"\nsecret_access_key = \"k\"\n";
    let host = Lamina::with(key, "settle_millis = 20");
    let signed = Signed {
        host: &host,
        key: "k",
    };
    signed.create("echo", &json!({})).await;
    let url = json!({"AuthType": "AWS_IAM"});
    let path = "/2021-10-31/functions/echo/url";
    let url = signed.lambda("POST", path, &url).await.url_domain();
    let call = |user: &str| {
        let address = format!("http://{url}/a/b?x=1&y=%20z");
        let run = Command::new("curl")
            .args(["-s", "--aws-sigv4", "aws:amz:us-east-1:lambda", "--user"])
            .args([user, "--data", "body of curl", &address])
            .output();
        String::from_utf8_lossy(&run.expect("curl runs").stdout).into_owned()
    };
    let event: Value = serde_json::from_str(&call("k:k")).expect("the event");
    assert_eq!(event["rawPath"], "/a/b", "{event}");
    assert_eq!(
        event["queryStringParameters"],
        json!({"x": "1", "y": " z"}),
        "{event}"
    );
    let identity = &event["requestContext"]["authorizer"]["iam"];
    assert_eq!(identity["accessKey"], "k", "{event}");
    let refused = call("k:wrong");
    assert!(refused.contains("signature we calculated"), "{refused}");
}

#[tokio::test]
async fn custom_domain_leads_to_function_or_alias() {
    let domains = "[[urls.domains]]\nhost = \"Echo.example\"\nfunction = \"echo\"\n\
                   [[urls.domains]]\nhost = \"live.example\"\nfunction = \"echo:live\"\n";
    let host = host(domains).await;
    assert_eq!(
        get(&host, "echo.example", "/", &[]).await.status,
        403,
        "it has no URL"
    );
    let domain = url_of(&host, "echo", json!({"Cors": {"AllowOrigins": ["*"]}})).await;
    let origin = [("origin", "https://a.example")];
    for host_name in ["echo.example", "ECHO.example:8080"] {
        let answer = get(&host, host_name, "/p?q", &origin).await;
        let event = answer.json();
        assert_eq!(event["rawPath"], "/p", "{}", answer.text());
        let context = &event["requestContext"];
        assert_eq!(
            context["domainName"],
            host_name.split(':').next().unwrap_or_default()
        );
        assert_eq!(
            context["apiId"],
            domain.split('.').next().unwrap_or_default()
        );
        assert_eq!(answer.header("access-control-allow-origin"), "*");
    }
    // The alias has no URL, and another name is none.
    assert_eq!(get(&host, "live.example", "/", &[]).await.status, 403);
    assert_eq!(get(&host, "other.example", "/", &[]).await.status, 403);
}

#[tokio::test]
async fn web_socket_upgrade_is_refused_clearly() {
    let host = host("").await;
    let domain = url_of(&host, "echo", json!({})).await;
    let upgrade = [
        ("connection", "Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", "13"),
    ];
    let answer = get(&host, &domain, "/", &upgrade).await;
    assert_eq!(answer.status, 501);
    assert!(
        answer.text().contains("do not take WebSocket connections"),
        "{}",
        answer.text()
    );
    let other = [("connection", "Upgrade"), ("upgrade", "h2c")];
    assert_eq!(get(&host, &domain, "/", &other).await.status, 200);
}

async fn source_of(host: &Lamina, domain: &str, hops: &str) -> (Value, Value, Value) {
    let hops = [("x-forwarded-for", hops), ("x-forwarded-proto", "https")];
    let event = get(host, domain, "/", &hops).await.json();
    let source = event["requestContext"]["http"]["sourceIp"].clone();
    let headers = &event["headers"];
    (
        source,
        headers["x-forwarded-for"].clone(),
        headers["x-forwarded-proto"].clone(),
    )
}

#[tokio::test]
async fn forwarded_headers_count_from_trusted_proxies_only() {
    let untrusting = host("").await;
    let domain = url_of(&untrusting, "echo", json!({})).await;
    let found = source_of(&untrusting, &domain, "192.0.2.1").await;
    assert_eq!(
        found,
        (json!("127.0.0.1"), json!("127.0.0.1"), json!("http"))
    );
    let trusting = host("trusted_proxies = [\"127.0.0.0/8\"]\n").await;
    let domain = url_of(&trusting, "echo", json!({})).await;
    let found = source_of(&trusting, &domain, "198.51.100.9, 192.0.2.1, 127.0.0.9").await;
    let way = json!("198.51.100.9, 192.0.2.1, 127.0.0.9, 127.0.0.1");
    assert_eq!(found, (json!("192.0.2.1"), way, json!("https")));
}

/// Sends bytes to an address and returns everything that comes back.
async fn exchanged(host: &Lamina, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(host.address).await.expect("it answers");
    stream.write_all(bytes).await.expect("it reads");
    let mut answer = Vec::new();
    // A refused connection may be reset.
    let _reset = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn proxy_protocol_names_the_client() {
    // Functions are made by a host without the protocol.
    let first = host("").await;
    let shown = url(&first).await;
    let path = format!("/_url/{}/", id_of(&shown));
    let settings = "trusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]\nproxy_protocol = true\n";
    let dir = first.kill();
    let host = Lamina::in_dir_with(dir, settings);
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: x\r\nx-forwarded-for: 9.9.9.9\r\nconnection: close\r\n\r\n"
    );
    let version_2 =
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x02\xc6\x33\x64\x01\xdc\x04\x01\xbb";
    for (head, source) in [
        (
            &b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"[..],
            "192.0.2.1",
        ),
        (&version_2[..], "192.0.2.2"),
        // A client without an address may name no others.
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        // The proxy's own request, with the client that it names.
        (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", "9.9.9.9"),
        // A trusted proxy behind the one that connects.
        (b"PROXY TCP4 10.0.0.1 198.51.100.1 56324 443\r\n", "9.9.9.9"),
    ] {
        let answer = exchanged(&host, &[head, request.as_bytes()].concat()).await;
        let expected = format!("\"sourceIp\":\"{source}\"");
        assert!(answer.contains(&expected), "{answer}");
    }
    assert_eq!(
        exchanged(&host, request.as_bytes()).await,
        "",
        "a head is required"
    );
}

/// Certificate and key of `tests/certificates` in a directory of the test, as `current`.
fn install(dir: &Path, name: &str) {
    for end in ["key", "pem"] {
        let next = dir.join(format!("next.{end}"));
        fs::copy(certificate(&format!("{name}.{end}")), &next).expect("it is copied");
        fs::rename(next, dir.join(format!("current.{end}"))).expect("it is renamed");
    }
}

fn tls_settings(certificates: &[(&str, &Path)]) -> String {
    let entry = |(name, dir): &(&str, &Path)| {
        let path = |end: &str| dir.join(format!("{name}.{end}")).display().to_string();
        let (certificate, key) = (path("pem"), path("key"));
        format!("[[tls.certificates]]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n")
    };
    let entries: String = certificates.iter().map(entry).collect();
    format!("[tls]\nlisten = \"127.0.0.1:0\"\n{entries}")
}

/// Port of the TLS listener.
fn tls_port(host: &Lamina) -> u16 {
    let said = host
        .said
        .iter()
        .find_map(|line| line.split("TLS on https://127.0.0.1:").nth(1));
    let port = said.unwrap_or_else(|| panic!("{:?}", host.said));
    let digits: String = port.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().expect("a port")
}

/// Runs curl against the TLS listener, whatever host the URL names; returns its output and exit status.
fn curl(port: u16, arguments: &[&str]) -> (String, Option<i32>) {
    let run = Command::new("curl")
        .args(["--silent", "--max-time", "20", "--connect-to"])
        .arg(format!("::127.0.0.1:{port}"))
        .arg("--cacert")
        .arg(certificate("ca.pem"))
        .args(arguments)
        .output();
    let run = run.expect("curl runs");
    (
        String::from_utf8_lossy(&run.stdout).into_owned(),
        run.status.code(),
    )
}

#[tokio::test]
async fn curl_speaks_both_versions_over_tls() {
    let dir = certificate("");
    let urls = "[urls]\ndomain = \"example\"\nscheme = \"https\"\nport = 443\n\
                [[urls.domains]]\nhost = \"shop.example\"\nfunction = \"echo\"\n";
    let tls = tls_settings(&[("server", &dir), ("shop", &dir)]);
    let host = host(&[urls, &tls].concat()).await;
    let (shown, port) = (url(&host).await, tls_port(&host));
    assert!(
        shown.starts_with("https://") && shown.ends_with(".example/"),
        "{shown}"
    );
    for (option, version) in [("--http2", "2"), ("--http1.1", "1.1")] {
        let target = format!("{shown}a?b=1");
        let (text, status) = curl(port, &[option, "--write-out", "\n%{http_version}", &target]);
        assert_eq!(status, Some(0), "{text}");
        let (event, spoken) = text.rsplit_once('\n').expect("two parts");
        assert_eq!(spoken, version);
        let event: Value = serde_json::from_str(event).expect("an event");
        assert_eq!(event["rawPath"], "/a");
        assert_eq!(event["headers"]["x-forwarded-proto"], "https");
        assert_eq!(event["headers"]["x-forwarded-port"], port.to_string());
    }
    // Its own certificate by server name; the first one, which does not fit, for other names.
    let (text, status) = curl(port, &["https://shop.example/s"]);
    assert_eq!(status, Some(0), "{text}");
    let (_, status) = curl(port, &["https://unknown.example/"]);
    assert_eq!(status, Some(60), "the certificate does not fit");
    // A plain request is no TLS, and is closed.
    let mut plain = TcpStream::connect(("127.0.0.1", port))
        .await
        .expect("it listens");
    plain
        .write_all(b"GET / HTTP/1.1\r\n\r\n")
        .await
        .expect("it reads");
    let mut answer = Vec::new();
    let _reset = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

type Tls = tokio_rustls::client::TlsStream<TcpStream>;

/// A TLS connection for `shop.example`.
async fn connected(port: u16) -> Tls {
    let mut roots = rustls::RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(certificate("ca.pem")).expect("a certificate");
    roots.add(authority).expect("an authority");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider knows TLS")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(("127.0.0.1", port))
        .await
        .expect("it listens");
    let name = ServerName::try_from("shop.example").expect("a name");
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    connector.connect(name, stream).await.expect("a handshake")
}

fn is_of(stream: &Tls, name: &str) -> bool {
    let expected = CertificateDer::from_pem_file(certificate(&format!("{name}.pem")));
    let shown = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|it| it.first());
    shown == expected.ok().as_ref()
}

async fn until_shown(port: u16, name: &str) {
    for _ in 0..1_000 {
        if is_of(&connected(port).await, name) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    panic!("{name} is never shown");
}

#[tokio::test]
async fn certificate_is_replaced_without_restart() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    install(dir.path(), "shop");
    let host = host(&tls_settings(&[("current", dir.path())])).await;
    let port = tls_port(&host);
    let mut open = connected(port).await;
    assert!(is_of(&open, "shop"));
    // A changed file is seen.
    install(dir.path(), "shop-renewed");
    until_shown(port, "shop-renewed").await;
    // SIGHUP reads other files, too; a broken one changes nothing.
    for end in ["pem", "key"] {
        let other = dir.path().join(format!("other.{end}"));
        fs::copy(certificate(&format!("shop.{end}")), other).expect("it is copied");
    }
    let config = host.dir.path().join("lamina.toml");
    let other = tls_settings(&[("other", dir.path())]);
    fs::write(&config, other).expect("it is written");
    host.signal(Signal::HUP);
    until_shown(port, "shop").await;
    fs::write(dir.path().join("other.pem"), "broken").expect("it is written");
    host.signal(Signal::HUP);
    host.hears("the configuration was not reloaded").await;
    assert!(is_of(&connected(port).await, "shop"));
    // The first connection is open all the time.
    let request = b"GET /_lamina/health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    open.write_all(request).await.expect("it reads");
    let mut answer = String::new();
    open.read_to_string(&mut answer).await.expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
