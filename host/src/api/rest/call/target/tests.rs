//! Names of functions in requests.

use super::*;
use crate::names::Region;

fn home() -> Home {
    Home {
        account: AccountId::parse("123456789012").unwrap(),
        region: Region::parse("us-east-1").unwrap(),
    }
}

fn own(home: &Home) -> Whose<'_> {
    Whose {
        home,
        account: &home.account,
    }
}

#[test]
fn qualifiers_in_the_name_and_beside_it_must_agree() {
    let cases = [
        ("f", None, Some(None)),
        ("f:7", None, Some(Some(Qualifier::Version(7)))),
        ("f", Some("7"), Some(Some(Qualifier::Version(7)))),
        ("f:7", Some("7"), Some(Some(Qualifier::Version(7)))),
        ("f:7", Some("8"), None),
        ("f", Some("$LATEST"), Some(Some(Qualifier::Latest))),
    ];
    for (name, beside, expected) in cases {
        let found = of(name, beside, own(&home())).ok();
        let found = found.map(|target| target.qualifier);
        assert_eq!(found, expected, "{name} with {beside:?}");
    }
}

#[test]
fn invoked_text_that_is_no_name_is_not_found_with_its_qualifier() {
    let long = "n".repeat(65);
    let arn = format!("arn:aws:lambda:us-east-1:123456789012:function:{long}");
    let fault = |qualifier| {
        let fault = to_invoke(&long, qualifier, own(&home())).err();
        format!("{fault:?}")
    };
    assert!(fault(None).contains(&format!("{arn}:$LATEST")));
    assert!(fault(Some("7")).contains(&format!("{arn}:7")));
    let fault = format!("{:?}", of(&long, None, own(&home())).err());
    assert!(fault.contains(&format!("{arn}\"")), "{fault}");
}

#[test]
fn whole_function_with_a_qualifier_is_refused() {
    for kind in [Whole::Latest, Whole::Function] {
        let whole = |name: &str| whole(name, own(&home()), kind);
        assert_eq!(whole("f").ok(), FunctionName::parse("f").ok());
        for qualified in ["f:1", "f:$LATEST", "f:prod"] {
            let refusal = format!("{:?}", whole(qualified).unwrap_err());
            let is_of_versions = kind == Whole::Latest && qualified != "f:$LATEST";
            let words = refusal.contains("does not support versions other than $LATEST");
            assert_eq!(words, is_of_versions, "{qualified}: {refusal}");
        }
    }
}

#[test]
fn functions_of_another_account_or_region_are_not_here() {
    let arn = |region, account| format!("arn:aws:lambda:{region}:{account}:function:f");
    let home = home();
    assert!(of(&arn("us-east-1", "123456789012"), None, own(&home)).is_ok());
    assert!(of(&arn("us-west-2", "123456789012"), None, own(&home)).is_err());
    assert!(of(&arn("us-east-1", "000000000000"), None, own(&home)).is_err());
    let stranger = AccountId::parse("111111111111").unwrap();
    let theirs = Whose {
        home: &home,
        account: &stranger,
    };
    assert!(
        of("f", None, theirs).is_err(),
        "a bare name is the caller's"
    );
    assert!(of(&arn("us-east-1", "123456789012"), None, theirs).is_ok());
}

#[test]
fn arn_that_is_judged_has_every_part_that_was_given() {
    let home = home();
    let below = |rest: &str| format!("arn:aws:lambda:us-east-1:123456789012:function:{rest}");
    for (text, qualifier, expected) in [
        ("f", None, below("f")),
        ("f:1", None, below("f:1")),
        ("f", Some("$x"), below("f:$x")),
        ("f", Some(""), below("f")),
        ("a.b", None, below("a.b")),
        ("arn:other:x", None, "arn:other:x".into()),
        (
            "eu-west-1:000000000000:f",
            None,
            "arn:aws:lambda:eu-west-1:000000000000:function:f".into(),
        ),
    ] {
        assert_eq!(arn(text, qualifier, own(&home)), expected, "{text}");
    }
}
