//! SIGHUP: keys and policies are reloaded, and no connection is lost.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::Lamina;
use crate::signed::Signed;

const FUNCTIONS: &str = "/2015-03-31/functions";

fn key(id: &str, more: &str) -> String {
    format!("[[keys]]\naccess_key_id = \"{id}\"\nsecret_access_key = \"{id}\"\n{more}\n")
}

async fn status(host: &Lamina, key: &str) -> u16 {
    let answer = Signed { host, key }
        .lambda("GET", FUNCTIONS, &Value::Null)
        .await;
    answer.status.as_u16()
}

async fn until(host: &Lamina, key: &str, wanted: u16) {
    for _ in 0..1_000 {
        if status(host, key).await == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{key} never gets {wanted}");
}

#[tokio::test]
async fn sighup_reloads_keys_and_policies() {
    let host = Lamina::with(&key("old", ""), "settle_millis = 20");
    assert_eq!(
        (status(&host, "old").await, status(&host, "new").await),
        (200, 403)
    );
    let config = host.dir.path().join("lamina.toml");
    // A request in progress before the reload.
    let mut begun = TcpStream::connect(host.address).expect("it answers");
    let head = format!("GET /_lamina/health HTTP/1.1\r\nhost: {}\r\n", host.address);
    begun.write_all(head.as_bytes()).expect("it reads");
    let policy = r#"policy = '{"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}'"#;
    let text = [key("new", ""), key("bound", policy)].concat();
    fs::write(&config, text).expect("it is written");
    host.signal(Signal::HUP);
    until(&host, "new", 200).await;
    assert_eq!(
        (status(&host, "old").await, status(&host, "bound").await),
        (403, 403)
    );
    begun
        .write_all(b"connection: close\r\n\r\n")
        .expect("it reads");
    let mut answer = String::new();
    begun.read_to_string(&mut answer).expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // A malformed file changes nothing.
    fs::write(&config, "keys = 7").expect("it is written");
    host.signal(Signal::HUP);
    fs::write(&config, key("newest", "")).expect("it is written");
    host.signal(Signal::HUP);
    until(&host, "newest", 200).await;
}
