//! Which addresses guests may reach. By default the internet, as in AWS, and nothing that is near
//! the host: not the host itself, not its network, not a cloud's metadata service.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::Deserialize;
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::sockets::SocketAddrUse;

/// Which addresses guests may reach.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Egress {
    /// None.
    Deny,
    /// Public ones.
    #[default]
    Public,
    /// All, the host's own included. For one's own machine.
    Any,
}

impl Egress {
    pub(super) fn apply(self, wasi: &mut WasiCtxBuilder) {
        if self == Self::Deny {
            return;
        }
        wasi.allow_tcp(true)
            .allow_udp(true)
            .allow_ip_name_lookup(true);
        wasi.socket_addr_check(move |address, purpose| {
            let allowed = self.allows(address, purpose);
            Box::pin(async move { allowed })
        });
    }

    fn allows(self, address: SocketAddr, purpose: SocketAddrUse) -> bool {
        match purpose {
            SocketAddrUse::TcpConnect | SocketAddrUse::UdpSend => {
                self == Self::Any || is_public(address.ip())
            }
            // An outgoing socket is bound to the wildcard address before it connects.
            SocketAddrUse::TcpBind | SocketAddrUse::UdpBind => {
                address.ip().is_unspecified() && address.port() == 0
            }
            // A datagram's sender was checked when it was sent to.
            SocketAddrUse::UdpReceive => self == Self::Any || is_public(address.ip()),
            SocketAddrUse::TcpListen | SocketAddrUse::TcpAccept => false,
        }
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => is_public_v4(mapped),
            None => is_public_v6(address),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    let shared = first == 100 && (64..128).contains(&second);
    let benchmarking = first == 198 && (second == 18 || second == 19);
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || shared
        || benchmarking
        || first == 0
        || first >= 240)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let first = address.segments()[0];
    // Only 2000::/3 is assigned to the public internet; 2002::/16 and 64:ff9b::/96 lead to IPv4
    // addresses that would not be checked.
    (0x2000..0x4000).contains(&first) && first != 0x2002
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_public() {
        let public = [
            "1.1.1.1",
            "93.184.216.34",
            "2606:4700:4700::1111",
            "::ffff:1.1.1.1",
        ];
        let near = [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "2002:7f00:1::",
            "64:ff9b::7f00:1",
            "ff02::1",
        ];
        for address in public {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        for address in near {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }
}
