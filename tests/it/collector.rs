//! Collector of the lines that functions report, outside of the host: it outlives kills of the host.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

/// Settings of a host whose functions may reach the collector.
pub const SETTINGS: &str = "egress = \"any\"";

/// Lines of all functions, in the order of their arrival.
pub struct Collector {
    pub address: String,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Collector {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let all = Arc::clone(&lines);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let all = Arc::clone(&all);
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    let mut line = String::new();
                    // A host that is killed in between breaks the connection.
                    if stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
                        let lines = all.lock();
                        lines.expect("no test panics here").push(line.trim().into());
                        let _ = stream.write_all(b"\n").await;
                    }
                });
            }
        });
        Self { address, lines }
    }

    /// Event that makes `tests/guests/hostile` report a line.
    pub fn event(&self, line: &str) -> Value {
        json!({"do": "report", "address": self.address, "line": line})
    }

    pub fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().expect("no test panics here")
    }

    /// Waits until the lines satisfy a condition.
    pub async fn until(&self, wanted: impl Fn(&[String]) -> bool) {
        for _ in 0..12_000 {
            if wanted(&self.lines()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{:?} were reported", self.lines());
    }
}
