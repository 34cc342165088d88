//! Target of an invocation, as its caller names it.

use crate::names::{FunctionName, Qualifier};

/// A function with the qualifier of one of its versions or aliases.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    /// Name of the function.
    pub name: FunctionName,
    /// Qualifier of the caller; `None` is the unpublished version.
    pub qualifier: Option<Qualifier>,
}
