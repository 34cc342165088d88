//! Cross-origin rules of function URLs.

use super::*;

#[test]
fn origin_not_listed_gets_no_cross_origin_header() {
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
