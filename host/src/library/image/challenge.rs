//! `WWW-Authenticate` of a registry: Basic, or Bearer with the address of its token service.

use http::{HeaderMap, header};

/// Longest challenge that is read.
const CHALLENGE_BYTES_MAX: usize = 4 << 10;

/// Demand of a registry.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Challenge {
    /// User name and password.
    Basic,
    /// A token from a service.
    Bearer {
        /// URL of the service.
        realm: String,
        /// Name of the registry there.
        service: Option<String>,
        /// Rights that the token is to give.
        scope: Option<String>,
    },
}

/// The challenge of an answer; Bearer is preferred. `None` if there is none of a known scheme.
pub(super) fn of(headers: &HeaderMap) -> Option<Challenge> {
    let texts = headers.get_all(header::WWW_AUTHENTICATE).iter();
    let texts = texts.filter_map(|value| value.to_str().ok());
    let mut basic = None;
    for text in texts.filter(|text| text.len() <= CHALLENGE_BYTES_MAX) {
        let (scheme, parameters) = text.split_once(' ').unwrap_or((text, ""));
        if scheme.eq_ignore_ascii_case("bearer") {
            if let Some(challenge) = bearer(parameters) {
                return Some(challenge);
            }
        } else if scheme.eq_ignore_ascii_case("basic") {
            basic = Some(Challenge::Basic);
        }
    }
    basic
}

fn bearer(parameters: &str) -> Option<Challenge> {
    let (mut realm, mut service, mut scope) = (None, None, None);
    let mut rest = parameters;
    while let Some((name, after)) = rest.split_once('=') {
        let (value, after) = value(after)?;
        match name.trim_matches([' ', ',']).to_ascii_lowercase().as_str() {
            "realm" => realm = Some(value),
            "service" => service = Some(value),
            "scope" => scope = Some(value),
            _ => {}
        }
        rest = after;
    }
    Some(Challenge::Bearer {
        realm: realm?,
        service,
        scope,
    })
}

/// A quoted string or a token, and the text after it.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(',').unwrap_or(text.len());
        return Some((text[..end].trim().to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            _ => value.push(character),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(texts: &[&'static str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for text in texts {
            headers.append(header::WWW_AUTHENTICATE, text.parse().unwrap());
        }
        of(&headers)
    }

    #[test]
    fn bearer_is_preferred_and_its_parameters_are_unquoted() {
        let text =
            r#"Bearer realm="https://auth.x/token",service="x",scope="repository:a:pull,push""#;
        let expected = Challenge::Bearer {
            realm: "https://auth.x/token".into(),
            service: Some("x".into()),
            scope: Some("repository:a:pull,push".into()),
        };
        assert_eq!(parsed(&["Basic realm=\"r\"", text]), Some(expected));
        assert_eq!(parsed(&["basic"]), Some(Challenge::Basic));
    }

    #[test]
    fn broken_challenge_is_none() {
        for text in [
            "Negotiate",
            "Bearer",
            "Bearer service=\"x\"",
            "Bearer realm=\"x",
        ] {
            assert_eq!(parsed(&[text]), None, "{text}");
        }
        assert_eq!(parsed(&[]), None);
    }
}
