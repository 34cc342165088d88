//! File descriptors of guests, which must leave enough for the host.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::harness::{Lamina, guest};

/// Number of descriptors opened by each of several concurrent environments.
async fn opened(host: &Arc<Lamina>, event: &Value, environments: usize) -> Vec<u64> {
    let call = |host: Arc<Lamina>, event| async move { host.invoke("f", &event).await };
    let calls = (0..environments).map(|_| tokio::spawn(call(Arc::clone(host), event.clone())));
    let mut opened = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        let answer = call.await.expect("it ends");
        let count = answer.json()["opened"].as_u64();
        opened.push(count.unwrap_or_else(|| panic!("{}", answer.text())));
    }
    opened
}

#[tokio::test]
async fn sockets_and_files_of_guests_are_limited() {
    // A quarter of 512 for all guests, an eighth of that for each.
    let host = Arc::new(Lamina::limited("-n 512", ""));
    let more = json!({"Timeout": 20, "MemorySize": 128});
    host.create("f", &guest("hostile"), more).await;
    let hold = |act: &str| json!({"do": act, "path": "/var/task/bootstrap.wasm"});
    for act in ["sockets", "files"] {
        let one = opened(&host, &hold(act), 1).await;
        assert_eq!(one, [16], "{act}");
        // The environment holds them; another call in it gets no more.
        assert_eq!(opened(&host, &hold(act), 1).await, [0], "{act}");
        host.invoke("f", &json!({"do": "trap"})).await;
    }
    let many = opened(&host, &hold("sockets"), 24).await;
    assert!(many.iter().all(|it| *it <= 16), "{many:?}");
    // Idle environments keep theirs: the bound on all guests is reached.
    assert!(many.iter().sum::<u64>() <= 128, "{many:?}");
    // The host accepts connections and runs other functions.
    let fresh = std::net::TcpStream::connect(host.address).expect("it listens");
    drop(fresh);
    host.health().await;
    host.create("echo", &guest("echo"), json!({})).await;
    assert_eq!(host.invoke("echo", &json!(1)).await.json(), json!(1));
}
