//! CIDR block such as `10.0.0.0/8`, or a single address.

use std::net::IpAddr;

use serde::Deserialize;

/// A CIDR block.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct Network {
    address: IpAddr,
    prefix_bits: u32,
}

/// Syntax error of a CIDR block.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is not an address or a network, such as 10.0.0.0/8")]
pub struct Malformed(String);

impl Network {
    pub fn has(&self, address: IpAddr) -> bool {
        let (ours, theirs) = (bits(self.address), bits(address.to_canonical()));
        let (Some(ours), Some(theirs)) = (ours.get(..self.prefix()), theirs.get(..self.prefix()))
        else {
            return false;
        };
        self.address.is_ipv4() == address.to_canonical().is_ipv4() && ours == theirs
    }

    fn prefix(&self) -> usize {
        self.prefix_bits as usize
    }
}

impl TryFrom<String> for Network {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (&*text, None),
        };
        let malformed = || Malformed(text.clone());
        let address: IpAddr = address.parse().map_err(|_| malformed())?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = prefix.map_or(Ok(bits_max), |it| it.parse().map_err(|_| malformed()))?;
        if prefix_bits > bits_max {
            return Err(malformed());
        }
        Ok(Self {
            address,
            prefix_bits,
        })
    }
}

fn bits(address: IpAddr) -> Vec<bool> {
    let bytes = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let bit = |byte: u8| (0..8).rev().map(move |at| byte >> at & 1 == 1);
    bytes.into_iter().flat_map(bit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_contains_addresses_with_its_prefix() {
        let network = |text: &str| Network::try_from(text.to_owned());
        for (text, address, expected) in [
            ("10.0.0.0/8", "10.200.3.4", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.6", false),
            ("0.0.0.0/0", "192.0.2.6", true),
            ("0.0.0.0/0", "::1", false),
            ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false),
        ] {
            let found = network(text).unwrap().has(address.parse().unwrap());
            assert_eq!(found, expected, "{address} in {text}");
        }
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0/8",
            "10.0.0.0/x",
            "::1/129",
            "10.0.0.0/",
        ] {
            assert!(network(text).is_err(), "{text}");
        }
    }
}
