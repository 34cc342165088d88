//! What a handler and its hooks may return. Whatever else they return, the compiler says so in words.

/// A `Result`, and nothing else.
#[diagnostic::on_unimplemented(
    message = "a function of Lamina returns `Result<_, Error>`, not `{Self}`",
    label = "this is no `Result`",
    note = "write `Result<Response, lamina_sdk::Error>`, and `Ok(..)` around what is returned"
)]
pub trait Outcome {
    /// What it is when all went well.
    type Good;
    /// What it is otherwise.
    type Bad;

    /// It, as it is.
    fn result(self) -> Result<Self::Good, Self::Bad>;
}

impl<T, E> Outcome for Result<T, E> {
    type Good = T;
    type Bad = E;

    fn result(self) -> Self {
        self
    }
}

/// The result of a call.
///
/// # Errors
///
/// Where the call failed.
pub fn outcome<R: Outcome>(returned: R) -> Result<R::Good, R::Bad> {
    returned.result()
}
