//! Look-ups of guests under the egress policy.

use super::*;
use crate::clock::{Clock, Simulated};
use crate::outbound::Trust;
use crate::outbound::dial::Dialer;
use crate::sandbox::Egress;
use crate::sandbox::descriptors::Descriptors;
use crate::telemetry::log::{Config, Filter, Format, Logs};
use crate::units::Mib;

fn guest(egress: Egress) -> (GuestNetwork, Logs) {
    guest_at(egress, Clock::system())
}

fn guest_at(egress: Egress, clock: Clock) -> (GuestNetwork, Logs) {
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
    let reach = Reach::new(egress, &[], &[]);
    let host = Arc::new(HostNetwork::new(reach, dialer, descriptors, clock));
    let program = Arc::new(ProgramLookups::new());
    (
        GuestNetwork::new(&host, &program, &Arc::new(facts), &log),
        logs,
    )
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
    let (guest, logs) = guest_at(Egress::Public, Simulated::clock(1));
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
