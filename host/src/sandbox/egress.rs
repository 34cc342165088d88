//! Egress policy of guests. By default the public internet, as in AWS, but not the host, its
//! networks or a cloud's metadata service.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use wasmtime_wasi::sockets::SocketAddrUse;

use crate::outbound::AddressCheck;
use crate::outbound::host_name::HostName;

mod cidr;
mod machine;
mod rule;
mod special;

pub use cidr::Cidr;
use machine::Machine;
pub use rule::{Destination, EgressAction, EgressRule};

/// Egress policy.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize, JsonSchema)]
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
    /// Rules of one function, or of all, with their number in the configuration.
    rules: Arc<[(usize, EgressRule)]>,
    machine: Arc<Machine>,
}

/// Denial of a destination.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Denied {
    /// Address, or name whose look-up was denied.
    destination: String,
    reason: Reason,
}

/// Setting that denied a destination.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reason {
    Closed,
    Special,
    Near(Cidr),
    Machine,
    Rule(usize),
}

/// Addresses of registries that callers of the API name: the public ones, and with [`Egress::Any`] all. Rules are for guests.
pub fn address_check(egress: Egress, near: &[Cidr]) -> AddressCheck {
    let egress = match egress {
        Egress::Any => Egress::Any,
        Egress::Public | Egress::Deny => Egress::Public,
    };
    let reach = Reach::new(egress, near, &[]);
    AddressCheck::new(move |address| {
        let checked = reach.check(address, None, &[]);
        checked.map_err(|_| {
            format!(
                "{address} is not a public address; a registry there must be named under [[images.registries]] in \
                 lamina.toml"
            )
        })
    })
}

impl Reach {
    /// `near` blocks further addresses.
    pub(super) fn new(egress: Egress, near: &[Cidr], rules: &[EgressRule]) -> Self {
        Self {
            egress,
            near: near.into(),
            rules: rules.iter().cloned().enumerate().collect(),
            machine: Arc::new(Machine::new()),
        }
    }

    /// Policy of one function.
    pub(super) fn of(&self, function: &str) -> Self {
        let mut own = self.clone();
        if !self.rules.iter().all(|(_, rule)| rule.is_for(function)) {
            let rules = self.rules.iter().filter(|(_, rule)| rule.is_for(function));
            own.rules = rules.cloned().collect();
        }
        own
    }

    /// Checks the address of a connection, and the names that led to it: the one asked for, and the one of the search
    /// list that was answered. Without a port, checks whether any port can be allowed.
    pub(super) fn check(
        &self,
        address: IpAddr,
        port: Option<u16>,
        names: &[HostName],
    ) -> Result<(), Denied> {
        let address = address.to_canonical();
        for (number, rule) in self.rules.iter().filter(|(_, rule)| rule.has_port(port)) {
            let is_named = names.iter().any(|name| rule.has_name(name));
            match rule.action {
                // A name's owner chooses its addresses, so a name alone allows no address of the machine or of
                // `egress_near`.
                EgressAction::Allow if rule.has_address(address) => return Ok(()),
                EgressAction::Allow if is_named && self.may_be_named(address) => return Ok(()),
                EgressAction::Deny if is_named || rule.has_address(address) => {
                    return Err(denied(address, port, names, Reason::Rule(*number)));
                }
                _ => {}
            }
        }
        match self.default_denial(address) {
            Some(reason) => Err(denied(address, port, names, reason)),
            None => Ok(()),
        }
    }

    /// Checks whether a host name may be looked up: a closed function must not send data to name servers either.
    pub(super) fn check_name(&self, name: &HostName) -> Result<(), Denied> {
        let has_blocks =
            |rule: &EgressRule| !matches!(rule.to, Destination::Name(_) | Destination::Below(_));
        for (number, rule) in self.rules.iter().filter(|(_, rule)| rule.has_port(None)) {
            match rule.action {
                EgressAction::Allow if rule.has_name(name) || has_blocks(rule) => return Ok(()),
                EgressAction::Deny if rule.has_name(name) || rule.to == Destination::Everything => {
                    return Err(Denied {
                        destination: name.to_string(),
                        reason: Reason::Rule(*number),
                    });
                }
                _ => {}
            }
        }
        match self.egress {
            Egress::Deny => Err(Denied {
                destination: name.to_string(),
                reason: Reason::Closed,
            }),
            Egress::Public | Egress::Any => Ok(()),
        }
    }

    /// True if a rule depends on one of these host names.
    pub(super) fn has_name(&self, names: &[HostName]) -> bool {
        let is_named = |rule: &EgressRule| names.iter().any(|name| rule.has_name(name));
        self.rules.iter().any(|(_, rule)| is_named(rule))
    }

    fn default_denial(&self, address: IpAddr) -> Option<Reason> {
        match self.egress {
            Egress::Deny => Some(Reason::Closed),
            Egress::Any => None,
            Egress::Public if !special::is_public(address) => Some(Reason::Special),
            Egress::Public => {
                let near = self.near.iter().find(|prefix| prefix.contains(address));
                let near = near.copied().map(Reason::Near);
                near.or_else(|| self.machine.has(address).then_some(Reason::Machine))
            }
        }
    }

    fn may_be_named(&self, address: IpAddr) -> bool {
        (special::is_public(address) || special::is_private(address))
            && !self.machine.is_own(address)
            && !self.near.iter().any(|block| block.contains(address))
    }

    /// Checks an address that a guest's socket uses. `lookups` led to the address, each with its names.
    pub(super) fn check_socket(
        &self,
        address: SocketAddr,
        purpose: SocketAddrUse,
        lookups: &[Arc<[HostName]>],
    ) -> Result<(), Denied> {
        match purpose {
            SocketAddrUse::TcpConnect | SocketAddrUse::UdpSend | SocketAddrUse::UdpReceive => {
                let (ip, port) = (address.ip(), Some(address.port()));
                let mut checked = lookups.iter().map(|names| self.check(ip, port, names));
                // Of several look-ups that led to an address, one that is allowed suffices.
                let first = checked.next();
                let first = first.unwrap_or_else(|| self.check(ip, port, &[]));
                first.or_else(|denied| checked.find(Result::is_ok).unwrap_or(Err(denied)))
            }
            // Outgoing sockets bind to the wildcard address before they connect.
            SocketAddrUse::TcpBind | SocketAddrUse::UdpBind
                if address.ip().is_unspecified() && address.port() == 0 =>
            {
                Ok(())
            }
            SocketAddrUse::TcpBind
            | SocketAddrUse::UdpBind
            | SocketAddrUse::TcpListen
            | SocketAddrUse::TcpAccept => Err(Denied {
                destination: address.to_string(),
                reason: Reason::Closed,
            }),
        }
    }
}

fn denied(address: IpAddr, port: Option<u16>, names: &[HostName], reason: Reason) -> Denied {
    let mut destination = match port {
        Some(port) => SocketAddr::new(address, port).to_string(),
        None => address.to_string(),
    };
    if !names.is_empty() {
        let names: Vec<&str> = names.iter().map(HostName::as_str).collect();
        destination = format!("{destination} ({})", names.join(", "));
    }
    Denied {
        destination,
        reason,
    }
}

/// Line for the function's log: the destination, the rule and the key of the configuration.
impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to = &self.destination;
        write!(f, "the connection to {to} was denied by ")?;
        match self.reason {
            Reason::Closed => f.write_str("egress = \"deny\" of lamina.toml")?,
            Reason::Special => f.write_str(
                "egress = \"public\" of lamina.toml: it is a private or special-purpose address",
            )?,
            Reason::Near(block) => write!(f, "egress_near of lamina.toml: it is in {block}")?,
            Reason::Machine => f.write_str(
                "egress = \"public\" of lamina.toml: it is an address or a network of this machine",
            )?,
            Reason::Rule(number) => {
                return write!(f, "[[egress_rules]] of lamina.toml, rule {}", number + 1);
            }
        }
        f.write_str("; [[egress_rules]] can allow it")
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
            rules: Arc::new([]),
            machine: Arc::new(Machine::fixed(parsed(machine))),
        }
    }

    fn rule(action: &str, to: &str, ports: &[u16], functions: &[&str]) -> EgressRule {
        EgressRule {
            action: match action {
                "allow" => EgressAction::Allow,
                _ => EgressAction::Deny,
            },
            to: to.to_owned().try_into().unwrap(),
            ports: ports.to_vec(),
            functions: functions.iter().map(|it| (*it).to_owned()).collect(),
        }
    }

    fn ruled(egress: Egress, rules: &[EgressRule]) -> Reach {
        let rules = rules.iter().cloned().enumerate().collect();
        Reach {
            rules,
            ..reach(egress, &[], &["10.9.0.7/16"])
        }
    }

    fn host_name(text: &str) -> HostName {
        text.parse().unwrap()
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
            assert!(reach.check(to(near), Some(443), &[]).is_err(), "{near}");
        }
        for public in ["5.6.8.8", "2600:1:0:1::5", "2600:1f00::8"] {
            assert!(reach.check(to(public), Some(443), &[]).is_ok(), "{public}");
        }
    }

    #[test]
    fn sockets_connect_but_do_not_listen() {
        let reach = reach(Egress::Public, &[], &[]);
        let allows = |address: &str, purpose| {
            let address = address.parse().unwrap();
            reach.check_socket(address, purpose, &[]).is_ok()
        };
        assert!(allows("1.1.1.1:53", SocketAddrUse::TcpConnect));
        assert!(allows("1.1.1.1:53", SocketAddrUse::UdpSend));
        assert!(allows("0.0.0.0:0", SocketAddrUse::TcpBind));
        assert!(!allows("0.0.0.0:80", SocketAddrUse::UdpBind));
        assert!(!allows("0.0.0.0:0", SocketAddrUse::TcpListen));
        assert!(!allows("1.1.1.1:53", SocketAddrUse::TcpAccept));
    }

    #[test]
    fn deny_and_any_ignore_the_address() {
        let closed = reach(Egress::Deny, &[], &[]);
        assert!(closed.check(to("1.1.1.1"), Some(1), &[]).is_err());
        assert!(closed.check_name(&host_name("a.example")).is_err());
        let open = reach(Egress::Any, &[], &["5.6.7.8/24"]);
        assert!(open.check(to("5.6.7.8"), Some(1), &[]).is_ok());
    }

    #[test]
    fn first_rule_that_applies_decides() {
        let rules = [
            rule("deny", "10.1.2.3", &[], &[]),
            rule("allow", "10.1.0.0/16", &[443], &[]),
            rule("deny", "*", &[], &["closed"]),
        ];
        let reach = ruled(Egress::Public, &rules);
        let allows = |function: &str, address: &str, port: u16| {
            reach
                .of(function)
                .check(to(address), Some(port), &[])
                .is_ok()
        };
        assert!(allows("f", "10.1.0.1", 443));
        assert!(!allows("f", "10.1.0.1", 80), "another port");
        assert!(!allows("f", "10.1.2.3", 443), "an earlier rule denies it");
        assert!(!allows("f", "10.2.0.1", 443));
        assert!(allows("f", "1.1.1.1", 80));
        assert!(allows("closed", "10.1.0.1", 443));
        assert!(!allows("closed", "1.1.1.1", 80));
        assert!(
            reach
                .of("closed")
                .check_name(&host_name("a.example"))
                .is_ok(),
            "it may name 10.1.0.1"
        );
    }

    #[test]
    fn allowed_name_leads_to_no_address_of_the_machine() {
        let reach = ruled(Egress::Deny, &[rule("allow", "db.example", &[5432], &[])]);
        let allows = |name: &str, address: &str, port: Option<u16>| {
            reach.check(to(address), port, &[host_name(name)]).is_ok()
        };
        for address in ["1.1.1.1", "10.9.0.8", "fd12::1"] {
            assert!(allows("db.example", address, Some(5432)), "{address}");
            assert!(allows("db.example", address, None), "{address}");
            assert!(!allows("db.example", address, Some(80)), "{address}");
            assert!(!allows("other.example", address, Some(5432)), "{address}");
        }
        for address in [
            "127.0.0.1",
            "10.9.0.7",
            "169.254.169.254",
            "::1",
            "fd00:ec2::254",
            "64:ff9b::7f00:1",
        ] {
            assert!(!allows("db.example", address, Some(5432)), "{address}");
        }
        assert!(reach.check_name(&host_name("db.example")).is_ok());
        assert!(reach.check_name(&host_name("other.example")).is_err());
    }

    #[test]
    fn allowed_name_leads_to_no_address_of_egress_near() {
        let rules = [rule("allow", "db.example", &[], &[])];
        let reach = Reach {
            near: Arc::new(["5.0.0.0/8".parse().unwrap()]),
            ..ruled(Egress::Public, &rules)
        };
        let allows =
            |address: &str| reach.check(to(address), Some(443), &[host_name("db.example")]);
        assert!(allows("6.1.1.1").is_ok() && allows("10.0.0.1").is_ok());
        assert!(allows("5.1.1.1").is_err());
    }

    #[test]
    fn rule_of_name_and_port_applies_to_sockets() {
        let rules = [
            rule("deny", "mail.example", &[25], &[]),
            rule("allow", "db.example", &[5432], &[]),
        ];
        let reach = ruled(Egress::Public, &rules);
        let allows = |address: &str, names: &[&str]| {
            let lookups: Vec<Arc<[HostName]>> =
                names.iter().map(|it| [host_name(it)].into()).collect();
            let address = address.parse().unwrap();
            reach
                .check_socket(address, SocketAddrUse::TcpConnect, &lookups)
                .is_ok()
        };
        assert!(!allows("1.1.1.1:25", &["mail.example"]));
        assert!(allows("1.1.1.1:465", &["mail.example"]));
        assert!(allows("1.1.1.1:25", &["mail.example", "other.example"]));
        assert!(allows("1.1.1.1:25", &[]));
        assert!(allows("10.0.0.1:5432", &["other.example", "db.example"]));
        assert!(!allows("10.0.0.1:80", &["other.example", "db.example"]));
        assert!(!allows("10.0.0.1:5432", &[]));
    }

    #[test]
    fn denial_names_address_rule_and_key() {
        let rules = [rule("deny", "a.example", &[], &[])];
        let reach = Reach {
            near: Arc::new(["5.0.0.0/8".parse().unwrap()]),
            ..ruled(Egress::Public, &rules)
        };
        for (address, names, expected) in [
            (
                "10.0.0.1",
                &[][..],
                "10.0.0.1:443 was denied by egress = \"public\"",
            ),
            (
                "5.1.1.1",
                &[],
                "egress_near of lamina.toml: it is in 5.0.0.0/8",
            ),
            (
                "1.1.1.1",
                &[host_name("a"), host_name("a.example")],
                "1.1.1.1:443 (a, a.example) was denied by [[egress_rules]] of lamina.toml, rule 1",
            ),
        ] {
            let denied = reach
                .check(to(address), Some(443), names)
                .unwrap_err()
                .to_string();
            assert!(denied.contains(expected), "{denied}");
        }
    }
}
