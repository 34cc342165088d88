//! Return types of handlers and hooks, with readable compiler messages for unsuitable ones.

/// Implemented by `Result` only.
#[diagnostic::on_unimplemented(
    message = "a function of Lamina returns `Result<_, Error>`, not `{Self}`",
    label = "not a `Result`",
    note = "write `Result<Response, lamina_sdk::Error>`, and `Ok(..)` around what is returned"
)]
pub trait Outcome {
    /// Success type.
    type Good;
    /// Error type.
    type Bad;

    /// Converts into the `Result`.
    fn result(self) -> Result<Self::Good, Self::Bad>;
}

impl<T, E> Outcome for Result<T, E> {
    type Good = T;
    type Bad = E;

    fn result(self) -> Self {
        self
    }
}

/// Unwraps a handler's return value into a `Result`.
///
/// # Errors
///
/// The call's error.
pub fn outcome<R: Outcome>(returned: R) -> Result<R::Good, R::Bad> {
    returned.result()
}
