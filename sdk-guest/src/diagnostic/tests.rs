//! Conversion of errors into diagnostics.

use super::*;

/// Expansion of `#[handler]` for an error.
macro_rules! diagnosed {
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
fn type_is_named_by_last_segment() {
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
fn boxed_error_keeps_message_and_boxed_diagnostic_keeps_type() {
    let boxed: Error = OutOfStock.into();
    assert_eq!(Diagnostic::from(boxed), diagnostic("Error", "nothing left"));
    let boxed: Error = diagnostic("SoldOut", "no bread").into();
    assert_eq!(Diagnostic::from(boxed), diagnostic("SoldOut", "no bread"));
    assert_eq!(Diagnostic::from("text"), diagnostic("Error", "text"));
}

#[test]
fn error_uses_conversion_or_else_type_name() {
    let error = OutOfStock;
    assert_eq!(diagnosed!(error), diagnostic("OutOfStock", "nothing left"));
    let error = Denied;
    assert_eq!(
        diagnosed!(error),
        diagnostic("AccessDenied", "ask the owner")
    );
    let error: Error = "boxed".into();
    assert_eq!(diagnosed!(error), diagnostic("Error", "boxed"));
}

#[test]
fn diagnostic_json_has_lambda_error_members() {
    assert_eq!(
        serde_json::to_string(&diagnostic("SoldOut", "no bread")).unwrap(),
        r#"{"errorType":"SoldOut","errorMessage":"no bread"}"#
    );
}

#[cfg(feature = "anyhow")]
#[test]
fn anyhow_error_shows_context_and_keeps_diagnostic() {
    let error = anyhow::Error::new(OutOfStock).context("order 7");
    assert_eq!(
        diagnosed!(error),
        diagnostic("Error", "order 7: nothing left")
    );
    let error = anyhow::Error::new(diagnostic("SoldOut", "no bread"));
    assert_eq!(Diagnostic::from(error), diagnostic("SoldOut", "no bread"));
}
