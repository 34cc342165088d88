//! Look-ups of guests under the egress policy.

use super::*;
use crate::clock::{Clock, Simulated};
use crate::outbound::Trust;
use crate::outbound::dial::Dialer;
use crate::sandbox::descriptors::Descriptors;
use crate::sandbox::{Egress, EgressAction, EgressRule, Variables};
use crate::telemetry::log::{Config, Filter, Format, Logs};
use crate::units::Mib;

fn guest(egress: Egress) -> (GuestNetwork, Logs) {
    guest_of(Reach::new(egress, &[], &[]), Clock::system())
}

fn guest_of(reach: Reach, clock: Clock) -> (GuestNetwork, Logs) {
    let logs = Logs::open(Config::new(None, 1 << 20), clock.clone()).unwrap();
    let log = logs.environment("g", "s", Format::Text, Vec::new());
    let facts = FunctionFacts {
        name: "f".into(),
        version: "1".into(),
        memory: Mib::new(128),
        log_group: "g".into(),
    };
    let dialer = Dialer::new(Trust::default(), clock.clone());
    let descriptors = Arc::new(Descriptors::of_this_process());
    let host = Arc::new(HostNetwork::new(reach, dialer, descriptors, clock));
    let program = Arc::new(ProgramLookups::new());
    let setup = Setup {
        function: Arc::new(facts),
        tenant_id: None,
        memory: Mib::new(128),
        tmp: Mib::new(512),
        file_system: None,
        extensions: None,
        variables: Variables {
            shared: Arc::new([]),
            own: Vec::new(),
            process: None,
        },
    };
    (GuestNetwork::new(&host, &program, &setup, &log), logs)
}

async fn resolved(guest: &GuestNetwork, name: &str) -> Result<Vec<IpAddr>, Failed> {
    guest.ask().unwrap().resolve(name.to_owned()).await
}

#[tokio::test]
async fn blocked_addresses_are_filtered() {
    let (public, _logs) = guest(Egress::Public);
    assert_eq!(resolved(&public, "localhost").await, Err(Failed::Denied));
    assert_eq!(resolved(&public, "127.0.0.1").await, Err(Failed::Denied));
    let one: IpAddr = "1.1.1.1".parse().unwrap();
    assert_eq!(resolved(&public, "1.1.1.1").await, Ok(vec![one]));
    let (any, _logs) = guest(Egress::Any);
    let found = resolved(&any, "localhost").await.unwrap();
    assert!(found.iter().all(IpAddr::is_loopback), "{found:?}");
    let (closed, _logs) = guest(Egress::Deny);
    assert_eq!(resolved(&closed, "localhost").await, Err(Failed::Denied));
    assert_eq!(resolved(&closed, "1.1.1.1").await, Err(Failed::Denied));
}

#[tokio::test]
async fn pending_lookups_of_guest_are_limited() {
    let (guest, _logs) = guest(Egress::Any);
    let asked: Vec<_> = std::iter::from_fn(|| guest.ask()).collect();
    assert_eq!(asked.len(), GUEST_ASKED_MAX);
    drop(asked);
    assert!(guest.ask().is_some());
}

#[tokio::test(start_paused = true)]
async fn lines_on_denials_are_bounded_by_the_minute() {
    let (guest, logs) = guest_of(Reach::new(Egress::Public, &[], &[]), Simulated::clock(1));
    let lines = || {
        guest.0.log.end();
        let all = Filter {
            limit: 1_000,
            ..Filter::default()
        };
        logs.filter("g", &all).unwrap().events.len()
    };
    for _ in 0..2 * LINES_PER_MINUTE_MAX {
        assert_eq!(resolved(&guest, "127.0.0.1").await, Err(Failed::Denied));
    }
    assert_eq!(lines(), LINES_PER_MINUTE_MAX as usize);
    tokio::time::advance(std::time::Duration::from_secs(60)).await;
    assert_eq!(resolved(&guest, "127.0.0.1").await, Err(Failed::Denied));
    assert_eq!(lines(), LINES_PER_MINUTE_MAX as usize + 1);
}

/// Denies a name, where every address is allowed.
fn without(name: &str) -> Reach {
    let rule = EgressRule {
        action: EgressAction::Deny,
        to: name.to_owned().try_into().unwrap(),
        ports: Vec::new(),
        functions: Vec::new(),
    };
    Reach::new(Egress::Any, &[], &[rule])
}

#[tokio::test]
async fn denied_name_is_denied_in_every_spelling() {
    let (guest, _logs) = guest_of(without("localhost"), Clock::system());
    for name in ["localhost", "LOCALHOST.", "ｌocalhost", "local\u{ad}host"] {
        assert_eq!(resolved(&guest, name).await, Err(Failed::Denied), "{name}");
    }
    for name in ["\\154ocalhost", "", ".", "a..b"] {
        assert_eq!(
            resolved(&guest, name).await,
            Err(Failed::Malformed),
            "{name}"
        );
    }
}

#[tokio::test]
async fn name_of_the_search_list_is_checked() {
    let (guest, _logs) = guest_of(without("*.corp.example"), Clock::system());
    let hosts = "10.0.0.1 db.corp.example\nfd00::1 db.corp.example\n\
                 10.0.0.2 db.example\nfd00::2 db.example\n";
    guest
        .0
        .host
        .names
        .search(&["corp.example", "example"], hosts);
    assert_eq!(resolved(&guest, "db").await, Err(Failed::Denied));
    let reached = ["10.0.0.2", "fd00::2"].map(|it| it.parse().unwrap());
    assert_eq!(resolved(&guest, "db.example").await, Ok(reached.to_vec()));
}

#[tokio::test]
async fn socket_to_denied_name_of_the_search_list_is_denied() {
    let mut rule = EgressRule {
        action: EgressAction::Deny,
        to: "db.corp.example".to_owned().try_into().unwrap(),
        ports: vec![25],
        functions: Vec::new(),
    };
    let reach = Reach::new(Egress::Any, &[], std::slice::from_ref(&rule));
    let (guest, _logs) = guest_of(reach, Clock::system());
    let hosts = "10.0.0.1 db.corp.example\nfd00::1 db.corp.example\n";
    guest.0.host.names.search(&["corp.example"], hosts);
    assert!(
        resolved(&guest, "db").await.is_ok(),
        "other ports are allowed"
    );
    let allows = |guest: &GuestNetwork, port: u16| {
        let address = SocketAddr::new("10.0.0.1".parse().unwrap(), port);
        guest.0.allows(address, SocketAddrUse::TcpConnect)
    };
    assert!(!allows(&guest, 25) && allows(&guest, 80));
    // A rule on the name as asked for decides first.
    rule.to = "db".to_owned().try_into().unwrap();
    rule.action = EgressAction::Allow;
    let (guest, _logs) = guest_of(Reach::new(Egress::Deny, &[], &[rule]), Clock::system());
    guest.0.host.names.search(&["corp.example"], hosts);
    assert!(resolved(&guest, "db").await.is_ok());
    assert!(allows(&guest, 25) && !allows(&guest, 80));
}
