//! Host of `lamina dev`, in the same process, and how to call it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::cli::Access;
use crate::cli::access::ANY_KEY;
use crate::cli::start::with_remedy_of;
use crate::config::{Config, Key};
use crate::host::Host;

/// Serves a host until `stopping` completes; returns how to reach it.
pub(in crate::cli) async fn serve(
    host: Host,
    config: Config,
    stopping: oneshot::Receiver<()>,
) -> anyhow::Result<(Access, JoinHandle<Result<(), crate::Error>>)> {
    let (own, shown) = (own_access(&config), config.clone());
    let (bound, address) = oneshot::channel();
    let serving = tokio::spawn(async move {
        // The receiver is dropped only after the command has failed.
        let bound = |address: SocketAddr| {
            let _ = bound.send(address);
        };
        // Completes when the sender is dropped.
        let stopping = async { drop(stopping.await) };
        host.serve(config.listen, bound, stopping).await
    });
    let Ok(address) = address.await else {
        serving
            .await?
            .map_err(|error| with_remedy_of(&shown, error))?;
        anyhow::bail!("the host stopped before it was ready");
    };
    let endpoint_url = format!("http://{}", reachable(address));
    let access = Access {
        endpoint_url,
        ..own
    };
    Ok((access, serving))
}

/// Credentials of the host's owner: the first key without a policy.
fn own_access(config: &Config) -> Access {
    let is_own = |key: &&Key| {
        let account = key.account.as_ref().unwrap_or(&config.account_id);
        key.policy.is_none() && *account == config.account_id
    };
    let key = config
        .keys
        .iter()
        .find(is_own)
        .or_else(|| config.keys.first());
    let or_any = |part: Option<&String>| part.map_or_else(|| ANY_KEY.to_owned(), Clone::clone);
    Access {
        endpoint_url: String::new(),
        region: config.region.to_string(),
        access_key_id: or_any(key.map(|key| &key.access_key_id)),
        secret_access_key: or_any(key.map(|key| &key.secret_access_key)),
        session_token: key.and_then(|key| key.session_token.clone()),
        ca_bundle: None,
    }
}

/// Address to connect to for a listener on `address`, which may be the unspecified one.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unrestricted_key_of_the_host_signs() {
        let key = |id: &str, more: &str| {
            format!("[[keys]]\naccess_key_id = \"{id}\"\nsecret_access_key = \"s\"\n{more}\n")
        };
        let policy =
            r#"policy = '{"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}'"#;
        let text = [
            "region = \"eu-west-1\"\n".to_owned(),
            key("stranger", "account = \"111111111111\""),
            key("bound", policy),
            key("own", "session_token = \"t\""),
        ];
        let access = own_access(&toml::from_str(&text.concat()).unwrap());
        assert_eq!(
            (access.access_key_id.as_str(), access.region.as_str()),
            ("own", "eu-west-1")
        );
        assert_eq!(access.session_token.as_deref(), Some("t"));
        assert_eq!(own_access(&Config::default()).secret_access_key, ANY_KEY);
    }

    #[test]
    fn unspecified_address_is_reached_by_loopback() {
        for (bound, called) in [
            ("0.0.0.0:1", "127.0.0.1:1"),
            ("[::]:1", "[::1]:1"),
            ("10.0.0.1:1", "10.0.0.1:1"),
        ] {
            let reached = reachable(bound.parse().unwrap());
            assert_eq!(reached.to_string(), called);
        }
    }
}
