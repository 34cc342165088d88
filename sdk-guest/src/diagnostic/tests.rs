//! From errors to what the caller sees.

use super::*;

/// What `#[handler]` writes.
macro_rules! told {
    ($error:expr) => {
        (&&&Probe::of(&$error)).diagnosis().of($error)
    };
}

#[derive(Debug)]
struct OutOfStock;

impl fmt::Display for OutOfStock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing left")
    }
}

impl std::error::Error for OutOfStock {}

#[derive(Debug)]
struct Denied;

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no")
    }
}

impl std::error::Error for Denied {}

impl From<Denied> for Diagnostic {
    fn from(_: Denied) -> Self {
        diagnostic("AccessDenied", "ask the owner")
    }
}

fn diagnostic(error_type: &str, error_message: &str) -> Diagnostic {
    Diagnostic {
        error_type: error_type.into(),
        error_message: error_message.into(),
    }
}

#[test]
fn a_type_is_named_by_its_last_segment() {
    for (path, name) in [
        ("shop::order::OutOfStock", "OutOfStock"),
        ("OutOfStock", "OutOfStock"),
        ("shop::Failed<alloc::string::String>", "Failed"),
        ("serde_json::error::Error", "serde_json::error::Error"),
        ("Error", "Error"),
    ] {
        assert_eq!(short_name(path), name, "{path}");
    }
}

#[test]
fn a_boxed_error_keeps_its_message_and_a_boxed_diagnostic_its_type_too() {
    let boxed: Error = OutOfStock.into();
    assert_eq!(Diagnostic::from(boxed), diagnostic("Error", "nothing left"));
    let boxed: Error = diagnostic("SoldOut", "no bread").into();
    assert_eq!(Diagnostic::from(boxed), diagnostic("SoldOut", "no bread"));
    assert_eq!(Diagnostic::from("text"), diagnostic("Error", "text"));
}

#[test]
fn a_handlers_error_is_converted_where_the_author_says_how_and_named_where_not() {
    let error = OutOfStock;
    assert_eq!(told!(error), diagnostic("OutOfStock", "nothing left"));
    let error = Denied;
    assert_eq!(told!(error), diagnostic("AccessDenied", "ask the owner"));
    let error: Error = "boxed".into();
    assert_eq!(told!(error), diagnostic("Error", "boxed"));
}

#[test]
fn the_json_is_that_of_a_failed_invocation() {
    assert_eq!(
        serde_json::to_string(&diagnostic("SoldOut", "no bread")).unwrap(),
        r#"{"errorType":"SoldOut","errorMessage":"no bread"}"#
    );
}

#[cfg(feature = "anyhow")]
#[test]
fn an_anyhow_error_tells_its_context_and_keeps_a_diagnostic() {
    let error = anyhow::Error::new(OutOfStock).context("order 7");
    assert_eq!(told!(error), diagnostic("Error", "order 7: nothing left"));
    let error = anyhow::Error::new(diagnostic("SoldOut", "no bread"));
    assert_eq!(Diagnostic::from(error), diagnostic("SoldOut", "no bread"));
}
