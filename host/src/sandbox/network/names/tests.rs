use std::net::UdpSocket;

use super::*;
use crate::sandbox::Egress;

fn names(egress: Egress) -> Arc<Names> {
    let clock = Clock::system();
    Arc::new(Names::new(Reach::new(egress, &[]), clock))
}

fn guest(names: &Arc<Names>) -> Lookups {
    Lookups::new(names, &Arc::new(ProgramLookups::new()))
}

async fn resolved(guest: &Lookups, name: &str) -> Result<Vec<IpAddr>, Failed> {
    guest.ask().unwrap().resolve(name.to_owned()).await
}

#[tokio::test]
async fn blocked_addresses_are_filtered() {
    let public = guest(&names(Egress::Public));
    assert_eq!(resolved(&public, "localhost").await, Err(Failed::Denied));
    assert_eq!(resolved(&public, "127.0.0.1").await, Err(Failed::Denied));
    let one: IpAddr = "1.1.1.1".parse().unwrap();
    assert_eq!(resolved(&public, "1.1.1.1").await, Ok(vec![one]));
    let any = guest(&names(Egress::Any));
    let found = resolved(&any, "localhost").await.unwrap();
    assert!(found.iter().all(IpAddr::is_loopback), "{found:?}");
    for malformed in ["", ".", "a..b"] {
        let answer = resolved(&any, malformed).await;
        assert_eq!(answer, Err(Failed::Malformed), "{malformed}");
    }
}

/// DNS server that never responds.
fn silent() -> (UdpSocket, TokioResolver) {
    use hickory_resolver::config::{NameServerConfig, ResolverConfig};
    use hickory_resolver::net::runtime::TokioRuntimeProvider;
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let mut to = NameServerConfig::udp(address.ip());
    to.connections
        .iter_mut()
        .for_each(|it| it.port = address.port());
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![to]);
    let provider = TokioRuntimeProvider::default();
    let mut builder = TokioResolver::builder_with_config(config, provider);
    configure(builder.options_mut());
    (server, builder.build().unwrap())
}

#[tokio::test]
async fn silent_dns_server_blocks_only_its_program() {
    let names = names(Egress::Any);
    let (_server, resolver) = silent();
    let changed = std::fs::metadata(RESOLV_CONF).and_then(|it| it.modified());
    let changed = changed.unwrap_or(SystemTime::UNIX_EPOCH);
    *names.resolver.lock().unwrap() = Some((changed, resolver));
    let program = Arc::new(ProgramLookups::new());
    let mut asked = Vec::new();
    let guests: Vec<Lookups> = (0..10).map(|_| Lookups::new(&names, &program)).collect();
    for guest in &guests {
        while let Some(one) = guest.ask() {
            asked.push(tokio::spawn(
                one.resolve(format!("n{}.example.com", asked.len())),
            ));
        }
    }
    assert_eq!(asked.len(), guests.len() * GUEST_ASKED_MAX);
    while program.0.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(names.permits.available_permits(), HOST_MAX - PROGRAM_MAX);
    // Dropped look-ups, as when a guest ends, release their permits at once.
    asked.iter().for_each(tokio::task::JoinHandle::abort);
    for one in asked {
        assert!(one.await.unwrap_err().is_cancelled());
    }
    assert_eq!(names.permits.available_permits(), HOST_MAX);
    assert!(guests.iter().all(|guest| guest.ask().is_some()));
}

#[tokio::test(start_paused = true)]
async fn unanswered_lookup_times_out() {
    let names = names(Egress::Any);
    let (_server, resolver) = silent();
    let changed = std::fs::metadata(RESOLV_CONF).and_then(|it| it.modified());
    let changed = changed.unwrap_or(SystemTime::UNIX_EPOCH);
    *names.resolver.lock().unwrap() = Some((changed, resolver));
    let answer = resolved(&guest(&names), "silent.example.com").await;
    assert_eq!(answer, Err(Failed::Later));
}
