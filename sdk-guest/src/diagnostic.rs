//! From any error to what a caller of a failed function sees.

use std::fmt::Display;

use crate::bindings::{function, runtime};

/// Any error.
pub type Error = Box<dyn std::error::Error + Send + Sync + 'static>;

/// What a caller of a failed function sees. Everything that can be displayed can become one; it has
/// no `Display` of its own, or it could not be told from the errors it is made of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnostic {
    /// `errorType`: for programs to tell errors apart.
    pub error_type: String,
    /// `errorMessage`: for people.
    pub error_message: String,
}

impl<E: Display> From<E> for Diagnostic {
    fn from(error: E) -> Self {
        Self { error_type: type_name::<E>(), error_message: error.to_string() }
    }
}

/// The last part of a type's name: `my_function::OrderError` is `OrderError`. An error whose type is
/// not known any more is an `Error`.
fn type_name<E>() -> String {
    let name = std::any::type_name::<E>().trim_start_matches('&');
    if name.contains("dyn ") {
        return "Error".into();
    }
    let name = name.split('<').next().unwrap_or(name);
    name.rsplit("::").next().unwrap_or(name).to_owned()
}

macro_rules! to_wit {
    ($types:path) => {
        const _: () = {
            use $types as wit;

            impl From<Diagnostic> for wit::Failure {
                fn from(diagnostic: Diagnostic) -> Self {
                    Self {
                        error_type: diagnostic.error_type,
                        error_message: diagnostic.error_message,
                        stack_trace: Vec::new(),
                    }
                }
            }
        };
    };
}

to_wit!(function::lambda::function::types);
to_wit!(runtime::lambda::function::types);

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct OrderError;

    impl Display for OrderError {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("no such order")
        }
    }

    impl std::error::Error for OrderError {}

    #[test]
    fn an_error_is_known_by_its_type_and_text() {
        let own = Diagnostic::from(OrderError);
        assert_eq!((own.error_type.as_str(), own.error_message.as_str()), ("OrderError", "no such order"));
        assert_eq!(Diagnostic::from(Error::from(OrderError)).error_type, "Error");
        assert_eq!(Diagnostic::from("text").error_type, "str");
    }
}
