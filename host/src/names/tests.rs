use super::*;

fn parts(text: &str) -> Option<(Option<String>, Option<String>, String, Option<String>)> {
    let found = FunctionRef::parse(text).ok()?;
    let text = |part: &dyn fmt::Display| part.to_string();
    Some((
        found.region.map(|region| text(&region)),
        found.account.map(|account| text(&account)),
        text(&found.name),
        found.qualifier.map(|qualifier| text(&qualifier)),
    ))
}

#[test]
fn function_reference_is_parsed_in_every_form() {
    let some = |text: &str| Some(text.to_owned());
    let cases = [
        ("hello", (None, None, "hello", None)),
        ("hello:prod", (None, None, "hello", some("prod"))),
        ("hello:$LATEST", (None, None, "hello", some("$LATEST"))),
        ("hello:7", (None, None, "hello", some("7"))),
        ("function:hello", (None, None, "hello", None)),
        ("function:function", (None, None, "function", None)),
        ("123456789012", (None, None, "123456789012", None)),
        ("123456789012:7", (None, some("123456789012"), "7", None)),
        ("arn:aws:lambda:hello", (None, None, "hello", None)),
        (
            "us-gov-west-1:function:hello:7",
            (some("us-gov-west-1"), None, "hello", some("7")),
        ),
        (
            "eusc-de-east-1:function:hello",
            (some("eusc-de-east-1"), None, "hello", None),
        ),
        (
            "us-isob-east-1:f",
            (some("us-isob-east-1"), None, "f", None),
        ),
        ("arn::lambda:hello", (None, None, "hello", None)),
        (
            "123456789012:function:hello",
            (None, some("123456789012"), "hello", None),
        ),
        (
            "123456789012:function:hello:7",
            (None, some("123456789012"), "hello", some("7")),
        ),
        (
            "arn:aws:lambda:eu-west-1:123456789012:function:hello:prod",
            (
                some("eu-west-1"),
                some("123456789012"),
                "hello",
                some("prod"),
            ),
        ),
    ];
    for (text, (region, account, name, qualifier)) in cases {
        assert_eq!(
            parts(text),
            Some((region, account, name.to_owned(), qualifier)),
            "{text}"
        );
    }
}

#[test]
fn malformed_function_reference_is_refused() {
    let long = "a".repeat(65);
    let cases = [
        "",
        ":",
        "a b",
        "a:b:c",
        "arn:aws:lambda:x:1:function:a",
        "a:!",
        "é",
        "a:",
        "us-north-east-1:a:b",
        "us-isolated-east-1:a:b",
        "arn:aws1:lambda:hello",
        &long,
    ];
    for text in cases {
        assert_eq!(parts(text), None, "{text}");
    }
}

#[test]
fn request_ids_are_version_4_uuids() {
    let clock = Clock::system();
    let (first, second) = (RequestId::random(&clock), RequestId::random(&clock));
    assert_ne!(first, second);
    let groups: Vec<usize> = first.as_str().split('-').map(str::len).collect();
    assert_eq!(groups, [8, 4, 4, 4, 12]);
    assert_eq!(first.as_str().as_bytes()[14], b'4');
}
