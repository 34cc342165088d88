//! A real browser: a page of another origin calls function URLs, and reads a stream as it arrives.

use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{Lamina, guest};
use crate::response_streams::reserve_one;
use crate::urls::url_of;

/// Script of the page: reports what it read of both URLs.
const PAGE: &str = r#"<!doctype html><title>Lamina</title><h1>Streamed</h1><ul></ul><script>
const report = (path, value) => fetch(path, {method: "POST", body: JSON.stringify(value)});
(async () => {
  const blocked = await fetch("CLOSED").then(() => false, () => true);
  const response = await fetch("OPEN", {
    method: "POST", headers: {"content-type": "application/json"}, body: JSON.stringify(WISH),
  });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const pieces = [];
  for (;;) {
    const {done, value} = await reader.read();
    if (done) break;
    pieces.push(value);
    document.querySelector("ul").append(Object.assign(document.createElement("li"), {textContent: value}));
    if (pieces.length === 1) await report("/first", value);
  }
  const exposed = response.headers.get("x-own"), hidden = response.headers.get("x-other");
  await report("/end", {blocked, status: response.status, exposed, hidden, pieces});
})().catch(error => report("/end", String(error)));
</script>"#;

/// The browser, ended with its test.
struct Browser(Child);

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn browse(page: &str, profile: &std::path::Path) -> Browser {
    let mut command = Command::new("chromium");
    command
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
        ])
        .args(["--no-first-run", "--disable-background-networking"])
        .args(["--disable-component-update", "--disable-sync"])
        .arg(format!("--user-data-dir={}", profile.display()))
        // Without it the browser leaves once the page is loaded.
        .arg("--remote-debugging-port=0")
        .arg(page)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Browser(command.spawn().expect("chromium is installed"))
}

/// Next request of the page: its path and body. The page and its icon are answered on the way.
async fn reported(listener: &TcpListener, page: &str) -> (String, Value) {
    loop {
        let (stream, _) = listener.accept().await.expect("it listens");
        if let Some(report) = answer(stream, page).await {
            return report;
        }
    }
}

async fn answer(stream: TcpStream, page: &str) -> Option<(String, Value)> {
    let mut stream = BufReader::new(stream);
    let mut first = String::new();
    stream.read_line(&mut first).await.ok()?;
    let mut length = 0;
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let path = first.split(' ').nth(1)?.to_owned();
    let content = if path == "/" { page } else { "" };
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        content.len()
    );
    stream.write_all((head + content).as_bytes()).await.ok()?;
    first.starts_with("POST").then(|| {
        let value = serde_json::from_slice(&body).expect("the page sends JSON");
        (path, value)
    })
}

#[tokio::test]
async fn page_of_another_origin_reads_stream_as_it_arrives() {
    let host = Lamina::configured("");
    host.create("f", &guest("streaming"), json!({"Timeout": 60}))
        .await;
    host.create("closed", &guest("streaming"), json!({})).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("it is bound"));
    let cors = json!({
        "AllowOrigins": [origin], "AllowMethods": ["POST"], "AllowHeaders": ["content-type"],
        "ExposeHeaders": ["x-own"],
    });
    let streams = json!({"InvokeMode": "RESPONSE_STREAM", "Cors": cors});
    let open = format!("http://{}/", url_of(&host, "f", streams).await);
    let closed = format!("http://{}/", url_of(&host, "closed", json!({})).await);
    reserve_one(&host).await;
    let metadata = json!({"statusCode": 201, "headers": {"x-own": "1", "x-other": "2"}});
    let wish = json!({"metadata": metadata, "chunks": ["one", "two"], "pause_ms": 3_000});
    let page = PAGE.replace("OPEN", &open).replace("CLOSED", &closed);
    let page = page.replace("WISH", &wish.to_string());
    let profile = tempfile::tempdir().expect("a directory");
    let _browser = browse(&origin, profile.path());
    let whole = async {
        let first = reported(&listener, &page).await;
        assert_eq!(first, ("/first".into(), json!("one")));
        // The function still runs.
        assert_eq!(host.invoke("f", &json!({})).await.status, 429);
        reported(&listener, &page).await
    };
    let time = std::time::Duration::from_secs(60);
    let whole = tokio::time::timeout(time, whole).await;
    let end = json!({
        "blocked": true, "status": 201, "exposed": "1", "hidden": null, "pieces": ["one", "two"],
    });
    assert_eq!(whole.expect("the page reports"), ("/end".into(), end));
}
