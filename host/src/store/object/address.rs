//! URLs of an S3 server's objects: buckets are in the path or in the host name, keys as they are.

use http::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Location, Misconfigured};

/// Everything but RFC 3986's unreserved characters is encoded, as signatures ask for it.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// A key's slashes stay: S3 tells `a//b`, `/a` and `a/` apart.
const RESERVED_IN_KEY: &AsciiSet = &RESERVED.remove(b'/');

/// The address of a server.
#[derive(Debug)]
pub(super) struct Address {
    /// `https` or `http`.
    scheme: String,
    /// The host, its port, and whatever path lies before the buckets; no slash at the end.
    rest: String,
    is_path_style: bool,
}

impl Address {
    /// The server at this URL, or AWS's own in this region.
    ///
    /// # Errors
    /// Where it is not a URL of a server.
    pub(super) fn new(
        endpoint: Option<&str>,
        region: &str,
        path_style: Option<bool>,
    ) -> Result<Self, Misconfigured> {
        let aws = || {
            // China's regions have a domain of their own.
            let top = if region.starts_with("cn-") { ".cn" } else { "" };
            format!("https://s3.{region}.amazonaws.com{top}")
        };
        let url = endpoint.map_or_else(aws, str::to_owned);
        let wrong = || Misconfigured::Endpoint(url.clone());
        let parsed: Uri = url.parse().map_err(|_| wrong())?;
        let (Some(scheme), Some(authority)) = (parsed.scheme_str(), parsed.authority()) else {
            return Err(wrong());
        };
        let is_web = ["http", "https"].contains(&scheme);
        let is_plain = !authority.as_str().contains('@') && parsed.query().is_none();
        if !is_web || !is_plain || authority.host().is_empty() {
            return Err(wrong());
        }
        let path = parsed.path().trim_end_matches('/');
        Ok(Self {
            scheme: scheme.to_owned(),
            rest: format!("{authority}{path}"),
            is_path_style: path_style.unwrap_or_else(|| endpoint.is_some()),
        })
    }

    /// The URL of an object. A bucket whose name is no label of a host name is named in the path.
    pub(super) fn url(&self, object: &Location) -> String {
        let Self { scheme, rest, .. } = self;
        let Location {
            bucket,
            key,
            version,
        } = object;
        let label = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_virtual_hosted =
            !self.is_path_style && !bucket.starts_with('-') && bucket.bytes().all(label);
        let key = utf8_percent_encode(key, RESERVED_IN_KEY);
        let mut url = if is_virtual_hosted {
            format!("{scheme}://{bucket}.{rest}/{key}")
        } else {
            let bucket = utf8_percent_encode(bucket, RESERVED);
            format!("{scheme}://{rest}/{bucket}/{key}")
        };
        if let Some(version) = version {
            let version = utf8_percent_encode(version, RESERVED);
            url.push_str(&format!("?versionId={version}"));
        }
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(address: (Option<&str>, Option<bool>), bucket: &str, key: &str) -> String {
        let address = Address::new(address.0, "eu-west-1", address.1).unwrap();
        address.url(&Location {
            bucket: bucket.into(),
            key: key.into(),
            version: None,
        })
    }

    #[test]
    fn bucket_is_in_the_path_or_in_the_host_name() {
        let own = Some("http://127.0.0.1:9000/");
        let aws = "s3.eu-west-1.amazonaws.com";
        let below = Some("https://s3.example.com/below/");
        let cases = [
            ((None, None), "code", format!("https://code.{aws}/k")),
            ((None, None), "my.code", format!("https://{aws}/my.code/k")),
            ((None, None), "Code_1", format!("https://{aws}/Code_1/k")),
            ((None, Some(true)), "code", format!("https://{aws}/code/k")),
            ((own, None), "code", "http://127.0.0.1:9000/code/k".into()),
            (
                (own, Some(false)),
                "code",
                "http://code.127.0.0.1:9000/k".into(),
            ),
            (
                (below, None),
                "code",
                "https://s3.example.com/below/code/k".into(),
            ),
        ];
        for (address, bucket, expected) in cases {
            assert_eq!(url(address, bucket, "k"), expected);
        }
    }

    #[test]
    fn key_is_asked_for_as_given() {
        let own = (Some("http://s3.test"), None);
        for (key, expected) in [
            ("/a", "/a"),
            ("a/", "a/"),
            ("a//b", "a//b"),
            ("a/../b", "a/../b"),
            (".", "."),
            ("a b+ü?#%.zip", "a%20b%2B%C3%BC%3F%23%25.zip"),
            ("a\nb", "a%0Ab"),
        ] {
            let made = url(own, "b", key);
            assert_eq!(made, format!("http://s3.test/b/{expected}"));
            // Nothing on the way changes it.
            let parsed: Uri = made.parse().unwrap();
            assert_eq!(parsed.path(), format!("/b/{expected}"));
        }
        let address = Address::new(own.0, "eu-west-1", None).unwrap();
        let versioned = address.url(&Location {
            bucket: "b".into(),
            key: "k".into(),
            version: Some("a/b=".into()),
        });
        assert_eq!(versioned, "http://s3.test/b/k?versionId=a%2Fb%3D");
    }

    #[test]
    fn endpoint_that_is_no_url_is_refused() {
        for url in [
            "",
            "s3.example.com",
            "localhost:9000",
            "ftp://s3.example.com",
            "http://",
            "http://id:secret@s3.example.com",
            "http://s3.example.com/?a=b",
            "http://s3 .example.com",
        ] {
            let address = Address::new(Some(url), "eu-west-1", None);
            assert_eq!(address.unwrap_err(), Misconfigured::Endpoint(url.into()));
        }
    }
}
