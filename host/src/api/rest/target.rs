//! From the name in a request to the function meant, by AWS's rules for names, ARNs and qualifiers.

use super::wire::{ErrorShape, Fault};
use crate::invoke::Target;
use crate::names::{FunctionName, FunctionRef, Home, Qualifier};

/// The function and qualifier that a caller named, if this host is the one that owns it. AWS's model
/// has been asked before: what is still no name, no function has.
pub(super) fn of(text: &str, qualifier: Option<&str>, home: &Home) -> Result<Target, Fault> {
    let named = FunctionRef::parse(text).map_err(|_| {
        let name = text.rsplit("function:").next().unwrap_or(text);
        let (account, region) = (&home.account, &home.region);
        let arn = format!("arn:aws:lambda:{region}:{account}:function:{name}");
        not_found(&arn)
    })?;
    require_home(&named, home)?;
    let qualifier = qualifier.filter(|qualifier| !qualifier.is_empty());
    let qualifier = match qualifier.map(Qualifier::parse).transpose() {
        Ok(qualifier) => qualifier,
        Err(_) => {
            let arn = home.function_arn(&named.name);
            return Err(not_found(&format!(
                "{arn}:{}",
                qualifier.unwrap_or_default()
            )));
        }
    };
    match (named.qualifier, qualifier) {
        (Some(inner), Some(outer)) if inner != outer => Err(Fault::new(
            ErrorShape::InvalidParameterValueException,
            "The derived qualifier from the function name does not match the specified qualifier.",
        )),
        (inner, outer) => Ok(Target {
            name: named.name,
            qualifier: outer.or(inner),
        }),
    }
}

fn not_found(arn: &str) -> Fault {
    let text = format!("Function not found: {arn}");
    Fault::new(ErrorShape::ResourceNotFoundException, text)
}

/// The function that a caller named, for operations on the function as a whole.
pub(super) fn unqualified(text: &str, home: &Home) -> Result<FunctionName, Fault> {
    Ok(of(text, None, home)?.name)
}

/// The function that a caller named, for an operation that AWS refuses to do for less than all of it.
pub(super) fn whole(text: &str, home: &Home) -> Result<FunctionName, Fault> {
    match of(text, None, home)? {
        Target {
            name,
            qualifier: None,
        } => Ok(name),
        Target { .. } => Err(Fault::new(
            ErrorShape::InvalidParameterValueException,
            "This operation is permitted on Lambda functions only. Aliases and versions do not \
             support this operation. Please specify either a function name or an unqualified \
             function ARN.",
        )),
    }
}

fn require_home(named: &FunctionRef, home: &Home) -> Result<(), Fault> {
    if let Some(region) = named
        .region
        .as_ref()
        .filter(|region| **region != home.region)
    {
        return Err(Fault::new(
            ErrorShape::ResourceNotFoundException,
            format!(
                "Functions from '{region}' are not reachable in this region ('{}')",
                home.region
            ),
        ));
    }
    match &named.account {
        Some(account) if *account != home.account => {
            Err(Fault::without_message(ErrorShape::AccessDeniedException))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{AccountId, Region};

    fn home() -> Home {
        Home {
            account: AccountId::parse("123456789012").unwrap(),
            region: Region::parse("us-east-1").unwrap(),
        }
    }

    #[test]
    fn a_qualifier_in_the_name_and_beside_it_must_agree() {
        let cases = [
            ("f", None, Some(None)),
            ("f:7", None, Some(Some(Qualifier::Version(7)))),
            ("f", Some("7"), Some(Some(Qualifier::Version(7)))),
            ("f:7", Some("7"), Some(Some(Qualifier::Version(7)))),
            ("f:7", Some("8"), None),
            ("f", Some("$LATEST"), Some(Some(Qualifier::Latest))),
        ];
        for (name, beside, expected) in cases {
            let found = of(name, beside, &home())
                .ok()
                .map(|target| target.qualifier);
            assert_eq!(found, expected, "{name} with {beside:?}");
        }
    }

    #[test]
    fn a_function_as_a_whole_has_no_qualifier() {
        assert_eq!(whole("f", &home()).ok(), FunctionName::parse("f").ok());
        for qualified in ["f:1", "f:$LATEST", "f:prod"] {
            assert!(whole(qualified, &home()).is_err(), "{qualified}");
        }
    }

    #[test]
    fn only_this_account_and_region_are_here() {
        let arn = |region, account| format!("arn:aws:lambda:{region}:{account}:function:f");
        assert!(of(&arn("us-east-1", "123456789012"), None, &home()).is_ok());
        assert!(of(&arn("us-west-2", "123456789012"), None, &home()).is_err());
        assert!(of(&arn("us-east-1", "000000000000"), None, &home()).is_err());
    }
}
