//! Guests in a network of the test's own: at a public address of the host's machine. Needs a network namespace,
//! which root may make: another user's run skips it.

use std::process::Command;

use serde_json::json;

use crate::harness::{Lamina, guest};

/// Runs a test in a network of its own, on a thread that nothing else runs on. It has mounts of its own
/// as well, so that the host there finds another `/etc/resolv.conf`.
fn in_own_network(test: impl Future<Output = ()> + Send + 'static) {
    let thread = std::thread::spawn(move || {
        use rustix::thread::{UnshareFlags, unshare_unsafe};
        let apart = UnshareFlags::NEWNET | UnshareFlags::NEWNS;
        #[expect(unsafe_code, reason = "a thread leaves the network of its process")]
        // SAFETY: descriptors stay shared, and nothing else of this process depends on the namespaces.
        let left = unsafe { unshare_unsafe(apart) };
        if left.is_err() || !run("ip link set lo up") || !run("mount --make-rprivate /") {
            eprintln!("skipped: this user may not make a network namespace");
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
fn public_address_of_the_machine_is_refused() {
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
        // Only now: the host follows the machine's addresses as they change.
        assert!(
            run("ip address add 5.6.7.8/24 dev lo"),
            "an address is added"
        );
        assert_eq!(connect("5.6.7.8").await, "PermissionDenied");
        assert_eq!(connect("5.6.7.9").await, "PermissionDenied");
        assert_eq!(connect("5.6.8.1").await, "HostUnreachable");
    });
}
