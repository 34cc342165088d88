//! Decisions of functions about the requests of a proxy, read from their HTTP responses.
//!
//! A response without a field `lamina-...` is for the client: a function passes no request on by mistake. Malformed fields
//! are an error for the same reason.

use http::Response;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Uri};

use super::Body;
use super::http::CONNECTION_FIELDS;

#[cfg(test)]
mod tests;

/// Prefix of all fields of a decision.
const PREFIX: &str = "lamina-";
/// Prefix of request headers to set.
const SET: &str = "lamina-set-";
const DECISION: HeaderName = HeaderName::from_static("lamina-decision");
const CONTINUE: &[u8] = b"continue";
const REMOVE: HeaderName = HeaderName::from_static("lamina-remove");
const PATH: HeaderName = HeaderName::from_static("lamina-path");
const HOST: HeaderName = HeaderName::from_static("lamina-host");

/// Decision of a function about a request.
#[derive(Debug)]
#[non_exhaustive]
pub enum Decision {
    /// Forward the request as it is.
    Continue,
    /// Forward the request with changes.
    Modify(Box<Changes>),
    /// Answer the client with this response.
    Respond(Response<Body>),
}

/// Changes of a request.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Changes {
    /// Headers to remove, before others are set.
    pub remove: Vec<HeaderName>,
    /// Headers that replace those of the same name.
    pub set: HeaderMap,
    /// Path and query in place of the request's.
    pub path: Option<PathAndQuery>,
    /// Host to forward the request to. The header `host` is a matter of `set`.
    pub host: Option<Authority>,
}

/// Field that is no valid part of a decision.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the header {field} of the decision {problem}")]
pub struct Malformed {
    field: HeaderName,
    problem: &'static str,
}

impl Decision {
    /// Reads the decision that a function's response is.
    ///
    /// # Errors
    /// If a field of the decision is malformed or unknown.
    pub fn of(response: Response<Body>) -> Result<Self, Malformed> {
        let headers = response.headers();
        let of_decision = |name: &HeaderName| name.as_str().starts_with(PREFIX);
        if !headers.keys().any(of_decision) {
            return Ok(Self::Respond(response));
        }
        if headers
            .get(DECISION)
            .is_none_or(|it| it.as_bytes() != CONTINUE)
        {
            return Err(malformed(DECISION, "is not `continue`"));
        }
        let mut changes = Changes::default();
        for (name, value) in headers.iter().filter(|(name, _)| of_decision(name)) {
            changes.add(name, value)?;
        }
        Ok(match changes.is_empty() {
            true => Self::Continue,
            false => Self::Modify(Box::new(changes)),
        })
    }
}

impl Changes {
    /// Changes the head of a request: its headers, its path and its query.
    pub fn apply(&self, head: &mut Parts) {
        for name in &self.remove {
            head.headers.remove(name);
        }
        for name in self.set.keys() {
            head.headers.remove(name);
        }
        for (name, value) in &self.set {
            head.headers.append(name, value.clone());
        }
        if let Some(path) = &self.path {
            let mut uri = head.uri.clone().into_parts();
            uri.path_and_query = Some(path.clone());
            // The target of CONNECT has no path.
            if let Ok(uri) = Uri::from_parts(uri) {
                head.uri = uri;
            }
        }
    }

    fn add(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), Malformed> {
        if let Some(set) = name.as_str().strip_prefix(SET) {
            let header = HeaderName::from_bytes(set.as_bytes())
                .ok()
                .filter(may_change);
            let header =
                header.ok_or_else(|| malformed(name.clone(), "names no header that can be set"))?;
            self.set.append(header, value.clone());
        } else if *name == REMOVE {
            for removed in value.as_bytes().split(|byte| *byte == b',') {
                let header = HeaderName::from_bytes(removed.trim_ascii());
                let header = header.ok().filter(may_change);
                self.remove.push(
                    header
                        .ok_or_else(|| malformed(REMOVE, "names no header that can be removed"))?,
                );
            }
        } else if *name == PATH {
            let path = PathAndQuery::try_from(value.as_bytes());
            let path = path
                .ok()
                .filter(|it| it.as_str().as_bytes() == value.as_bytes());
            let path = path.filter(|it| it.as_str().starts_with('/'));
            self.path = Some(path.ok_or_else(|| malformed(PATH, "is no path"))?);
        } else if *name == HOST {
            let host = Authority::try_from(value.as_bytes());
            let host = host.ok().filter(|it| !it.as_str().contains('@'));
            self.host = Some(host.ok_or_else(|| malformed(HOST, "is no host"))?);
        } else if *name != DECISION {
            // An instruction that this release does not know, or a spelling mistake.
            return Err(malformed(name.clone(), "is unknown"));
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.path.is_none() && self.host.is_none()
    }
}

/// False for fields of the connection: a changed length or encoding would end the request elsewhere than its body.
fn may_change(header: &HeaderName) -> bool {
    !CONNECTION_FIELDS.contains(header)
}

fn malformed(field: HeaderName, problem: &'static str) -> Malformed {
    Malformed { field, problem }
}
