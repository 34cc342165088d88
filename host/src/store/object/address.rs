//! Where an S3 server's buckets are: in the path or in the host name. It makes URLs and asks no one.

use http::Uri;

use super::Misconfigured;

/// The address of a server.
#[derive(Debug)]
pub(super) struct Address {
    /// `https` or `http`.
    scheme: String,
    /// The host, its port, and whatever path lies before the buckets; no slash at the end.
    rest: String,
    is_path_style: bool,
}

/// Where requests about one bucket go.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Place {
    /// With the bucket in its host name, or without the bucket.
    pub(super) endpoint: String,
    /// Which of both.
    pub(super) is_virtual_hosted: bool,
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

    /// Whether it is spoken to with TLS.
    pub(super) fn is_encrypted(&self) -> bool {
        self.scheme == "https"
    }

    /// Where this bucket is. One whose name is no label of a host name is named in the path.
    pub(super) fn of(&self, bucket: &str) -> Place {
        let Self { scheme, rest, .. } = self;
        let label = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_virtual_hosted =
            !self.is_path_style && !bucket.starts_with('-') && bucket.bytes().all(label);
        let endpoint = if is_virtual_hosted {
            format!("{scheme}://{bucket}.{rest}")
        } else {
            format!("{scheme}://{rest}")
        };
        Place {
            endpoint,
            is_virtual_hosted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_in_the_path_or_in_the_host_name() {
        let own = Some("http://127.0.0.1:9000/");
        let cases = [
            (
                None,
                None,
                "code",
                "https://code.s3.eu-west-1.amazonaws.com",
            ),
            (None, None, "my.code", "https://s3.eu-west-1.amazonaws.com"),
            (None, None, "Code_1", "https://s3.eu-west-1.amazonaws.com"),
            (
                None,
                Some(true),
                "code",
                "https://s3.eu-west-1.amazonaws.com",
            ),
            (own, None, "code", "http://127.0.0.1:9000"),
            (own, Some(false), "code", "http://code.127.0.0.1:9000"),
            (
                Some("https://s3.example.com/below/"),
                None,
                "code",
                "https://s3.example.com/below",
            ),
        ];
        for (endpoint, path_style, bucket, expected) in cases {
            let place = Address::new(endpoint, "eu-west-1", path_style)
                .unwrap()
                .of(bucket);
            assert_eq!(place.endpoint, expected);
            assert_eq!(place.is_virtual_hosted, expected.contains("code."));
        }
    }

    #[test]
    fn what_is_no_url_of_a_server_is_refused() {
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
