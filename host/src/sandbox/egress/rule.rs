//! Rules of the configuration that allow or deny destinations, before the default policy decides.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Cidr;
use crate::outbound::host_name::HostName;

/// A rule on outgoing connections. The first one that applies decides.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EgressRule {
    /// Effect. Since 0.1.0.
    pub action: EgressAction,
    /// Address, CIDR block, host name, `*.` with a domain, or `*` for every destination. Since 0.1.0.
    #[schemars(with = "String")]
    pub to: Destination,
    /// Ports; all by default. Since 0.1.0.
    #[serde(default)]
    pub ports: Vec<u16>,
    /// Names of functions; all by default. Since 0.1.0.
    #[serde(default)]
    pub functions: Vec<String>,
}

/// Effect of a rule.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EgressAction {
    /// Connections are allowed.
    Allow,
    /// Connections are denied.
    Deny,
}

/// Destination of a rule.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub enum Destination {
    /// Every destination.
    Everything,
    /// Addresses.
    Block(Cidr),
    /// A host name.
    Name(HostName),
    /// All host names below a domain.
    Below(HostName),
}

/// Syntax error of a destination.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "{0:?} is not a destination: an address, a CIDR block, a host name, \"*.\" and a domain, or \"*\""
)]
pub struct Malformed(String);

impl TryFrom<String> for Destination {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        if text == "*" {
            return Ok(Self::Everything);
        }
        if let Ok(block) = text.parse() {
            return Ok(Self::Block(block));
        }
        let (below, name) = match text.strip_prefix("*.") {
            Some(domain) => (true, domain),
            None => (false, text.as_str()),
        };
        let name = name.parse().ok();
        // Names of digits only are mistyped addresses.
        let is_name = |it: &HostName| it.as_str().bytes().any(|byte| byte.is_ascii_alphabetic());
        match name.filter(is_name) {
            None => Err(Malformed(text)),
            Some(name) if below => Ok(Self::Below(name)),
            Some(name) => Ok(Self::Name(name)),
        }
    }
}

impl EgressRule {
    /// True if the rule is for this function.
    pub(super) fn is_for(&self, function: &str) -> bool {
        self.functions.is_empty() || self.functions.iter().any(|it| it == function)
    }

    /// True if the rule applies to this port; `None` while a name is looked up, before a port is known.
    pub(super) fn has_port(&self, port: Option<u16>) -> bool {
        match port {
            Some(port) => self.ports.is_empty() || self.ports.contains(&port),
            // A denial of some ports denies no look-up.
            None => self.action == EgressAction::Allow || self.ports.is_empty(),
        }
    }

    /// True if the rule has an address as its destination.
    pub(super) fn has_address(&self, address: IpAddr) -> bool {
        match &self.to {
            Destination::Everything => true,
            Destination::Block(block) => block.contains(address),
            Destination::Name(_) | Destination::Below(_) => false,
        }
    }

    /// True if the rule has a host name as its destination.
    pub(super) fn has_name(&self, name: &HostName) -> bool {
        match &self.to {
            Destination::Everything | Destination::Block(_) => false,
            Destination::Name(own) => own.is(name),
            Destination::Below(domain) => name.is_below(domain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(text: &str) -> Result<Destination, Malformed> {
        Destination::try_from(text.to_owned())
    }

    #[test]
    fn destination_is_everything_block_or_name() {
        assert_eq!(destination("*").unwrap(), Destination::Everything);
        assert!(matches!(
            destination("10.0.0.0/8"),
            Ok(Destination::Block(_))
        ));
        assert!(matches!(destination("::1"), Ok(Destination::Block(_))));
        let name = Destination::Name("db.example".parse().unwrap());
        assert_eq!(destination("DB.example").unwrap(), name);
        let international = Destination::Name("xn--bcher-kva.example".parse().unwrap());
        assert_eq!(destination("Bücher.example").unwrap(), international);
        let below = Destination::Below("example".parse().unwrap());
        assert_eq!(destination("*.Example").unwrap(), below);
        for text in [
            "",
            "*.",
            "a..b",
            "10.0.0",
            "10.0.0.0/33",
            "a*b",
            "x/8",
            "https://a",
        ] {
            assert!(destination(text).is_err(), "{text}");
        }
    }

    #[test]
    fn name_rule_matches_whole_labels() {
        let rule = |to: &str| EgressRule {
            action: EgressAction::Allow,
            to: destination(to).unwrap(),
            ports: Vec::new(),
            functions: Vec::new(),
        };
        for (to, name, expected) in [
            ("a.example", "A.EXAMPLE", true),
            ("a.example", "a.example.", true),
            ("a.example", "b.a.example", false),
            ("*.example", "a.example", true),
            ("*.example", "b.a.example", true),
            ("*.example", "example", false),
            ("*.example.", "a.example", true),
            ("*.example", "aexample", false),
            ("*.example", "üxample", false),
        ] {
            let found = rule(to).has_name(&name.parse().unwrap());
            assert_eq!(found, expected, "{name} in {to}");
        }
    }
}
