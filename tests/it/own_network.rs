//! Guests in a network namespace of the test: a public address of the machine, and a silent DNS
//! server. Creating a namespace requires root; other users skip these tests.

use std::net::UdpSocket;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Lamina, guest};

/// Runs a test in its own network and mount namespaces, on its own thread, so that the host sees
/// another
/// `/etc/resolv.conf`.
fn in_own_network(test: impl Future<Output = ()> + Send + 'static) {
    let thread = std::thread::spawn(move || {
        use rustix::thread::{UnshareFlags, unshare_unsafe};
        let apart = UnshareFlags::NEWNET | UnshareFlags::NEWNS;
        #[expect(unsafe_code, reason = "a thread leaves the network of its process")]
        // SAFETY: descriptors stay shared, and nothing else of this process depends on the namespaces.
        let left = unsafe { unshare_unsafe(apart) };
        if left.is_err() || !run("ip link set lo up") || !run("mount --make-rprivate /") {
            // This user may not create a network namespace.
            return;
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(test);
    });
    thread.join().expect("the test passes");
}

fn run(command: &str) -> bool {
    let mut words = command.split(' ');
    let program = words.next().unwrap_or_default();
    let run = Command::new(program).args(words).status();
    run.is_ok_and(|status| status.success())
}

#[test]
fn public_address_of_machine_is_refused() {
    in_own_network(async {
        let host = Lamina::start();
        host.create("f", &guest("hostile"), json!({"Timeout": 3}))
            .await;
        let connect = async |address: &str| {
            let address = format!("{address}:{}", host.address.port());
            let event = json!({"do": "connect", "address": address});
            host.invoke("f", &event).await.json()["errorType"].clone()
        };
        assert_eq!(connect("5.6.7.8").await, "HostUnreachable");
        // Added late: the host follows address changes.
        assert!(
            run("ip address add 5.6.7.8/24 dev lo"),
            "an address is added"
        );
        assert_eq!(connect("5.6.7.8").await, "PermissionDenied");
        assert_eq!(connect("5.6.7.9").await, "PermissionDenied");
        assert_eq!(connect("5.6.8.1").await, "HostUnreachable");
    });
}

#[test]
fn silent_dns_server_blocks_only_lookups() {
    in_own_network(async {
        let server = UdpSocket::bind("127.0.0.1:53").expect("a port of a new network");
        let dir = tempfile::tempdir().expect("a temporary directory");
        let conf = dir.path().join("resolv.conf");
        std::fs::write(&conf, "nameserver 127.0.0.1\n").expect("it is written");
        let mount = format!("mount --bind {} /etc/resolv.conf", conf.display());
        assert!(run(&mount), "the configuration is another here");
        let host = Lamina::start();
        let more = json!({"Timeout": 900, "MemorySize": 512});
        host.create("f", &guest("hostile"), more).await;
        let answer = host
            .invoke("f", &json!({"do": "lookups", "count": 9_000}))
            .await;
        let refused = json!({"begun": 64, "error": "temporary-resolver-failure"});
        assert_eq!(answer.json(), refused);
        server.recv(&mut [0; 512]).expect("the server is asked");
        assert!(threads_of(&host) < 100, "look-ups have no threads");
        let shown = host
            .lambda("GET", "/2015-03-31/functions/f", &Value::Null)
            .await;
        assert_eq!(shown.status, 200);
        // Another call waits for its own look-up; the rest of the host is not blocked.
        let answer = host
            .invoke("f", &json!({"do": "lookup", "name": "x.example.com"}))
            .await;
        assert_eq!(
            answer.header("x-amz-function-error"),
            "Unhandled",
            "{}",
            answer.text()
        );
    });
}

fn threads_of(host: &Lamina) -> usize {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", host.pid()));
    tasks.expect("the host runs").count()
}
