//! CORS of function URLs.

use super::*;

#[test]
fn unlisted_origin_gets_no_cors_header() {
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
