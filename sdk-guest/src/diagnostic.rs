//! Error reports to callers, and the conversion of errors into them.

use std::any::type_name;
use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use crate::Error;

/// Error type of boxed errors and plain strings, which have no name of their own.
const UNNAMED: &str = "Error";

/// `errorType` and `errorMessage` of a failed invocation.
///
/// An error type of your own becomes one through `From`:
///
/// ```
/// use lamina_sdk::{Diagnostic, LambdaEvent, handler};
///
/// enum OrderError {
///     SoldOut(String),
/// }
///
/// impl From<OrderError> for Diagnostic {
///     fn from(error: OrderError) -> Self {
///         match error {
///             OrderError::SoldOut(item) => Diagnostic {
///                 error_type: "SoldOut".into(),
///                 error_message: format!("no {item} left"),
///             },
///         }
///     }
/// }
///
/// #[handler]
/// async fn order(event: LambdaEvent<String>) -> Result<(), OrderError> {
///     Err(OrderError::SoldOut(event.payload))
/// }
/// ```
///
/// Under [`handler`](crate::handler) a type that implements [`std::error::Error`] needs no
/// conversion: its name is the error type. A `Diagnostic` is itself such an error, so `?` carries
/// it through [`Error`] without losing its type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnostic {
    /// Error type; callers distinguish errors by it.
    pub error_type: String,
    /// Error message.
    pub error_message: String,
}

impl Diagnostic {
    /// Error type from the Rust type's name, without modules and type arguments.
    pub fn named<E: std::error::Error>(error: &E) -> Self {
        Diagnostic {
            error_type: short_name(type_name::<E>()).to_owned(),
            error_message: error.to_string(),
        }
    }

    fn unnamed(message: String) -> Self {
        Diagnostic {
            error_type: UNNAMED.to_owned(),
            error_message: message,
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.error_type, self.error_message)
    }
}

impl std::error::Error for Diagnostic {}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        match error.downcast::<Diagnostic>() {
            Ok(diagnostic) => *diagnostic,
            Err(error) => Diagnostic::unnamed(error.to_string()),
        }
    }
}

impl From<Box<dyn std::error::Error>> for Diagnostic {
    fn from(error: Box<dyn std::error::Error>) -> Self {
        match error.downcast::<Diagnostic>() {
            Ok(diagnostic) => *diagnostic,
            Err(error) => Diagnostic::unnamed(error.to_string()),
        }
    }
}

impl From<String> for Diagnostic {
    fn from(message: String) -> Self {
        Diagnostic::unnamed(message)
    }
}

impl From<&'static str> for Diagnostic {
    fn from(message: &'static str) -> Self {
        Diagnostic::unnamed(message.to_owned())
    }
}

impl From<std::io::Error> for Diagnostic {
    fn from(error: std::io::Error) -> Self {
        Diagnostic::named(&error)
    }
}

impl From<serde_json::Error> for Diagnostic {
    fn from(error: serde_json::Error) -> Self {
        Diagnostic::named(&error)
    }
}

#[cfg(feature = "anyhow")]
impl From<anyhow::Error> for Diagnostic {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<Diagnostic>() {
            Ok(diagnostic) => diagnostic,
            Err(error) => Diagnostic::unnamed(format!("{error:#}")),
        }
    }
}

impl From<Infallible> for Diagnostic {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// Last path segment of a type. A type called just `Error` keeps its path, because the bare name
/// carries no information.
fn short_name(path: &str) -> &str {
    let path = path.split('<').next().unwrap_or(path);
    match path.rsplit("::").next() {
        Some("Error") | None => path,
        Some(name) => name,
    }
}

/// Autoref specialization: `#[handler]` resolves `diagnosis` on `&&&probe`. `ByConversion` matches
/// first; if its bound fails, `ByTypeName` is one dereference away, and `Otherwise` two. The latter
/// matches every type, so that an unsuitable error type gets a readable compiler message.
#[doc(hidden)]
#[derive(Debug)]
pub struct Probe<E>(PhantomData<E>);

impl<E> Probe<E> {
    pub fn of(_: &E) -> Self {
        Self(PhantomData)
    }
}

#[doc(hidden)]
pub trait ByConversion {
    fn diagnosis(&self) -> Conversion {
        Conversion
    }
}

impl<E: Into<Diagnostic>> ByConversion for &&Probe<E> {}

#[doc(hidden)]
pub trait ByTypeName {
    fn diagnosis(&self) -> TypeName {
        TypeName
    }
}

impl<E: std::error::Error> ByTypeName for &Probe<E> {}

#[doc(hidden)]
pub trait Otherwise {
    fn diagnosis(&self) -> Unsupported {
        Unsupported
    }
}

impl<E> Otherwise for Probe<E> {}

#[doc(hidden)]
#[derive(Debug)]
pub struct Conversion;

impl Conversion {
    pub fn of<E: Into<Diagnostic>>(&self, error: E) -> Diagnostic {
        error.into()
    }
}

#[doc(hidden)]
#[derive(Debug)]
pub struct TypeName;

impl TypeName {
    pub fn of<E: std::error::Error>(&self, error: E) -> Diagnostic {
        Diagnostic::named(&error)
    }
}

#[doc(hidden)]
#[derive(Debug)]
pub struct Unsupported;

/// Implemented by no type: its `on_unimplemented` attribute is the compiler message.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of a function of Lamina",
    note = "return `lamina_sdk::Error`, or implement `std::error::Error` for `{Self}`, or \
            `From<{Self}>` for `lamina_sdk::Diagnostic`",
    note = "for `anyhow::Error`, enable the feature `anyhow` of lamina-sdk"
)]
pub trait FunctionError {}

impl Unsupported {
    pub fn of<E: FunctionError>(&self, _: E) -> Diagnostic {
        unreachable!("no type implements the trait")
    }
}

#[cfg(test)]
mod tests;
