//! Egress policy of guests. By default the public internet, as in AWS, but not the host, its
//! networks or a cloud's metadata service.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde::Deserialize;
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::sockets::SocketAddrUse;

mod cidr;
mod machine;
mod special;

pub use cidr::Cidr;
use machine::Machine;

/// Egress policy.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Egress {
    /// No address.
    Deny,
    /// Public addresses.
    #[default]
    Public,
    /// Any address, the host's included. For development machines.
    Any,
}

/// Policy with its data; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    egress: Egress,
    near: Arc<[Cidr]>,
    machine: Arc<Machine>,
}

impl Reach {
    /// `near` blocks further addresses.
    pub(super) fn new(egress: Egress, near: &[Cidr]) -> Self {
        Self {
            egress,
            near: near.into(),
            machine: Arc::new(Machine::new()),
        }
    }

    pub(super) fn apply(&self, wasi: &mut WasiCtxBuilder) {
        if self.egress == Egress::Deny {
            return;
        }
        wasi.allow_tcp(true)
            .allow_udp(true)
            .allow_ip_name_lookup(true);
        let reach = self.clone();
        wasi.socket_addr_check(move |address, purpose| {
            let allowed = reach.allows(address, purpose);
            Box::pin(async move { allowed })
        });
    }

    /// True if packets may be sent to the address.
    pub(super) fn includes(&self, address: IpAddr) -> bool {
        match self.egress {
            Egress::Deny => false,
            Egress::Any => true,
            Egress::Public => {
                let address = address.to_canonical();
                special::is_public(address)
                    && !self.near.iter().any(|prefix| prefix.contains(address))
                    && !self.machine.has(address)
            }
        }
    }

    fn allows(&self, address: SocketAddr, purpose: SocketAddrUse) -> bool {
        match purpose {
            SocketAddrUse::TcpConnect | SocketAddrUse::UdpSend | SocketAddrUse::UdpReceive => {
                self.includes(address.ip())
            }
            // Outgoing sockets bind to the wildcard address before they connect.
            SocketAddrUse::TcpBind | SocketAddrUse::UdpBind => {
                address.ip().is_unspecified() && address.port() == 0
            }
            SocketAddrUse::TcpListen | SocketAddrUse::TcpAccept => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(egress: Egress, near: &[&str], machine: &[&str]) -> Reach {
        let parsed = |texts: &[&str]| texts.iter().map(|it| it.parse().unwrap()).collect();
        let near: Vec<Cidr> = parsed(near);
        Reach {
            egress,
            near: near.into(),
            machine: Arc::new(Machine::fixed(parsed(machine))),
        }
    }

    fn to(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    #[test]
    fn networks_of_machine_are_blocked() {
        let reach = reach(
            Egress::Public,
            &["2600:1f00::7/128"],
            &["5.6.7.8/24", "2600:1::5/64"],
        );
        for near in [
            "5.6.7.8",
            "5.6.7.1",
            "::ffff:5.6.7.8",
            "2600:1::5",
            "2600:1::ffff",
            "2600:1f00::7",
        ] {
            assert!(!reach.includes(to(near)), "{near}");
        }
        for public in ["5.6.8.8", "2600:1:0:1::5", "2600:1f00::8"] {
            assert!(reach.includes(to(public)), "{public}");
        }
    }

    #[test]
    fn sockets_connect_but_do_not_listen() {
        let reach = reach(Egress::Public, &[], &[]);
        let public = "1.1.1.1:53".parse().unwrap();
        let wildcard = "0.0.0.0:0".parse().unwrap();
        assert!(reach.allows(public, SocketAddrUse::TcpConnect));
        assert!(reach.allows(public, SocketAddrUse::UdpSend));
        assert!(reach.allows(wildcard, SocketAddrUse::TcpBind));
        assert!(!reach.allows("0.0.0.0:80".parse().unwrap(), SocketAddrUse::UdpBind));
        assert!(!reach.allows(wildcard, SocketAddrUse::TcpListen));
        assert!(!reach.allows(public, SocketAddrUse::TcpAccept));
    }

    #[test]
    fn deny_and_any_ignore_the_address() {
        assert!(!reach(Egress::Deny, &[], &[]).includes(to("1.1.1.1")));
        assert!(reach(Egress::Any, &[], &["5.6.7.8/24"]).includes(to("5.6.7.8")));
    }
}
