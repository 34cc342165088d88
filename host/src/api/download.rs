//! `Code.Location`, and `Content.Location` of layers: links that anyone may follow for ten minutes to
//! get a package.

use std::time::Duration;

use aws_lc_rs::hmac;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode, header};

use super::{Front, HttpResponse, json};
use crate::clock::Clock;
use crate::names::hex;
use crate::payload::Body;
use crate::store::blob::Digest;

mod stream;

use stream::Package;

/// Where packages are to be had; a digest follows.
pub(super) const PATH: &str = "/_lamina/code/";

/// As long as AWS's own links.
const LINK_LIFETIME: Duration = Duration::from_secs(600);

/// Makes and checks links. They are signed with a key of this process: a restart ends them.
#[derive(Debug)]
pub(super) struct Downloads {
    key: hmac::Key,
    clock: Clock,
}

impl Downloads {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &clock.random::<32>()),
            clock,
        }
    }

    /// A link to a package on the host that the client calls `host`.
    pub(super) fn link(&self, host: &str, digest: &Digest) -> String {
        let expires = self.clock.now().after(LINK_LIFETIME).secs();
        let signature = hmac::sign(&self.key, message(digest, expires).as_bytes());
        let signature = hex(signature.as_ref());
        format!("http://{host}{PATH}{digest}?expires={expires}&signature={signature}")
    }

    fn is_good(&self, digest: &Digest, query: &str) -> bool {
        let value = |name: &str| {
            query
                .split('&')
                .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
        };
        let Some(expires) = value("expires").and_then(|text| text.parse::<u64>().ok()) else {
            return false;
        };
        let Some(signature) = value("signature").and_then(unhex) else {
            return false;
        };
        let signed = message(digest, expires);
        expires >= self.clock.now().secs()
            && hmac::verify(&self.key, signed.as_bytes(), &signature).is_ok()
    }
}

fn message(digest: &Digest, expires: u64) -> String {
    format!("{digest}/{expires}")
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.map(byte).collect()
}

/// Response to a caller without permission.
pub(super) fn refused(text: &str) -> HttpResponse {
    let document = serde_json::json!({"message": text});
    let mut reply = json(StatusCode::FORBIDDEN, document.to_string());
    let name = HeaderValue::from_static("AccessDeniedException");
    reply.headers_mut().insert("x-amzn-errortype", name);
    reply
}

impl Front {
    pub(super) async fn serve_download(&self, digest: &str, parts: &Parts) -> HttpResponse {
        let query = parts.uri.query().unwrap_or_default();
        let digest = digest
            .parse()
            .ok()
            .filter(|digest| self.downloads.is_good(digest, query));
        let Some(digest) = digest else {
            return json(
                StatusCode::FORBIDDEN,
                r#"{"message":"The link is not valid or has expired. Call GetFunction or GetLayerVersion for a new one."}"#,
            );
        };
        match self.control.library().stored(digest).await {
            Ok(Some(stored)) => {
                let mut reply = Response::new(Body::streamed(Package::new(stored)));
                let zip = HeaderValue::from_static("application/zip");
                reply.headers_mut().insert(header::CONTENT_TYPE, zip);
                reply
            }
            Ok(None) => json(
                StatusCode::NOT_FOUND,
                r#"{"message":"The package was replaced. Call GetFunction for a new link."}"#,
            ),
            Err(error) => {
                tracing::error!(%digest, %error, "a package could not be read");
                json(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    r#"{"message":"The package could not be read."}"#,
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn download_link_opens_its_package_only() {
        let downloads = Downloads::new(Clock::system());
        let (this, other) = (Digest::of(b"this"), Digest::of(b"other"));
        let link = downloads.link("localhost:3001", &this);
        let (_, query) = link.split_once('?').unwrap();
        assert!(downloads.is_good(&this, query));
        assert!(!downloads.is_good(&other, query));
        for bad in [
            "",
            "expires=99999999999&signature=",
            "expires=1&signature=zz",
            "expires=x",
        ] {
            assert!(!downloads.is_good(&this, bad), "{bad}");
        }
    }

    #[test]
    fn download_link_expires() {
        let downloads = Downloads::new(Clock::system());
        let digest = Digest::of(b"this");
        let signature = hmac::sign(&downloads.key, message(&digest, 1).as_bytes());
        let query = format!("expires=1&signature={}", hex(signature.as_ref()));
        assert!(!downloads.is_good(&digest, &query));
    }
}
