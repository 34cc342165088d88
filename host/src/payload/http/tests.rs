//! Conversion of requests to events and of results to responses, and back.

use std::net::Ipv4Addr;

use http::header::{COOKIE, SET_COOKIE};
use http::{Method, Response};
use serde_json::json;

use super::*;
use crate::names::RequestId;
use crate::payload::Document;

fn id() -> RequestId {
    RequestId::random(&crate::clock::Clock::system())
}

fn arrived(request: Request<Bytes>) -> HttpEvent {
    HttpEvent {
        url_id: None,
        request,
        streamed: None,
        source_ip: Ipv4Addr::LOCALHOST.into(),
        iam: None,
        time: Timestamp::from_millis(1_795_527_420_000),
    }
}

fn event(request: http::request::Builder, body: &'static [u8]) -> Value {
    let request = request.body(Bytes::from_static(body)).unwrap();
    let event = arrived(request).event("f", &id());
    serde_json::from_str(event.as_str()).unwrap()
}

fn document(text: &str) -> Document {
    Document::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

fn response(result: &str) -> Result<Response<Bytes>, Error> {
    response_of(&Bytes::copy_from_slice(result.as_bytes()))
}

fn status(result: &str) -> u16 {
    response(result).map_or(502, |response| response.status().as_u16())
}

#[test]
fn request_becomes_an_event() {
    let request = Request::post("/a%20b/%zz?x=1&x=2&y=a+b%21")
        .header("Host", "abc.lambda-url.us-east-1.localhost:3001")
        .header("Connection", "keep-alive")
        .header("X-Twice", "a")
        .header("X-Twice", "b")
        .header("Content-Type", "application/json");
    let event = event(request, br#"{"k":1}"#);
    assert_eq!(event["rawPath"], "/a%20b/%zz");
    assert_eq!(event["rawQueryString"], "x=1&x=2&y=a+b%21");
    assert_eq!(
        event["queryStringParameters"],
        json!({"x": "1,2", "y": "a b!"})
    );
    assert_eq!(event["headers"]["x-twice"], "a,b");
    assert!(event["headers"].get("connection").is_none());
    assert_eq!(event["body"], r#"{"k":1}"#);
    assert_eq!(event["isBase64Encoded"], false);
    let context = &event["requestContext"];
    assert_eq!(context["http"]["method"], "POST");
    assert_eq!(context["http"]["sourceIp"], "127.0.0.1");
    assert_eq!(context["http"]["userAgent"], Value::Null);
    assert_eq!(context["apiId"], "abc");
    assert_eq!(context["domainName"], "abc.lambda-url.us-east-1.localhost");
    assert_eq!(context["time"], "24/Nov/2026:13:37:00 +0000");
}

#[test]
fn request_without_function_url_has_function_name_as_id() {
    let event = event(Request::get("/").header("host", "edge.example"), b"");
    assert_eq!(event["requestContext"]["apiId"], "f");
    assert_eq!(event["requestContext"]["domainName"], "edge.example");
}

#[test]
fn signed_request_event_names_caller() {
    let mut arrived = arrived(Request::new(Bytes::new()));
    arrived.iam = Some(Iam {
        access_key: "AKID".into(),
        account_id: "000000000000".into(),
        id: "AIDA".into(),
        user_arn: "arn:aws:iam::000000000000:user/alice".into(),
    });
    let event: Value = serde_json::from_str(arrived.event("f", &id()).as_str()).unwrap();
    let context = &event["requestContext"];
    assert_eq!(context["accountId"], "000000000000");
    let iam = &context["authorizer"]["iam"];
    assert_eq!(
        (&iam["accessKey"], &iam["userId"]),
        (&json!("AKID"), &json!("AIDA"))
    );
}

#[test]
fn cookies_are_in_list_and_headers() {
    let cases: [(&[&str], Value, &str); 3] = [
        (
            &["session=abc; theme=dark"],
            json!(["session=abc", "theme=dark"]),
            "session=abc; theme=dark",
        ),
        (&["test=hi;"], json!(["test=hi"]), "test=hi;"),
        (
            &["a=1", "b=2; c=3"],
            json!(["a=1", "b=2", "c=3"]),
            "a=1; b=2; c=3",
        ),
    ];
    for (sent, list, header) in cases {
        let mut request = Request::get("/");
        for cookie in sent {
            request = request.header("cookie", *cookie);
        }
        let event = event(request, b"");
        assert_eq!(event["cookies"], list);
        assert_eq!(event["headers"]["cookie"], header);
    }
}

#[test]
fn empty_request_has_neither_body_nor_parameters() {
    let event = event(Request::get("/"), b"");
    assert!(event.get("body").is_none());
    assert!(event.get("queryStringParameters").is_none());
    assert!(event.get("cookies").is_none());
    assert_eq!(event["isBase64Encoded"], false);
}

#[test]
fn binary_body_is_base64() {
    for (kind, expected) in [
        ("text/plain; charset=utf-8", false),
        ("TEXT/HTML", false),
        ("application/json", false),
        ("application/xml", false),
        ("application/javascript", false),
        ("application/vnd.api+json", false),
        ("application/atom+xml; charset=utf-8", false),
        ("application/notjson", true),
        ("application/x-www-form-urlencoded", true),
        ("application/x-www-form-urlencoded; charset=UTF-8", true),
        ("application/octet-stream", true),
        ("multipart/form-data; boundary=x", true),
    ] {
        let event = event(Request::post("/").header("content-type", kind), b"abc");
        assert_eq!(event["isBase64Encoded"], expected, "{kind}");
    }
    let event = event(Request::post("/"), b"abc");
    assert_eq!(event["isBase64Encoded"], true, "no type");
}

#[test]
fn request_for_component_has_absolute_uri() {
    let request = Request::get("/a?b=1").header("host", "edge.example:81");
    let request = arrived(request.body(Bytes::new()).unwrap()).into_request();
    assert_eq!(request.uri(), "http://edge.example:81/a?b=1");
    let request = Request::get("/").header("host", "edge.example");
    let request = request.header("x-forwarded-proto", "https");
    let request = arrived(request.body(Bytes::new()).unwrap()).into_request();
    assert_eq!(request.uri(), "https://edge.example/");
}

#[test]
fn result_becomes_a_response() {
    let cases: [(&str, u16, &str, &str); 8] = [
        (
            r#"{"statusCode":201,"body":"made","headers":{"content-type":"text/plain"}}"#,
            201,
            "made",
            "text/plain",
        ),
        (
            r#"{"statusCode":200,"body":"aGk=","isBase64Encoded":true}"#,
            200,
            "hi",
            "application/json",
        ),
        (
            r#"{"message":"no status"}"#,
            200,
            r#"{"message":"no status"}"#,
            "application/json",
        ),
        (r#""text""#, 200, "text", "application/json"),
        ("[1,2]", 200, "[1,2]", "application/json"),
        (
            "{ \"b\" : [1.50, true],\n\t\"a b\": \" \\\\\\\" : \" }",
            200,
            "{\"b\":[1.50,true],\"a b\":\" \\\\\\\" : \"}",
            "application/json",
        ),
        (r#""a \u00e9""#, 200, "a \u{e9}", "application/json"),
        ("plain text", 200, "plain text", "application/json"),
    ];
    for (result, status, body, kind) in cases {
        let response = response(result).unwrap();
        assert_eq!(response.status(), status, "{result}");
        assert_eq!(response.body(), body, "{result}");
        assert_eq!(response.headers()[CONTENT_TYPE], kind, "{result}");
    }
}

#[test]
fn invalid_response_object_is_an_error() {
    for (said, expected) in [
        (r#""statusCode":"x""#, 502),
        (r#""statusCode":200.5"#, 502),
        (r#""statusCode":100"#, 502),
        (r#""statusCode":101"#, 502),
        (r#""statusCode":199"#, 502),
        (r#""statusCode":200"#, 200),
        (r#""statusCode":"204""#, 204),
        (r#""statusCode":599"#, 599),
        (r#""statusCode":600"#, 502),
        (r#""statusCode":999"#, 502),
        (r#""statusCode":-1"#, 502),
        (r#""statusCode":null"#, 502),
        (r#""statusCode":200,"body":null"#, 200),
        (r#""statusCode":200,"body":{"a":1}"#, 502),
        (r#""statusCode":200,"body":["a"]"#, 502),
        (r#""statusCode":200,"body":1"#, 502),
        (r#""statusCode":200,"body":"!","isBase64Encoded":true"#, 502),
    ] {
        assert_eq!(status(&format!("{{{said}}}")), expected, "{said}");
    }
}

#[test]
fn result_beyond_serde_json_becomes_a_response() {
    let levels = format!("{}{}", "[".repeat(130), "]".repeat(130));
    for more in [
        r#""debug":"\udc00""#.to_owned(),
        r#""\udc00":1"#.to_owned(),
        r#""n":1e999"#.to_owned(),
        format!(r#""trace":{levels}"#),
    ] {
        let result = format!(
            r#"{{"statusCode":404,"headers":{{"x-own":"1"}},"cookies":["sid=secret"],"body":"gone",{more}}}"#
        );
        let response = response(&result).unwrap();
        assert_eq!(response.status(), 404, "{more}");
        assert_eq!(response.headers()["x-own"], "1");
        assert_eq!(response.headers()[SET_COOKIE], "sid=secret");
        assert_eq!(response.body(), "gone");
    }
}

#[test]
fn unreadable_response_object_is_never_sent_raw() {
    let deep = "[".repeat(1_001) + &"]".repeat(1_001);
    for result in [
        r#"{"statusCode":404,"cookies":["sid=secret"],"body":"cut \ud83d"}"#.to_owned(),
        r#"{"statusCode":200,"cookies":["sid=secret"],"n":NaN}"#.to_owned(),
        format!(r#"{{"statusCode":200,"cookies":["sid=secret"],"deep":{deep}}}"#),
        r#""half \ud83d""#.to_owned(),
    ] {
        assert!(response(&result).is_err(), "{result}");
    }
}

#[test]
fn result_sets_cookies_and_drops_connection_headers() {
    let result = r#"{"statusCode":200,"cookies":["a=1","b=2"],"headers":{"transfer-encoding":"chunked","x":"1\n2"}}"#;
    let response = response(result).unwrap();
    assert_eq!(response.headers().get_all(SET_COOKIE).iter().count(), 2);
    assert!(response.headers().get("transfer-encoding").is_none());
    assert!(response.headers().get("x").is_none());
}

#[test]
fn event_round_trips_to_request() {
    let request = Request::put("http://abc.lambda-url.us-east-1.localhost/a/b?x=1")
        .header("host", "abc.lambda-url.us-east-1.localhost")
        .header("cookie", "one=1; two=2")
        .header("content-type", "application/octet-stream")
        .body(Bytes::from_static(&[0, 255, 7]))
        .unwrap();
    let arrived = arrived(request);
    let back = request_of(&arrived.event("f", &id())).unwrap();
    let request = &arrived.request;
    assert_eq!(back.method(), Method::PUT);
    assert_eq!(back.uri(), request.uri());
    assert_eq!(back.headers()[COOKIE], "one=1; two=2");
    assert_eq!(back.body(), request.body());
}

#[test]
fn event_of_another_kind_is_a_plain_get() {
    let tls = r#"{"headers":{"host":"edge.example","x-forwarded-proto":"https"}}"#;
    let request = request_of(&document(tls)).unwrap();
    assert_eq!(request.uri(), "https://edge.example/");
    let request = request_of(&document("{}")).unwrap();
    assert_eq!(
        (request.method(), request.uri().path()),
        (&Method::GET, "/")
    );
    assert!(request_of(&document(r#"{"body":"%","isBase64Encoded":true}"#)).is_err());
}

#[test]
fn response_becomes_a_result() {
    let response = Response::builder()
        .status(404)
        .header("content-type", "text/plain")
        .header("set-cookie", "a=1")
        .header("set-cookie", "b=2")
        .body(Bytes::from_static(b"gone"))
        .unwrap();
    let result: Value = serde_json::from_slice(&result_of(&response)).unwrap();
    assert_eq!(
        result,
        json!({
            "statusCode": 404, "headers": {"content-type": "text/plain"}, "cookies": ["a=1", "b=2"],
            "body": "gone", "isBase64Encoded": false,
        })
    );
}
