//! Memory that callers make the host hold.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::json;

use crate::harness::{Lamina, guest};
use crate::signed::Signed;

/// The most memory that a host has had, in KiB.
fn peak_kib(host: &Lamina) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", host.pid()));
    let status = status.expect("the host runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .expect("VmHWM is a number")
}

#[tokio::test]
async fn body_of_made_up_values_takes_no_more_than_its_bytes() {
    const BYTES: usize = 16 << 20;
    let policy = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}"#;
    let host = Lamina::configured(&format!(
        "[[keys]]\naccess_key_id = \"nobody\"\nsecret_access_key = \"nobody\"\nname = \"nobody\"\npolicy = '{policy}'\n\
         [[keys]]\naccess_key_id = \"owner\"\nsecret_access_key = \"owner\"\n"
    ));
    let values = r#"{"":0},"#.repeat(BYTES / 7);
    let before = peak_kib(&host);
    for (key, expected) in [("nobody", 403), ("owner", 400)] {
        for member in ["Tags", "Layers", "Code", "made up"] {
            let body = format!(r#"{{"FunctionName":"f","{member}":[{values}0]}}"#);
            let who = Signed { host: &host, key };
            let answer = who
                .send("lambda", "POST", "/2015-03-31/functions", &[], body)
                .await;
            assert_eq!(answer.status, expected, "{key} {member}: {}", answer.text());
        }
    }
    let grown = peak_kib(&host) - before;
    assert!(grown < 5 * (BYTES as u64 >> 10), "{grown} KiB");
}

#[tokio::test]
async fn small_call_does_not_wait_for_large_bodies() {
    let host = Lamina::start();
    host.create("f", &guest("echo"), json!({})).await;
    // Each sends much and never the last byte.
    let head = "POST /2015-03-31/functions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 60000000\r\n\r\n";
    let open = |_| {
        let mut stream = TcpStream::connect(host.address).expect("it listens");
        stream.write_all(head.as_bytes()).expect("it reads");
        let piece = vec![b' '; 1 << 20];
        stream
            .set_write_timeout(Some(std::time::Duration::from_secs(2)))
            .expect("it is one");
        for _ in 0..50 {
            // The host stops reading where its memory for bodies is used up.
            if stream.write_all(&piece).is_err() {
                break;
            }
        }
        stream
    };
    let held: Vec<TcpStream> = (0..4).map(open).collect();
    let answer = host.invoke("f", &json!({"x": 1})).await;
    assert_eq!(
        (answer.status.as_u16(), answer.text()),
        (200, r#"{"x":1}"#.into())
    );
    for mut stream in held {
        stream.set_nonblocking(true).expect("it is one");
        let mut said = [0; 16];
        assert!(
            stream.read(&mut said).is_err(),
            "it is answered after the small one"
        );
    }
}
