//! From the name in a request to the function meant, by AWS's rules for names, ARNs and qualifiers.

use crate::api::rest::wire::{ErrorShape, Fault};
use crate::invoke::Target;
use crate::names::{AccountId, FunctionName, FunctionRef, Home, Qualifier};

/// The account and region of names without them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whose<'a> {
    /// The host's account and region.
    pub(super) home: &'a Home,
    /// The caller's account.
    pub(super) account: &'a AccountId,
}

/// The function and qualifier that a caller named, if this host is the one that owns it.
pub(super) fn of(text: &str, qualifier: Option<&str>, whose: Whose<'_>) -> Result<Target, Fault> {
    let named = FunctionRef::parse(text).map_err(|_| nameless(text, None, whose.home))?;
    on_this_host(named, qualifier, whose)
}

/// As [`of`], for invocations: AWS's error then names the unpublished version too.
pub(super) fn to_invoke(
    text: &str,
    qualifier: Option<&str>,
    whose: Whose<'_>,
) -> Result<Target, Fault> {
    let qualifier = qualifier.filter(|qualifier| !qualifier.is_empty());
    let named = FunctionRef::parse(text).map_err(|_| {
        let qualifier = qualifier.or(Some("$LATEST"));
        nameless(text, qualifier, whose.home)
    })?;
    on_this_host(named, qualifier, whose)
}

/// The kind of an operation on all of a function, which decides how AWS refuses a qualifier.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Whole {
    /// It changes `$LATEST`.
    Latest,
    /// It is on no version.
    Function,
}

/// The function that a caller named, for an operation that AWS refuses to do for less than all of it.
pub(super) fn whole(text: &str, whose: Whose<'_>, kind: Whole) -> Result<FunctionName, Fault> {
    let refusal = match of(text, None, whose)? {
        Target {
            name,
            qualifier: None,
        } => return Ok(name),
        // AWS takes `$LATEST` for such an operation. Policies would be asked about another ARN than it acts on.
        Target {
            qualifier: Some(Qualifier::Version(_) | Qualifier::Alias(_)),
            ..
        } if kind == Whole::Latest => {
            "Current operation does not support versions other than $LATEST. Please set the version to \
             $LATEST or do not set a version in your request."
        }
        Target { .. } => {
            "This operation is permitted on Lambda functions only. Aliases and versions do not \
             support this operation. Please specify either a function name or an unqualified \
             function ARN."
        }
    };
    let shape = ErrorShape::InvalidParameterValueException;
    Err(Fault::new(shape, refusal))
}

/// The ARN that policies are asked about where a name leads to no function of this host.
pub(super) fn arn(text: &str, qualifier: Option<&str>, whose: Whose<'_>) -> String {
    let Ok(named) = FunctionRef::parse(text) else {
        if text.starts_with("arn:") {
            return text.to_owned();
        }
        let (region, account) = (&whose.home.region, whose.account);
        return format!("arn:aws:lambda:{region}:{account}:function:{text}");
    };
    let home = Home {
        account: named.account.unwrap_or_else(|| whose.account.clone()),
        region: named.region.unwrap_or_else(|| whose.home.region.clone()),
    };
    let inner = named.qualifier.map(|qualifier| qualifier.to_string());
    let arn = home.function_arn(&named.name);
    match qualifier.filter(|it| !it.is_empty()).or(inner.as_deref()) {
        Some(qualifier) => format!("{arn}:{qualifier}"),
        None => arn,
    }
}

/// A text that no function can have as its name.
fn nameless(text: &str, qualifier: Option<&str>, home: &Home) -> Fault {
    let name = text.rsplit("function:").next().unwrap_or(text);
    let (account, region) = (&home.account, &home.region);
    let arn = format!("arn:aws:lambda:{region}:{account}:function:{name}");
    match qualifier {
        Some(qualifier) => not_found(&format!("{arn}:{qualifier}")),
        None => not_found(&arn),
    }
}

fn on_this_host(
    named: FunctionRef,
    qualifier: Option<&str>,
    whose: Whose<'_>,
) -> Result<Target, Fault> {
    require_home(&named, whose)?;
    let qualifier = qualifier.filter(|qualifier| !qualifier.is_empty());
    let qualifier = match qualifier.map(Qualifier::parse).transpose() {
        Ok(qualifier) => qualifier,
        Err(_) => {
            let arn = whose.home.function_arn(&named.name);
            return Err(not_found(&format!(
                "{arn}:{}",
                qualifier.unwrap_or_default()
            )));
        }
    };
    match (named.qualifier, qualifier) {
        (Some(inner), Some(outer)) if inner != outer => Err(mismatch()),
        (inner, outer) => Ok(Target {
            name: named.name,
            qualifier: outer.or(inner),
        }),
    }
}

/// Two qualifiers, in the name and beside it, that differ.
pub(super) fn mismatch() -> Fault {
    Fault::new(
        ErrorShape::InvalidParameterValueException,
        "The derived qualifier from the function name does not match the specified qualifier.",
    )
}

fn not_found(arn: &str) -> Fault {
    let text = format!("Function not found: {arn}");
    Fault::new(ErrorShape::ResourceNotFoundException, text)
}

fn require_home(named: &FunctionRef, whose: Whose<'_>) -> Result<(), Fault> {
    let home = whose.home;
    if let Some(region) = named.region.as_ref().filter(|it| **it != home.region) {
        return Err(Fault::new(
            ErrorShape::ResourceNotFoundException,
            format!(
                "Functions from '{region}' are not reachable in this region ('{}')",
                home.region
            ),
        ));
    }
    if *named.account.as_ref().unwrap_or(whose.account) != home.account {
        return Err(Fault::without_message(ErrorShape::AccessDeniedException));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
