//! Fuzz check of names and ARNs: what is parsed is what the service model's patterns take, and parses again to
//! itself from its printed form.

use std::fmt::Debug;
use std::sync::LazyLock;

use fancy_regex::Regex;

use super::*;

/// `FunctionName` of the service model.
static FUNCTION: LazyLock<Regex> = LazyLock::new(|| {
    let region = r"((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?";
    let after = r"(\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?";
    regex(&format!("(arn:(aws[a-zA-Z-]*)?:lambda:)?{region}{after}"))
});
/// `LayerName` of the service model.
static LAYER: LazyLock<Regex> = LazyLock::new(|| {
    let region = r"(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}";
    regex(&format!(
        r"(arn:(aws[a-zA-Z-]*)?:lambda:{region}:\d{{12}}:layer:[a-zA-Z0-9-_]+)|[a-zA-Z0-9-_]+"
    ))
});

fn regex(pattern: &str) -> Regex {
    Regex::new(&format!(r"\A(?:{pattern})\z")).expect("the pattern is one")
}

fn matches(pattern: &Regex, text: &str) -> bool {
    // `\d` is any digit of Unicode here, and one of ten in the model.
    text.is_ascii() && pattern.is_match(text).expect("the text is short")
}

/// Checks one text as each kind of name.
pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    // AWS's longest name, and beyond.
    if text.len() > 512 {
        return;
    }
    function(text);
    layer(text);
    prints_itself(text, Qualifier::parse);
    prints_itself(text, FunctionName::parse);
    prints_itself(text, AliasName::parse);
    prints_itself(text, LayerName::parse);
    prints_itself(text, AccountId::parse);
    prints_itself(text, Region::parse);
    prints_itself(text, UserName::parse);
}

/// A text that parses is the printed form of what it parses to, with leading zeros of numbers apart.
fn prints_itself<T: Debug + fmt::Display + PartialEq>(
    text: &str,
    parse: impl Fn(&str) -> Result<T, Error>,
) {
    let Ok(parsed) = parse(text) else { return };
    let printed = parsed.to_string();
    assert_eq!(parse(&printed).as_ref(), Ok(&parsed), "{text:?}");
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let zeros = |text: &str| text.trim_start_matches('0').to_owned();
    assert!(
        printed == text || is_number && zeros(&printed) == zeros(text),
        "{text:?} prints {printed:?}"
    );
}

fn function(text: &str) {
    let parsed = FunctionRef::parse(text);
    let Ok(parsed) = parsed else {
        assert!(
            !matches(&FUNCTION, text) || exceeds_a_bound(text),
            "the model takes {text:?}: {parsed:?}"
        );
        return;
    };
    assert!(
        matches(&FUNCTION, text),
        "the model refuses {text:?}: {parsed:?}"
    );
    let mut printed = String::new();
    for part in [
        parsed.region.as_ref().map(Region::as_str),
        parsed.account.as_ref().map(AccountId::as_str),
    ] {
        printed += &part.map(|part| format!("{part}:")).unwrap_or_default();
    }
    // Without the word, the name of a function that is all digits is an account's id.
    printed += &format!("function:{}", parsed.name);
    let qualifier = parsed.qualifier.as_ref();
    printed += &qualifier.map(|it| format!(":{it}")).unwrap_or_default();
    assert_eq!(
        FunctionRef::parse(&printed).as_ref(),
        Ok(&parsed),
        "{text:?}"
    );
    let (Some(region), Some(account)) = (parsed.region.clone(), parsed.account.clone()) else {
        return;
    };
    let home = Home { account, region };
    let arn = home.arn_at(&parsed.name, qualifier);
    assert_eq!(FunctionRef::parse(&arn), Ok(parsed), "{text:?}");
}

/// The patterns have no bounds: the host has.
fn exceeds_a_bound(text: &str) -> bool {
    let mut parts = text.rsplit(':');
    let (last, before) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit());
    has_long_part(text)
        || last.len() > FunctionName::CHARS_MAX
        || before.len() > FunctionName::CHARS_MAX
        || is_number && last.parse::<u64>().is_err()
}

/// A part may be a region, which has 32 characters at most.
fn has_long_part(text: &str) -> bool {
    text.split(':').any(|part| part.len() > 32)
}

fn layer(text: &str) {
    let by_model = matches(&LAYER, text);
    match LayerRef::parse(text) {
        Ok(parsed) => {
            let Some(home) = &parsed.home else {
                assert_eq!(parsed.name.as_str(), text);
                return;
            };
            let arn = home.layer_arn(&parsed.name);
            assert_eq!(LayerRef::parse(&arn).as_ref(), Ok(&parsed), "{text:?}");
            let version = home.layer_version_arn(&parsed.name, 7);
            let reparsed = LayerVersionArn::parse(&version.to_string());
            assert_eq!(reparsed, Ok(version), "{text:?}");
        }
        Err(_) => {
            let name = text.rsplit(':').next().unwrap_or_default();
            let is_long = name.len() > LayerName::CHARS_MAX || has_long_part(text);
            assert!(!by_model || is_long, "{text:?}");
        }
    }
    if let Ok(parsed) = LayerVersionArn::parse(text) {
        let printed = parsed.to_string();
        assert_eq!(LayerVersionArn::parse(&printed), Ok(parsed), "{text:?}");
    }
}
