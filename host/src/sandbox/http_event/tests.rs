use super::*;

fn facts() -> Facts<'static> {
    Facts {
        api_id: "abc",
        domain_name: "abc.lambda-url.us-east-1.localhost",
        request_id: "id-1",
        source_ip: "127.0.0.1",
        iam: None,
        time_epoch: 1,
        time: "24/Nov/2026:13:37:00 +0000",
    }
}

fn event(request: http::request::Builder, body: &'static [u8]) -> Value {
    let request = request.body(Bytes::from_static(body)).unwrap();
    serde_json::from_slice(&event_of(&request, &facts())).unwrap()
}

#[test]
fn a_request_becomes_an_event() {
    let request = Request::post("/a%20b/%zz?x=1&x=2&y=a+b%21")
        .header("Host", "abc.lambda-url.us-east-1.localhost")
        .header("Cookie", "one=1; two=2")
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
    assert_eq!(event["cookies"], json!(["one=1", "two=2"]));
    assert_eq!(event["headers"]["x-twice"], "a,b");
    assert!(event["headers"].get("connection").is_none());
    assert_eq!(event["body"], r#"{"k":1}"#);
    assert_eq!(event["isBase64Encoded"], false);
    assert_eq!(event["requestContext"]["http"]["method"], "POST");
}

#[test]
fn an_empty_request_has_neither_body_nor_parameters() {
    let event = event(Request::get("/"), b"");
    assert!(event.get("body").is_none());
    assert!(event.get("queryStringParameters").is_none());
    assert!(event.get("cookies").is_none());
    assert_eq!(event["isBase64Encoded"], false);
}

#[test]
fn what_is_not_text_is_base64() {
    for (kind, expected) in [
        ("text/plain; charset=utf-8", false),
        ("application/xml", false),
        ("application/vnd.api+json", false),
        ("application/octet-stream", true),
        ("multipart/form-data; boundary=x", true),
    ] {
        let event = event(Request::post("/").header("content-type", kind), b"abc");
        assert_eq!(event["isBase64Encoded"], expected, "{kind}");
    }
}

#[test]
fn a_result_becomes_a_response() {
    let cases: [(&str, u16, &str, &str); 7] = [
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
        (
            r#"{"statusCode":"x"}"#,
            502,
            "Internal Server Error",
            "application/json",
        ),
    ];
    for (result, status, body, kind) in cases {
        let response = response_of(&Bytes::from(result));
        assert_eq!(response.status(), status, "{result}");
        assert_eq!(response.body(), body, "{result}");
        assert_eq!(response.headers()[CONTENT_TYPE], kind, "{result}");
    }
}

#[test]
fn a_result_that_is_no_response_is_a_bad_gateway() {
    for (said, expected) in [
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
        let response = response_of(&Bytes::from(format!("{{{said}}}")));
        assert_eq!(response.status(), expected, "{said}");
    }
}

#[test]
fn a_result_sets_each_cookie_and_no_connection_field() {
    let result = r#"{"statusCode":200,"cookies":["a=1","b=2"],"headers":{"transfer-encoding":"chunked","x":"1\n2"}}"#;
    let response = response_of(&Bytes::from(result));
    assert_eq!(response.headers().get_all(SET_COOKIE).iter().count(), 2);
    assert!(response.headers().get("transfer-encoding").is_none());
    assert!(response.headers().get("x").is_none());
}

#[test]
fn an_event_becomes_the_request_it_came_from() {
    let request = Request::put("http://abc.lambda-url.us-east-1.localhost/a/b?x=1")
        .header("host", "abc.lambda-url.us-east-1.localhost")
        .header("cookie", "one=1; two=2")
        .header("content-type", "application/octet-stream")
        .body(Bytes::from_static(&[0, 255, 7]))
        .unwrap();
    let back = request_of(&event_of(&request, &facts())).unwrap();
    assert_eq!(back.method(), Method::PUT);
    assert_eq!(back.uri(), request.uri());
    assert_eq!(back.headers()[COOKIE], "one=1; two=2");
    assert_eq!(back.body(), request.body());
}

#[test]
fn an_event_of_another_kind_is_a_plain_get() {
    let request = request_of(&Bytes::from_static(b"{}")).unwrap();
    assert_eq!(
        (request.method(), request.uri().path()),
        (&Method::GET, "/")
    );
    assert!(
        request_of(&Bytes::from_static(
            br#"{"body":"%","isBase64Encoded":true}"#
        ))
        .is_err()
    );
}

#[test]
fn a_response_becomes_a_result() {
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
