//! Parameters of a signature, in the header or in the query: key, scope, signed headers, time.

use http::HeaderMap;
use http::request::Parts;
use percent_encoding::percent_decode_str;

use super::{EXPIRES_SECONDS_MAX, Error, sha256_hex};
use crate::api::text_of;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Parameters of a signature: scope, time and signed headers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignatureParameters {
    pub(super) access_key_id: String,
    /// `20261124`
    pub(super) day: String,
    region: String,
    service: String,
    /// Lower-case, in order.
    pub(super) signed_headers: Vec<String>,
    pub(super) signature: String,
    /// `20261124T133700Z`
    time: String,
    /// The same in seconds since the Unix epoch.
    pub(super) signed_at: u64,
    /// The life of a presigned request.
    pub(super) expires_seconds: Option<u64>,
    pub(super) session_token: Option<String>,
    pub(super) is_presigned: bool,
}

impl SignatureParameters {
    /// Reads the signature parameters of a request.
    pub(super) fn of(parts: &Parts) -> Result<Self, Error> {
        let parameters = match parts.headers.get(http::header::AUTHORIZATION) {
            Some(value) => {
                let text = value
                    .to_str()
                    .map_err(|_| incomplete("Authorization is not ASCII"))?;
                Self::of_header(text, &parts.headers)?
            }
            None => Self::of_query(parts.uri.query().unwrap_or_default())?,
        };
        parameters.require_signed(&parts.headers)?;
        Ok(parameters)
    }

    fn of_header(text: &str, headers: &HeaderMap) -> Result<Self, Error> {
        let rest = text.strip_prefix(ALGORITHM).ok_or_else(|| {
            incomplete(&format!(
                "Authorization header requires the algorithm {ALGORITHM}."
            ))
        })?;
        let part = |name: &str| {
            let parts = rest.split(',').map(str::trim);
            let found = parts
                .filter_map(|part| part.strip_prefix(name)?.strip_prefix('='))
                .next();
            found.filter(|value| !value.is_empty()).ok_or_else(|| {
                incomplete(&format!(
                    "Authorization header requires '{name}' parameter."
                ))
            })
        };
        let header = |name: &str| headers.get(name).map(|value| text_of(value).into_owned());
        let date = || header("date").map(|date| of_http(&date).unwrap_or(date));
        let time = header("x-amz-date").or_else(date);
        let time = time.ok_or_else(|| {
            incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
        })?;
        let token = header("x-amz-security-token");
        let (credential, signed) = (part("Credential")?, part("SignedHeaders")?);
        Self::new(credential, signed, part("Signature")?, &time, None, token)
    }

    fn of_query(query: &str) -> Result<Self, Error> {
        let value = |name: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            let found = pairs
                .filter(|(given, _)| *given == name)
                .map(|(_, value)| value)
                .next();
            found.and_then(|value| percent_decode_str(value).decode_utf8().ok())
        };
        let required = |name: &str| {
            value(name).ok_or_else(|| incomplete(&format!("The query requires '{name}'.")))
        };
        match value("X-Amz-Algorithm") {
            None => return Err(Error::Missing),
            Some(algorithm) if algorithm != ALGORITHM => {
                return Err(incomplete(&format!("X-Amz-Algorithm must be {ALGORITHM}.")));
            }
            Some(_) => {}
        }
        let expires = required("X-Amz-Expires")?.parse().ok();
        let expires = expires.filter(|seconds| (1..=EXPIRES_SECONDS_MAX).contains(seconds));
        let expires = expires.ok_or_else(|| {
            incomplete(&format!(
                "X-Amz-Expires must be between 1 and {EXPIRES_SECONDS_MAX} seconds."
            ))
        })?;
        Self::new(
            &required("X-Amz-Credential")?,
            &required("X-Amz-SignedHeaders")?,
            &required("X-Amz-Signature")?,
            &required("X-Amz-Date")?,
            Some(expires),
            value("X-Amz-Security-Token").map(std::borrow::Cow::into_owned),
        )
    }

    fn new(
        credential: &str,
        signed_headers: &str,
        signature: &str,
        time: &str,
        expires_seconds: Option<u64>,
        session_token: Option<String>,
    ) -> Result<Self, Error> {
        let parts: Vec<&str> = credential.split('/').collect();
        let [access_key_id, day, region, service, "aws4_request"] = parts.as_slice() else {
            return Err(incomplete(
                "Credential must have exactly 5 slash-delimited elements: \
                 keyid/date/region/service/aws4_request.",
            ));
        };
        let signed_at = seconds(time).ok_or_else(|| {
            incomplete(
                "Date must be in ISO-8601 'basic format', YYYYMMDDTHHMMSSZ; in the header 'Date' it \
                 may also be in the format of HTTP.",
            )
        })?;
        let signed_headers: Vec<String> = signed_headers.split(';').map(str::to_owned).collect();
        let ordered = signed_headers.is_sorted();
        let lower = signed_headers
            .iter()
            .all(|name| !name.is_empty() && *name == name.to_ascii_lowercase());
        if !ordered || !lower {
            return Err(incomplete(
                "SignedHeaders must be lower-case, in order, and not empty.",
            ));
        }
        Ok(Self {
            access_key_id: (*access_key_id).to_owned(),
            day: (*day).to_owned(),
            region: (*region).to_owned(),
            service: (*service).to_owned(),
            signed_headers,
            signature: signature.to_owned(),
            time: time.to_owned(),
            signed_at,
            expires_seconds,
            session_token,
            is_presigned: expires_seconds.is_some(),
        })
    }

    /// The host and everything that AWS gives a meaning must be signed.
    fn require_signed(&self, headers: &HeaderMap) -> Result<(), Error> {
        let matter = |name: &&str| *name == "host" || name.starts_with("x-amz-");
        let names = headers.keys().map(http::HeaderName::as_str).filter(matter);
        let unsigned = names
            .into_iter()
            .find(|name| !self.signed_headers.iter().any(|it| it == name));
        let missing = self
            .signed_headers
            .iter()
            .find(|name| !headers.contains_key(name.as_str()));
        let host = self.signed_headers.iter().any(|name| name == "host");
        match (unsigned, missing, host) {
            (Some(name), ..) => Err(incomplete(&format!("'{name}' must be a signed header."))),
            (None, Some(name), _) => Err(incomplete(&format!(
                "The signed header '{name}' is not in the request."
            ))),
            (None, None, false) => Err(incomplete("'Host' must be a signed header.")),
            (None, None, true) => Ok(()),
        }
    }

    pub(super) fn require_scope(&self, region: &str, service: &str) -> Result<(), Error> {
        if self.region != region {
            return Err(Error::Scope(format!(
                "region, not '{}': this host is {region}",
                self.region
            )));
        }
        if self.service != service {
            return Err(Error::Scope(format!("service: '{service}'")));
        }
        match self.time.get(..8) {
            Some(day) if day == self.day => Ok(()),
            _ => Err(Error::Scope("date: the one of the request".into())),
        }
    }

    pub(super) fn string_to_sign(&self, canonical_request: &str) -> String {
        let Self {
            day,
            region,
            service,
            time,
            ..
        } = self;
        let digest = sha256_hex(canonical_request.as_bytes());
        format!("{ALGORITHM}\n{time}\n{day}/{region}/{service}/aws4_request\n{digest}")
    }

    /// Parameters of a signature that is about to be made.
    pub(super) fn to_make(
        access_key_id: &str,
        region: &str,
        service: &str,
        time: &str,
        signed_headers: Vec<String>,
    ) -> Self {
        Self {
            access_key_id: access_key_id.to_owned(),
            day: time.get(..8).unwrap_or_default().to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            signed_headers,
            signature: String::new(),
            time: time.to_owned(),
            signed_at: 0,
            expires_seconds: None,
            session_token: None,
            is_presigned: false,
        }
    }

    /// The value of the Authorization header.
    pub(super) fn header(&self, signature: &str) -> String {
        let Self {
            access_key_id,
            day,
            region,
            service,
            ..
        } = self;
        let signed = self.signed_headers.join(";");
        format!(
            "{ALGORITHM} Credential={access_key_id}/{day}/{region}/{service}/aws4_request, \
             SignedHeaders={signed}, Signature={signature}"
        )
    }
}

fn incomplete(text: &str) -> Error {
    Error::Incomplete(text.to_owned())
}

/// `Tue, 24 Nov 2026 13:37:00 GMT` in the form that signatures have.
fn of_http(date: &str) -> Option<String> {
    let at = jiff::civil::DateTime::strptime("%a, %d %b %Y %H:%M:%S GMT", date).ok()?;
    Some(at.strftime("%Y%m%dT%H%M%SZ").to_string())
}

fn seconds(time: &str) -> Option<u64> {
    let at = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", time).ok()?;
    let at = jiff::tz::Offset::UTC.to_timestamp(at).ok()?;
    u64::try_from(at.as_second()).ok()
}
