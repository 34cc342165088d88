//! Host of a request or a look-up: an address, or a name in the canonical form that rules, look-ups, connection pools
//! and TLS share. Two spellings of one name must never be two names to an egress rule.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

/// Bytes of a name and of a label (RFC 1035, 2.3.4).
const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// A host name: labels of lower-case letters, digits, `-` and `_`. International names are in their ASCII form
/// (UTS 46).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct HostName {
    /// Without the dot at the end.
    text: Box<str>,
    /// True if the name had a dot at the end, which keeps it from the search list of `resolv.conf`.
    is_complete: bool,
}

/// Address or name.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Host {
    /// Address.
    Address(IpAddr),
    /// Name.
    Name(HostName),
}

/// Syntax error of a host name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a host name, such as \"www.example.com\"")]
pub struct Malformed;

impl HostName {
    /// The name, without a dot at its end.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// True if the name had a dot at its end.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// True if both are the same name, with or without a dot at the end.
    pub fn is(&self, other: &Self) -> bool {
        self.text == other.text
    }

    /// True if the name is in a domain, and not the domain itself.
    pub fn is_below(&self, domain: &Self) -> bool {
        let head = self.text.strip_suffix(domain.as_str());
        head.is_some_and(|head| head.len() > 1 && head.ends_with('.'))
    }
}

impl FromStr for HostName {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let text = canonical(text)?;
        let (text, is_complete) = match text.strip_suffix('.') {
            Some(text) => (text, true),
            None => (text.as_str(), false),
        };
        if text.len() > NAME_BYTES_MAX || !text.split('.').all(is_label) {
            return Err(Malformed);
        }
        Ok(Self {
            text: text.into(),
            is_complete,
        })
    }
}

impl FromStr for Host {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        // Full-width digits make an address, too.
        match canonical(text)?.parse() {
            Ok(address) => Ok(Self::Address(address)),
            Err(_) => text.parse().map(Self::Name),
        }
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// ASCII form in lower case.
fn canonical(text: &str) -> Result<String, Malformed> {
    if text.is_ascii() {
        return Ok(text.to_ascii_lowercase());
    }
    let (denied, hyphens) = (AsciiDenyList::EMPTY, Hyphens::Allow);
    let ascii = Uts46::new().to_ascii(text.as_bytes(), denied, hyphens, DnsLength::Ignore);
    Ok(ascii.map_err(|_| Malformed)?.into_owned())
}

fn is_label(label: &str) -> bool {
    let fits = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
    };
    (1..=LABEL_BYTES_MAX).contains(&label.len()) && label.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Result<HostName, Malformed> {
        text.parse()
    }

    #[test]
    fn spellings_of_a_name_are_one_name() {
        let plain = name("evil.example").unwrap();
        for text in [
            "evil.example.",
            "EVIL.Example",
            "ｅvil.example",
            "evil。example",
            "ev\u{ad}il.example",
        ] {
            assert!(name(text).unwrap().is(&plain), "{text}");
        }
        let international = name("BÜCHER.example").unwrap();
        assert_eq!(international.as_str(), "xn--bcher-kva.example");
        assert!(name("evil.example.").unwrap().is_complete() && !plain.is_complete());
    }

    #[test]
    fn malformed_name_is_refused() {
        let long = [["a"; 64].concat(), ["a."; 128].concat()].map(|it| name(&it));
        assert_eq!(long, [Err(Malformed), Err(Malformed)]);
        for text in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "\\145vil.example",
            "a\\.b",
            "a b",
            "a*b",
            "[::1]",
            "a:1",
            "a/b",
            "a%2eb",
            "a@b",
            "\u{fffd}",
        ] {
            assert_eq!(name(text), Err(Malformed), "{text}");
        }
    }

    #[test]
    fn host_is_address_or_name() {
        let host = |text: &str| text.parse::<Host>();
        for text in ["127.0.0.1", "１２７.0.0.1", "127。0。0。1"] {
            assert_eq!(
                host(text),
                Ok(Host::Address([127, 0, 0, 1].into())),
                "{text}"
            );
        }
        assert!(matches!(host("::1"), Ok(Host::Address(_))));
        assert!(matches!(host("127.0.0.1.example"), Ok(Host::Name(_))));
        assert_eq!(host("a..b"), Err(Malformed));
    }

    #[test]
    fn name_is_below_domain_at_whole_labels() {
        for (text, domain, expected) in [
            ("a.example", "example", true),
            ("b.a.example", "example", true),
            ("example", "example", false),
            ("aexample", "example", false),
            ("a.example.", "example", true),
        ] {
            let is_below = name(text).unwrap().is_below(&name(domain).unwrap());
            assert_eq!(is_below, expected, "{text} below {domain}");
        }
    }
}
