//! References to images, `registry/repository:tag` or `registry/repository@sha256:digest`. The registry is named always:
//! AWS has no default either.

use super::Error;
use crate::store::blob::Digest;

/// Longest repository and tag of the distribution specification.
const REPOSITORY_BYTES_MAX: usize = 255;
const TAG_BYTES_MAX: usize = 128;
/// Tag of a reference that names none.
const TAG_DEFAULT: &str = "latest";

/// A parsed reference.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reference {
    /// As it was given.
    pub uri: String,
    /// Host, and port if there is one.
    pub registry: String,
    /// Path of the repository.
    pub repository: String,
    /// Tag or digest.
    pub which: Which,
}

/// Selects an image of a repository.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Which {
    /// A name that may move.
    Tag(String),
    /// The digest of a manifest.
    Digest(Digest),
}

impl Reference {
    /// Parses a reference.
    ///
    /// # Errors
    /// If it is none, or names no registry.
    pub fn parse(uri: &str) -> Result<Self, Error> {
        parse(uri).map_err(|problem| Error::Reference {
            uri: uri.to_owned(),
            problem,
        })
    }

    /// The same repository's image with this digest, as `ResolvedImageUri`.
    pub fn resolved(&self, digest: &Digest) -> String {
        format!("{}/{}@sha256:{digest}", self.registry, self.repository)
    }

    /// Tag, or digest with its algorithm, as requests name it.
    pub fn selector(&self) -> String {
        match &self.which {
            Which::Tag(tag) => tag.clone(),
            Which::Digest(digest) => format!("sha256:{digest}"),
        }
    }
}

fn parse(uri: &str) -> Result<Reference, &'static str> {
    let (registry, rest) = uri.split_once('/').ok_or("it names no registry")?;
    if !is_registry(registry) {
        return Err("it names no registry, as in ghcr.io/name:tag");
    }
    let (name, which) = match rest.split_once('@') {
        Some((name, digest)) => (name, Which::Digest(digest_of(digest)?)),
        None => match rest.rsplit_once(':') {
            Some((name, tag)) => (name, Which::Tag(tag_of(tag)?)),
            None => (rest, Which::Tag(TAG_DEFAULT.to_owned())),
        },
    };
    if name.contains(':') {
        return Err("it has a tag and a digest; one of them is allowed");
    }
    if name.len() > REPOSITORY_BYTES_MAX || !name.split('/').all(is_component) {
        return Err("its repository is not a name");
    }
    Ok(Reference {
        uri: uri.to_owned(),
        registry: registry.to_ascii_lowercase(),
        repository: of_docker_hub(registry, name),
        which,
    })
}

/// Docker's own images have a short name.
fn of_docker_hub(registry: &str, name: &str) -> String {
    match registry {
        "docker.io" if !name.contains('/') => format!("library/{name}"),
        _ => name.to_owned(),
    }
}

/// A host with a dot or a port, or `localhost`: anything else is the first part of a repository, as in Docker.
fn is_registry(text: &str) -> bool {
    let is_bracketed = text.starts_with('[');
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':');
    let is_plain = text.bytes().all(is_host) && text.matches(':').count() <= 1;
    let is_literal =
        is_bracketed && text.contains(']') && !text.contains(['@', '?', '#', '%', '\\']);
    let is_named = text.contains(['.', ':']) || text.eq_ignore_ascii_case("localhost");
    (is_plain && is_named || is_literal) && text.parse::<http::uri::Authority>().is_ok()
}

fn is_component(part: &str) -> bool {
    let is_edge = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_inside = |byte: u8| is_edge(byte) || matches!(byte, b'.' | b'_' | b'-');
    let edges = part.bytes().next().zip(part.bytes().last());
    edges.is_some_and(|(first, last)| is_edge(first) && is_edge(last))
        && part.bytes().all(is_inside)
        && !part.contains("..")
}

fn tag_of(tag: &str) -> Result<String, &'static str> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_tag = tag.bytes().next().is_some_and(is_word)
        && tag
            .bytes()
            .all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
        && tag.len() <= TAG_BYTES_MAX;
    if !is_tag {
        return Err("its tag is not a tag");
    }
    Ok(tag.to_owned())
}

fn digest_of(text: &str) -> Result<Digest, &'static str> {
    let hex = text.strip_prefix("sha256:");
    let digest = hex.and_then(|hex| hex.parse().ok());
    digest.ok_or("its digest is not sha256: and 64 hexadecimal digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_is_parsed_into_its_parts() {
        let digest = Digest::of(b"x");
        let by_digest = format!("ghcr.io/a/b@sha256:{digest}");
        let tag = |tag: &str| Which::Tag(tag.into());
        let cases = [
            (
                "localhost:5000/hello:v1",
                "localhost:5000",
                "hello",
                tag("v1"),
            ),
            ("localhost/a", "localhost", "a", tag("latest")),
            ("GHCR.io/a/b_c:1.0-x", "ghcr.io", "a/b_c", tag("1.0-x")),
            ("[::1]:5000/a:b", "[::1]:5000", "a", tag("b")),
            (
                "docker.io/alpine:3",
                "docker.io",
                "library/alpine",
                tag("3"),
            ),
            (by_digest.as_str(), "ghcr.io", "a/b", Which::Digest(digest)),
        ];
        for (uri, registry, repository, which) in cases {
            let parsed = Reference::parse(uri).unwrap();
            let found = (&*parsed.registry, &*parsed.repository, parsed.which);
            assert_eq!(found, (registry, repository, which));
        }
    }

    #[test]
    fn text_that_is_no_reference_is_refused() {
        let both = format!("ghcr.io/a:b@sha256:{}", Digest::of(b"x"));
        let cases = [
            "",
            "alpine",
            "library/alpine:3",
            "ghcr.io/",
            "ghcr.io/A",
            "ghcr.io/a/../b",
            "ghcr.io/a//b",
            "ghcr.io/a:",
            "ghcr.io/a:b c",
            "ghcr.io/a@sha256:12",
            "ghcr.io/a@md5:12",
            "user@ghcr.io/a:b",
            "ghcr.io:443:1/a",
            "http://ghcr.io/a",
            both.as_str(),
        ];
        for uri in cases {
            let refused = Reference::parse(uri).unwrap_err().to_string();
            assert!(
                refused.contains("Provide a valid source image."),
                "{uri}: {refused}"
            );
        }
    }
}
