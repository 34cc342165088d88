//! Look-ups of the host's own client, with a check of each address: a caller that names a server must not reach the
//! host's networks through it.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tower::Service;

/// Check of an address; the error says why it is refused.
#[derive(Clone)]
pub struct AddressCheck(Arc<dyn Fn(IpAddr) -> Result<(), String> + Send + Sync>);

impl AddressCheck {
    /// A check by this function.
    pub fn new(check: impl Fn(IpAddr) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(check))
    }

    fn allows(&self, address: IpAddr) -> Result<(), String> {
        (self.0)(address)
    }
}

impl fmt::Debug for AddressCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AddressCheck")
    }
}

/// Resolver that drops addresses that fail the check.
#[derive(Clone, Debug)]
pub(super) struct Lookup {
    names: GaiResolver,
    check: Option<AddressCheck>,
}

impl Lookup {
    pub(super) fn new(check: Option<AddressCheck>) -> Self {
        Self {
            names: GaiResolver::new(),
            check,
        }
    }
}

/// Checks a host that is an address.
pub(super) fn check_literal(check: &AddressCheck, host: &str) -> Result<(), String> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.parse().map_or(Ok(()), |address| check.allows(address))
}

impl Service<Name> for Lookup {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, io::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        self.names.poll_ready(context)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (found, check) = (self.names.call(name), self.check.clone());
        Box::pin(async move {
            let found: Vec<SocketAddr> = found.await?.collect();
            Ok(allowed(found, check.as_ref())?.into_iter())
        })
    }
}

/// Addresses that pass the check; if none does, the reason of the first refusal.
fn allowed(found: Vec<SocketAddr>, check: Option<&AddressCheck>) -> io::Result<Vec<SocketAddr>> {
    let Some(check) = check else {
        return Ok(found);
    };
    let mut refusal = None;
    let mut allowed = Vec::with_capacity(found.len());
    for address in found {
        match check.allows(address.ip()) {
            Ok(()) => allowed.push(address),
            Err(reason) => refusal = refusal.or(Some(reason)),
        }
    }
    match refusal {
        Some(reason) if allowed.is_empty() => {
            Err(io::Error::new(io::ErrorKind::PermissionDenied, reason))
        }
        _ => Ok(allowed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn not_loopback() -> AddressCheck {
        AddressCheck::new(|address| match address.is_loopback() {
            true => Err(format!("{address} is loopback")),
            false => Ok(()),
        })
    }

    #[test]
    fn address_that_fails_the_check_is_dropped() {
        let addresses = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|it| it.parse().unwrap()).collect()
        };
        let both = addresses(&["127.0.0.1:1", "192.0.2.1:1"]);
        let public = addresses(&["192.0.2.1:1"]);
        let check = not_loopback();
        assert_eq!(allowed(both.clone(), None).unwrap(), both);
        assert_eq!(allowed(both, Some(&check)).unwrap(), public);
        let refused = allowed(addresses(&["[::1]:1"]), Some(&check)).unwrap_err();
        assert_eq!(refused.to_string(), "::1 is loopback");
    }

    #[test]
    fn literal_address_is_checked_without_a_lookup() {
        let check = not_loopback();
        assert!(check_literal(&check, "[::1]").is_err());
        assert!(check_literal(&check, "127.0.0.1").is_err());
        assert!(check_literal(&check, "192.0.2.1").is_ok());
        assert!(check_literal(&check, "localhost").is_ok());
    }
}
