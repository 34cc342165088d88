use std::net::UdpSocket;

use std::sync::Arc;

use hickory_resolver::Hosts;

use super::*;

fn names() -> Arc<Names> {
    Arc::new(Names::new(Clock::system()))
}

/// DNS server that never responds.
fn silent(search: Vec<Name>) -> (UdpSocket, TokioResolver) {
    use hickory_resolver::config::{NameServerConfig, ResolverConfig};
    use hickory_resolver::net::runtime::TokioRuntimeProvider;
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let mut to = NameServerConfig::udp(address.ip());
    to.connections
        .iter_mut()
        .for_each(|it| it.port = address.port());
    let config = ResolverConfig::from_parts(None, search, vec![to]);
    let provider = TokioRuntimeProvider::default();
    let mut builder = TokioResolver::builder_with_config(config, provider);
    configure(builder.options_mut());
    (server, builder.build().unwrap())
}

/// Replaces the resolver of the machine by one of a silent server.
fn silence(names: &Names) -> UdpSocket {
    let (server, resolver) = silent(Vec::new());
    names.replace(resolver);
    server
}

impl Names {
    fn replace(&self, resolver: TokioResolver) {
        let changed = std::fs::metadata(RESOLV_CONF).and_then(|it| it.modified());
        let changed = changed.unwrap_or(SystemTime::UNIX_EPOCH);
        *self.resolver.lock().unwrap() = Some((changed, resolver));
    }

    /// Replaces the resolver of the machine by one with a search list and a hosts file.
    pub(in crate::sandbox::network) fn search(&self, domains: &[&str], hosts: &str) {
        let domains = domains.iter().map(|it| Name::from_ascii(it).unwrap());
        let (_, mut resolver) = silent(domains.collect());
        let mut file = Hosts::default();
        file.read_hosts_conf(hosts.as_bytes()).unwrap();
        resolver.set_hosts(Arc::new(file));
        self.replace(resolver);
    }
}

#[tokio::test]
async fn silent_dns_server_blocks_only_its_program() {
    let names = names();
    let _server = silence(&names);
    let program = Arc::new(ProgramLookups::new());
    let mut asked = Vec::new();
    for _ in 0..10 {
        let guest = Arc::new(Semaphore::new(GUEST_MAX));
        for _ in 0..64 {
            let name = format!("n{}.example.com", asked.len());
            let name: HostName = name.parse().unwrap();
            let (names, program, guest) = (names.clone(), program.clone(), guest.clone());
            let resolving = async move { names.resolve(&name, &program, &guest).await };
            asked.push(tokio::spawn(resolving));
        }
    }
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
}

#[tokio::test(start_paused = true)]
async fn unanswered_lookup_times_out() {
    let names = names();
    let _server = silence(&names);
    let (program, guest) = (ProgramLookups::new(), Semaphore::new(GUEST_MAX));
    let name = "silent.example.com".parse().unwrap();
    let answer = names.resolve(&name, &program, &guest).await;
    assert_eq!(answer, Err(Failed::Later));
}
