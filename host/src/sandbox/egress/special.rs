//! Special-purpose addresses, which are not public internet anywhere: IANA's registries (RFC 6890),
//! and cloud services at public addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Azure's wire server for metadata, DNS and health: one public address in every network.
const AZURE_WIRE_SERVER: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

/// True for public internet addresses. Canonicalize IPv4-mapped addresses first.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// True for addresses of private networks (RFC 1918, 4193, 6598), without the metadata services of clouds there.
pub(super) fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => match address.octets() {
            // Alibaba's metadata service.
            [100, 100, 100, 200] => false,
            [10, ..] | [100, 64..=127, ..] | [172, 16..=31, ..] | [192, 168, ..] => true,
            _ => false,
        },
        IpAddr::V6(address) => match address.segments() {
            // Amazon's metadata, DNS and time services.
            [0xfd00, 0x0ec2, ..] => false,
            [first, ..] => matches!(first, 0xfc00..=0xfdff),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let near = match address.octets() {
        [0 | 10 | 127 | 224..=255, ..] => true,
        [100, 64..=127, ..] | [169, 254, ..] | [172, 16..=31, ..] => true,
        // Includes the anycast addresses of PCP and TURN, which lead to the nearest gateway, and
        // 192.0.0.192, the metadata service of Oracle's cloud.
        [192, 0, 0, _] | [192, 0, 2, _] => true,
        // 6to4 relays would forward to unchecked addresses.
        [192, 88, 99, _] | [192, 168, ..] => true,
        [198, 18..=19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => true,
        _ => false,
    };
    !near && address != AZURE_WIRE_SERVER
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // IETF protocol assignments, including Teredo, which embeds IPv4 addresses.
        [0x2001, 0..=0x01ff, ..] => false,
        // Documentation, 6to4 (embeds IPv4 addresses), documentation.
        [0x2001, 0x0db8, ..] | [0x2002, ..] | [0x3fff, 0..=0x0fff, ..] => false,
        // Only 2000::/3 is assigned to the public internet. Outside are private networks and
        // translated IPv4 addresses (64:ff9b::/96), which would be unchecked.
        [first, ..] => matches!(first, 0x2000..=0x3fff),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::egress::Cidr;

    /// Rows of the registries: block, and the "globally reachable" column; "N/A" counts as false.
    /// https://www.iana.org/assignments/iana-ipv4-special-registry (2025-10) and -ipv6-.
    const REGISTRY: [(&str, bool); 50] = [
        ("0.0.0.0/8", false),
        ("0.0.0.0/32", false),
        ("10.0.0.0/8", false),
        ("100.64.0.0/10", false),
        ("127.0.0.0/8", false),
        ("169.254.0.0/16", false),
        ("172.16.0.0/12", false),
        ("192.0.0.0/24", false),
        ("192.0.0.0/29", false),
        ("192.0.0.8/32", false),
        ("192.0.0.9/32", true),
        ("192.0.0.10/32", true),
        ("192.0.0.170/32", false),
        ("192.0.0.171/32", false),
        ("192.0.2.0/24", false),
        ("192.31.196.0/24", true),
        ("192.52.193.0/24", true),
        ("192.88.99.0/24", false),
        ("192.88.99.2/32", false),
        ("192.168.0.0/16", false),
        ("192.175.48.0/24", true),
        ("198.18.0.0/15", false),
        ("198.51.100.0/24", false),
        ("203.0.113.0/24", false),
        ("240.0.0.0/4", false),
        ("255.255.255.255/32", false),
        ("::1/128", false),
        ("::/128", false),
        ("::ffff:0:0/96", false),
        ("64:ff9b::/96", true),
        ("64:ff9b:1::/48", false),
        ("100::/64", false),
        ("100:0:0:1::/64", false),
        ("2001::/23", false),
        ("2001::/32", false),
        ("2001:1::1/128", true),
        ("2001:1::2/128", true),
        ("2001:1::3/128", true),
        ("2001:2::/48", false),
        ("2001:3::/32", true),
        ("2001:4:112::/48", true),
        ("2001:10::/28", false),
        ("2001:20::/28", true),
        ("2001:30::/28", true),
        ("2001:db8::/32", false),
        ("2002::/16", false),
        ("2620:4f:8000::/48", true),
        ("3fff::/20", false),
        ("5f00::/16", false),
        ("fc00::/7", false),
    ];

    /// Globally reachable blocks that are blocked nevertheless: anycast gateways, translation to
    /// IPv4, and identifiers without a location.
    const NEAR_ALL_THE_SAME: [&str; 9] = [
        "192.0.0.9/32",
        "192.0.0.10/32",
        "64:ff9b::/96",
        "2001:1::1/128",
        "2001:1::2/128",
        "2001:1::3/128",
        "2001:3::/32",
        "2001:20::/28",
        "2001:30::/28",
    ];

    /// First, last and middle address of a block.
    fn probes(block: &str) -> [IpAddr; 3] {
        let (first, bits) = block.split_once('/').unwrap();
        let bits: u32 = bits.parse().unwrap();
        match first.parse().unwrap() {
            IpAddr::V4(first) => {
                let span = u32::MAX.checked_shr(bits).unwrap_or(0);
                [0, span / 2, span].map(|it| Ipv4Addr::from_bits(first.to_bits() | it).into())
            }
            IpAddr::V6(first) => {
                let span = u128::MAX.checked_shr(bits).unwrap_or(0);
                [0, span / 2, span].map(|it| Ipv6Addr::from_bits(first.to_bits() | it).into())
            }
        }
    }

    #[test]
    fn special_purpose_blocks_are_not_public() {
        let more = [
            ("fe80::/10", false),
            // Multicast has its own registries.
            ("224.0.0.0/4", false),
            ("ff00::/8", false),
            ("168.63.129.16/32", false),
            ("fd00:ec2::254/128", false),
            ("192.0.0.192/32", false),
            ("100.100.100.200/32", false),
        ];
        for (block, is_global) in REGISTRY.into_iter().chain(more) {
            // "2001:4:112::/48" holds the AS112 servers of reverse DNS, which functions do not
            // need.
            let near =
                !is_global || NEAR_ALL_THE_SAME.contains(&block) || block == "2001:4:112::/48";
            for address in probes(block) {
                assert!(block.parse::<Cidr>().unwrap().contains(address));
                assert_eq!(is_public(address), !near, "{address} of {block}");
            }
        }
    }

    #[test]
    fn neighbours_of_special_blocks_are_public() {
        let public = [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "168.63.129.15",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.88.98.255",
            "192.88.100.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:200::",
            "2001:db7::",
            "2001:db9::",
            "2003::",
            "2606:4700:4700::1111",
            "3fff:1000::",
        ];
        for address in public {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }
}
