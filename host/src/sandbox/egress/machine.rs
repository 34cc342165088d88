//! Addresses and networks of the machine, tracked as they change. Reaching one of them reaches the
//! host, or services exposed only to its network.

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use if_addrs::IfAddr;
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{self, AddressFamily, RecvFlags, SocketFlags, SocketType};

use super::Cidr;

/// Netlink multicast groups for changes of IPv4 and IPv6 addresses.
const ADDRESS_CHANGES: u32 = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
const RTMGRP_IPV4_IFADDR: u32 = 0x10;
const RTMGRP_IPV6_IFADDR: u32 = 0x100;
/// Shortest prefix treated as a local network. A shorter one is a default route that a tunnel put
/// on its interface; only the machine's own address in it is blocked.
const NETWORK_BITS_MIN: u8 = 8;

/// Networks of the machine, current at each query.
#[derive(Debug)]
pub(super) struct Machine {
    /// Netlink socket; `None` if unavailable, and then every query rereads the networks.
    changes: Option<OwnedFd>,
    // std mutex: locked once per connection, no await inside.
    networks: Mutex<Vec<Cidr>>,
    is_fixed: bool,
}

impl Machine {
    pub(super) fn new() -> Self {
        // Subscribed before the first read: a change in between is then read twice rather than
        // missed.
        let changes = subscribe();
        if let Err(error) = &changes {
            tracing::info!(%error, "no netlink notifications of address changes: addresses are reread on every check");
        }
        Self {
            changes: changes.ok(),
            networks: Mutex::new(read().unwrap_or_default()),
            is_fixed: false,
        }
    }

    #[cfg(test)]
    pub(super) fn fixed(networks: Vec<Cidr>) -> Self {
        Self {
            changes: None,
            networks: Mutex::new(networks),
            is_fixed: true,
        }
    }

    /// True if the address is the machine's or in one of its networks, or if they cannot be read.
    pub(super) fn has(&self, address: IpAddr) -> bool {
        let mut networks = self.networks.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_fixed && (networks.is_empty() || self.has_changed()) {
            // An empty list is an error, because there is always a loopback.
            *networks = read().unwrap_or_default();
            if networks.is_empty() {
                return true;
            }
        }
        networks.iter().any(|network| network.contains(address))
    }

    /// True if the address is one of the machine's own, or if they cannot be read.
    pub(super) fn is_own(&self, address: IpAddr) -> bool {
        let is_near = self.has(address);
        let networks = self.networks.lock().unwrap_or_else(PoisonError::into_inner);
        is_near && (networks.is_empty() || networks.iter().any(|it| it.address() == address))
    }

    /// True if addresses changed since the last call.
    fn has_changed(&self) -> bool {
        let Some(changes) = &self.changes else {
            return true;
        };
        let mut changed = false;
        // Message contents are ignored and may be truncated.
        let mut message = [0_u8; 64];
        loop {
            match net::recv(changes, message.as_mut_slice(), RecvFlags::DONTWAIT) {
                Ok(_) => changed = true,
                // Socket buffer overflow: some change was lost.
                Err(Errno::NOBUFS) => changed = true,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return changed,
                Err(_) => return true,
            }
        }
    }
}

fn subscribe() -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    net::bind(&socket, &SocketAddrNetlink::new(0, ADDRESS_CHANGES))?;
    Ok(socket)
}

fn read() -> std::io::Result<Vec<Cidr>> {
    let interfaces = if_addrs::get_if_addrs().inspect_err(|error| {
        tracing::warn!(%error, "the machine's addresses cannot be read: guests reach nothing");
    })?;
    let network = |address: &IfAddr| {
        let (ip, bits) = match address {
            IfAddr::V4(it) => (IpAddr::V4(it.ip), it.prefixlen),
            IfAddr::V6(it) => (IpAddr::V6(it.ip), it.prefixlen),
        };
        let width = if ip.is_ipv4() { 32 } else { 128 };
        Cidr::new(ip, if bits < NETWORK_BITS_MIN { width } else { bits })
    };
    Ok(interfaces
        .iter()
        .filter_map(|interface| network(&interface.addr))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_has_all_its_addresses() {
        let machine = Machine::new();
        assert!(machine.has("127.0.0.1".parse().unwrap()));
        for interface in if_addrs::get_if_addrs().unwrap() {
            assert!(machine.has(interface.ip()), "{}", interface.ip());
        }
        assert!(!machine.has("1.1.1.1".parse().unwrap()));
    }

    /// Adds an address to the loopback, which requires a new network namespace.
    #[test]
    fn new_address_is_tracked_at_once() {
        let (told, asked) = std::sync::mpsc::channel();
        // Namespace of this thread only.
        let thread = std::thread::spawn(move || {
            #[expect(
                unsafe_code,
                reason = "this thread shares no descriptors with another namespace"
            )]
            // SAFETY: only the network namespace of this thread changes, and it opens its own sockets.
            let entered =
                unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) };
            if entered.is_err() {
                return told.send(None).unwrap();
            }
            let ip = |arguments: &str| {
                let run = std::process::Command::new("ip")
                    .args(arguments.split(' '))
                    .status();
                run.is_ok_and(|status| status.success())
            };
            let address = "5.6.7.8".parse().unwrap();
            if !ip("link set lo up") {
                return told.send(None).unwrap();
            }
            let machine = Machine::new();
            assert!(machine.changes.is_some());
            let before = machine.has(address);
            assert!(ip("address add 5.6.7.8/32 dev lo"));
            let after = machine.has(address);
            assert!(ip("address del 5.6.7.8/32 dev lo"));
            told.send(Some((before, after, machine.has(address))))
                .unwrap();
        });
        if let Some(seen) = asked.recv().unwrap() {
            assert_eq!(seen, (false, true, false));
        } else {
            eprintln!("skipped: this user may not make a network namespace");
        }
        thread.join().unwrap();
    }
}
