//! URLs of S3 objects, path-style or virtual-hosted.

use http::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Location, Misconfigured};

/// Encodes all but RFC 3986's unreserved characters, as Signature Version 4 requires.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// Slashes of a key stay as they are: `a//b`, `/a` and `a/` are different keys.
const RESERVED_IN_KEY: &AsciiSet = &RESERVED.remove(b'/');

/// Base address of a server.
#[derive(Debug)]
pub(super) struct Address {
    /// `https` or `http`.
    scheme: String,
    /// Host, port and path prefix, without trailing slash.
    rest: String,
    is_path_style: bool,
}

impl Address {
    /// Address of an endpoint URL, or AWS's endpoint of the region.
    ///
    /// # Errors
    /// If the endpoint is not a valid URL.
    pub(super) fn new(
        endpoint: Option<&str>,
        region: &str,
        path_style: Option<bool>,
    ) -> Result<Self, Misconfigured> {
        let aws = || {
            // Regions in China have their own domain.
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

    /// URL of an object. Path-style if the bucket name is not a valid DNS label.
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
    fn bucket_is_path_style_or_virtual_hosted() {
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
    fn key_is_requested_unchanged() {
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
            // `Uri` does not normalize the path.
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
    fn invalid_endpoint_url_is_refused() {
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
