//! Names of function URLs, and who may read their answers.

use super::*;

#[test]
fn a_function_url_is_known_by_its_host() {
    assert_eq!(
        id_of("abc.lambda-url.us-east-1.localhost:3001"),
        Some("abc")
    );
    for host in [
        "localhost:3001",
        "127.0.0.1",
        "lambda-url.x",
        "a.b.lambda-url.x",
    ] {
        assert_eq!(id_of(host), None, "{host}");
    }
}

#[test]
fn only_allowed_origins_are_told_so() {
    let cors = Cors {
        allow_origins: vec!["https://a.example".into()],
        ..Cors::default()
    };
    for (origin, expected) in [("https://a.example", true), ("https://b.example", false)] {
        let mut asked = HeaderMap::new();
        asked.insert(header::ORIGIN, origin.parse().unwrap());
        let mut headers = HeaderMap::new();
        allow(&cors, &asked, &mut headers);
        assert_eq!(
            headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN),
            expected
        );
    }
}
