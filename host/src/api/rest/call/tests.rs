//! Resources of requests, and the ARNs that policies are asked about.

use bytes::Bytes;
use http::{Method, Request as HttpRequest};

use super::resource::{Deleted, Labelled, LayerVersion, NewFunction, Request, Resource, Whole};
use super::target::Whose;
use super::*;
use crate::control::tags::Tagged;
use crate::names::{AccountId, FunctionName, Home, Region};

fn home() -> Home {
    Home {
        account: AccountId::parse("123456789012").unwrap(),
        region: Region::parse("us-east-1").unwrap(),
    }
}

fn call(method: Method, uri: &str, body: &'static str) -> Call {
    let (parts, ()) = HttpRequest::builder()
        .method(method)
        .uri(uri)
        .body(())
        .unwrap()
        .into_parts();
    let route = wire::route(&parts.method, parts.uri.path(), parts.uri.query()).unwrap();
    let clock = crate::clock::Clock::system();
    let id = RequestId::random(&clock);
    let head = Head::new(None, route, parts, id);
    Call::new(None, head, Bytes::from_static(body.as_bytes()))
}

/// The resource, and the ARN that policies are asked about.
fn read<R: Resource>(call: &Call) -> (Option<R>, String) {
    let home = home();
    let whose = Whose {
        home: &home,
        account: &home.account,
    };
    let request = Request {
        head: call,
        body: Some(&call.body),
        whose,
    };
    match R::read(&request) {
        Ok(resource) => {
            let arn = resource.about(&home).arn;
            (Some(resource), arn)
        }
        Err(unnamed) => (None, unnamed.arn),
    }
}

#[test]
fn tagged_resource_is_the_one_of_the_arn() {
    let of = |rest: &str| {
        let arn = format!("arn:aws:lambda:us-east-1:{rest}");
        let call = call(Method::GET, &format!("/2017-03-31/tags/{arn}"), "");
        let (resource, judged) = read::<Labelled>(&call);
        assert_eq!(judged, arn);
        (resource.map(|it| it.tagged), arn)
    };
    let name = FunctionName::parse("f").unwrap();
    assert_eq!(
        of("123456789012:function:f").0,
        Some(Tagged::Function(name))
    );
    let (mapping, arn) = of("123456789012:event-source-mapping:u");
    assert_eq!(mapping, Some(Tagged::EventSourceMapping(arn)));
    let (config, arn) = of("123456789012:code-signing-config:c");
    assert_eq!(config, Some(Tagged::CodeSigningConfig(arn)));
    let (provider, arn) = of("123456789012:capacity-provider:p");
    assert_eq!(provider, Some(Tagged::CapacityProvider(arn)));
    let (connector, _) = of("123456789012:network-connector:n");
    assert_eq!(connector, Some(Tagged::Elsewhere));
    for refused in [
        "123456789012:function:f:1",
        "000000000000:function:f",
        "000000000000:code-signing-config:c",
        "123456789012",
    ] {
        assert_eq!(of(refused).0, None, "{refused}");
    }
}

#[test]
fn query_of_an_operation_without_qualifier_names_nothing() {
    let arn = "arn:aws:lambda:us-east-1:123456789012:function:f";
    for query in ["", "?Qualifier=prod", "?FunctionName=g", "?Name=g"] {
        let uri = format!("/2015-03-31/functions/f/code{query}");
        let (resource, judged) = read::<Whole>(&call(Method::PUT, &uri, ""));
        assert!(resource.is_some(), "{query}");
        assert_eq!(judged, arn, "{query}");
    }
    let uri = "/2015-03-31/functions/f:prod/code?Qualifier=nope";
    let (resource, judged) = read::<Whole>(&call(Method::PUT, uri, ""));
    assert!(resource.is_none(), "a qualifier in the name is refused");
    assert_eq!(judged, format!("{arn}:prod"));
}

#[test]
fn deletion_of_no_version_is_judged_for_its_qualifier() {
    let arn = "arn:aws:lambda:us-east-1:123456789012:function:f";
    for (rest, is_named, qualifier) in [
        ("f", true, ""),
        ("f:1", true, ":1"),
        ("f?Qualifier=01", true, ":1"),
        ("f?Qualifier=$latest", true, ":$latest"),
        ("f:1?Qualifier=$latest", false, ":$latest"),
        ("f:1?Qualifier=2", false, ":2"),
    ] {
        let uri = format!("/2015-03-31/functions/{rest}");
        let (resource, judged) = read::<Deleted>(&call(Method::DELETE, &uri, ""));
        assert_eq!(resource.is_some(), is_named, "{rest}");
        assert_eq!(judged, format!("{arn}{qualifier}"), "{rest}");
    }
}

#[test]
fn function_name_in_a_body_is_the_last_one() {
    for (body, expected) in [
        (r#"{"FunctionName":"f"}"#, Some("f")),
        (r#"{"FunctionName":"g","FunctionName":"f"}"#, Some("f")),
        (r#"{"FunctionName":"g","\u0046unctionName":"f"}"#, Some("f")),
        (
            r#"{"A":{"FunctionName":"g"},"FunctionName":"f"}"#,
            Some("f"),
        ),
        (r#"{"FunctionName":"f","FunctionName":1}"#, None),
        (r#"{"FunctionName":"f"#, None),
        (r#"["FunctionName"]"#, None),
        ("", None),
    ] {
        let call = call(Method::POST, "/2015-03-31/functions?FunctionName=q", body);
        let (resource, _) = read::<NewFunction>(&call);
        let name = resource.map(|NewFunction(name)| name.to_string());
        assert_eq!(name.as_deref(), expected, "{body}");
    }
}

#[test]
fn layer_version_is_judged_by_its_number() {
    let arn = "arn:aws:lambda:us-east-1:123456789012:layer:l";
    for (rest, version) in [("1", ":1"), ("01", ":1"), ("-5", ":0"), ("x", ":0")] {
        let uri = format!("/2018-10-31/layers/l/versions/{rest}");
        let (resource, judged) = read::<LayerVersion>(&call(Method::GET, &uri, ""));
        assert!(resource.is_some(), "{rest}");
        assert_eq!(judged, format!("{arn}{version}"), "{rest}");
    }
}
