//! Guests in a network namespace of the test: a public address of the machine, and a silent DNS
//! server. Creating a namespace requires root; other users skip these tests.

use std::net::{Ipv4Addr, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::harness::{Lamina, guest, log_of};
use crate::http_server::HttpServer;

/// Runs a test in its own network and mount namespaces, on its own thread, so that the host sees
/// another `/etc/resolv.conf`.
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

/// Makes 127.0.0.1 the name server of this network, for as long as the directory is there.
fn use_own_name_server() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let conf = dir.path().join("resolv.conf");
    std::fs::write(&conf, "nameserver 127.0.0.1\n").expect("it is written");
    let mount = format!("mount --bind {} /etc/resolv.conf", conf.display());
    assert!(run(&mount), "the configuration is another here");
    dir
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
        let _dir = use_own_name_server();
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

/// Public address of the machine of [`rebinding_name_leads_to_checked_addresses_only`].
const PUBLIC: Ipv4Addr = Ipv4Addr::new(5, 6, 7, 8);

/// Requests for the address of `once.example`.
static ONCE: AtomicUsize = AtomicUsize::new(0);

/// Addresses of a name, at this request for them.
fn addresses_of(name: &str) -> Vec<Ipv4Addr> {
    match name {
        "once.example" if ONCE.fetch_add(1, Ordering::Relaxed) == 0 => vec![PUBLIC],
        "both.example" => vec![Ipv4Addr::LOCALHOST, PUBLIC],
        _ => vec![Ipv4Addr::LOCALHOST],
    }
}

/// Response to a DNS query for one name, with a TTL of 0. It has addresses of IPv4 only.
fn dns_response(query: &[u8]) -> Vec<u8> {
    let mut labels = Vec::new();
    let mut at = 12;
    while query[at] > 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
        at = end;
    }
    let question = &query[12..at + 5];
    let is_ipv4 = query[at + 1..at + 3] == [0, 1];
    let addresses = if is_ipv4 {
        addresses_of(&labels.join("."))
    } else {
        Vec::new()
    };
    let count = u8::try_from(addresses.len()).expect("few");
    let head = [&query[..2], &[0x81, 0x80, 0, 1, 0, count, 0, 0, 0, 0]].concat();
    let mut response = [&head, question].concat();
    for address in addresses {
        response.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        response.extend(address.octets());
    }
    response
}

#[test]
fn rebinding_name_leads_to_checked_addresses_only() {
    in_own_network(async {
        assert!(
            run("ip address add 5.6.7.8/32 dev lo"),
            "an address is added"
        );
        let names = tokio::net::UdpSocket::bind("127.0.0.1:53").await;
        let names = names.expect("a port of a new network");
        tokio::spawn(async move {
            let mut query = [0; 512];
            while let Ok((size, from)) = names.recv_from(&mut query).await {
                let response = dns_response(&query[..size]);
                names.send_to(&response, from).await.expect("it is sent");
            }
        });
        let _dir = use_own_name_server();
        let public = HttpServer::bind("5.6.7.8:0", None).await;
        let port = public.port();
        let loopback = HttpServer::bind(&format!("127.0.0.1:{port}"), None).await;
        let rule = format!("[[egress_rules]]\naction = \"allow\"\nto = \"{PUBLIC}\"\n");
        let host = Lamina::with(&rule, "settle_millis = 20");
        host.create("f", &guest("fetch"), json!({"Timeout": 20}))
            .await;
        let fetch = async |name: &str| {
            let event = json!({"requests": [{"url": format!("http://{name}:{port}/")}]});
            host.invoke("f", &event).await
        };
        let once = fetch("once.example").await;
        assert_eq!(once.json()[0]["status"], 200, "{}", once.text());
        assert_eq!(
            ONCE.load(Ordering::Relaxed),
            1,
            "one look-up is checked and connected to"
        );
        let both = fetch("both.example").await;
        assert_eq!(both.json()[0]["status"], 200, "{}", both.text());
        let back = fetch("back.example").await;
        assert_eq!(
            back.json()[0]["error"],
            "ErrorCode::DestinationIpProhibited"
        );
        let log = log_of(&back);
        assert!(
            log.contains(&format!("127.0.0.1:{port} (back.example) was denied")),
            "{log}"
        );
        assert_eq!((public.connections(), loopback.connections()), (2, 0));
    });
}
