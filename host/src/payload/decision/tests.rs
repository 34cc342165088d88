//! Responses as decisions.

use super::*;

fn response(fields: &[(&str, &str)]) -> Response<Body> {
    let mut response = Response::builder();
    for (name, value) in fields {
        response = response.header(*name, *value);
    }
    response.body(Body::default()).unwrap()
}

fn decided(fields: &[(&str, &str)]) -> Decision {
    Decision::of(response(fields)).unwrap()
}

#[test]
fn response_without_decision_is_for_the_client() {
    let decision = decided(&[("content-type", "text/plain")]);
    assert!(matches!(decision, Decision::Respond(it) if it.headers().len() == 1));
    let passed = decided(&[
        ("lamina-decision", "continue"),
        ("content-type", "text/plain"),
    ]);
    assert!(matches!(passed, Decision::Continue));
}

#[test]
fn changes_are_applied_to_head() {
    let Decision::Modify(changes) = decided(&[
        ("lamina-decision", "continue"),
        ("lamina-set-x-user", "ada"),
        ("lamina-set-x-group", "a"),
        ("lamina-set-x-group", "b"),
        ("lamina-remove", "authorization, cookie"),
        ("lamina-path", "/new?a=1"),
        ("lamina-host", "backend.example:8080"),
    ]) else {
        panic!("it has changes");
    };
    assert_eq!(changes.host.as_ref().unwrap(), "backend.example:8080");
    let request = http::Request::get("http://edge.example/old?b=2")
        .header("authorization", "secret")
        .header("cookie", "a=1")
        .header("x-user", "eve")
        .header("x-user", "mallory")
        .header("accept", "*/*");
    let (mut head, ()) = request.body(()).unwrap().into_parts();
    changes.apply(&mut head);
    assert_eq!(head.uri, "http://edge.example/new?a=1");
    let users: Vec<_> = head.headers.get_all("x-user").iter().collect();
    assert_eq!(users, ["ada"]);
    assert_eq!(head.headers.get_all("x-group").iter().count(), 2);
    assert_eq!(head.headers["accept"], "*/*");
    assert!(!head.headers.contains_key("authorization") && !head.headers.contains_key("cookie"));
}

#[test]
fn malformed_decision_is_refused() {
    let fields = [
        ("lamina-decision", "Continue"),
        ("lamina-set-content-length", "5"),
        ("lamina-set-transfer-encoding", "chunked"),
        ("lamina-remove", "content-length"),
        ("lamina-remove", "a b"),
        ("lamina-remove", ""),
        ("lamina-path", "new"),
        ("lamina-path", "/new#part"),
        ("lamina-host", "user@backend.example"),
        ("lamina-host", "a b"),
        ("lamina-pass", "1"),
    ];
    for (name, value) in fields {
        let field = [(name, value)];
        let with_decision = [("lamina-decision", "continue"), (name, value)];
        let all = if name == "lamina-decision" {
            &field[..]
        } else {
            &with_decision[..]
        };
        let error = Decision::of(response(all)).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
    // A change without the decision passes nothing on.
    Decision::of(response(&[("lamina-set-x-user", "ada")])).unwrap_err();
}
