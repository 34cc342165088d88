//! Functions, their versions and aliases.

use super::{About, Request, Resource, Unnamed, missing, target};
use crate::api::rest::wire::{ErrorShape, Fault};
use crate::invoke::Target;
use crate::names::{FunctionName, FunctionRef, Home, Qualifier};

/// A function as a whole: the operation has no Qualifier, and one in the name is refused.
pub(in crate::api::rest) struct Whole(pub(in crate::api::rest) FunctionName);

/// A function that is to be made.
pub(in crate::api::rest) struct NewFunction(pub(in crate::api::rest) FunctionName);

/// A function, or a version or an alias of it.
pub(in crate::api::rest) struct Qualified(pub(in crate::api::rest) Target);

/// A function, version or alias that is to run.
pub(in crate::api::rest) struct Invoked(pub(in crate::api::rest) Target);

/// A function, version or alias whose policy is meant, by its ARN.
pub(in crate::api::rest) struct PolicyOf(pub(in crate::api::rest) Target);

/// A function or version that is to be deleted.
pub(in crate::api::rest) enum Deleted {
    Whole(FunctionName),
    Version(FunctionName, Qualifier),
    /// A qualifier that no version can have. As with a number that none has, nothing is deleted.
    Nothing(FunctionName, String),
}

impl Resource for Whole {
    fn read(request: &Request<'_>) -> Result<Self, Unnamed> {
        request.whole(request.label("FunctionName")).map(Self)
    }

    fn about(&self, home: &Home) -> About {
        About::whole(&self.0, home)
    }
}

impl Resource for NewFunction {
    fn read(request: &Request<'_>) -> Result<Self, Unnamed> {
        let text = request.member("FunctionName").unwrap_or_default();
        if !text.contains(':') && text.len() > FunctionName::CHARS_MAX {
            return Err(request.unnamed(&text, None, too_long(&text)));
        }
        request.whole(&text).map(Self)
    }

    fn about(&self, home: &Home) -> About {
        About::whole(&self.0, home)
    }

    fn any(home: &Home) -> Option<String> {
        let Home { region, account } = home;
        Some(format!("arn:aws:lambda:{region}:{account}:function:*"))
    }
}

impl Resource for Qualified {
    fn read(request: &Request<'_>) -> Result<Self, Unnamed> {
        let qualifier = request.head.query("Qualifier");
        let name = request.label("FunctionName");
        request.target(name, qualifier.as_deref()).map(Self)
    }

    fn about(&self, home: &Home) -> About {
        About::function(&self.0, home)
    }
}

impl Resource for Invoked {
    fn read(request: &Request<'_>) -> Result<Self, Unnamed> {
        let qualifier = request.head.query("Qualifier");
        let (name, qualifier) = (request.label("FunctionName"), qualifier.as_deref());
        let target = target::to_invoke(name, qualifier, request.whose);
        let unnamed = |fault| request.unnamed(name, qualifier, fault);
        target.map(Self).map_err(unnamed)
    }

    fn about(&self, home: &Home) -> About {
        About::function(&self.0, home)
    }
}

impl Resource for PolicyOf {
    fn read(request: &Request<'_>) -> Result<Self, Unnamed> {
        let arn = request.label("ResourceArn");
        // The model takes ARNs of functions and of runtimes. This host keeps no runtimes.
        if arn.split(':').nth(5) != Some("function") {
            return Err(Unnamed {
                fault: missing(),
                arn: arn.to_owned(),
            });
        }
        request.target(arn, None).map(Self)
    }

    fn about(&self, home: &Home) -> About {
        About::function(&self.0, home)
    }
}

impl Resource for Deleted {
    fn read(request: &Request<'_>) -> Result<Self, Unnamed> {
        let name = request.label("FunctionName");
        let qualifier = request.head.query("Qualifier");
        let qualifier = qualifier.as_deref().filter(|it| !it.is_empty());
        if let Some(text) = qualifier.filter(|it| Qualifier::parse(it).is_err()) {
            let Target { name: function, .. } = request.target(name, None)?;
            let inner = FunctionRef::parse(name).ok().and_then(|it| it.qualifier);
            return match inner {
                Some(_) => Err(request.unnamed(name, qualifier, target::mismatch())),
                None => Ok(Self::Nothing(function, text.to_owned())),
            };
        }
        let target = request.target(name, qualifier)?;
        Ok(match target.qualifier {
            None => Self::Whole(target.name),
            Some(qualifier) => Self::Version(target.name, qualifier),
        })
    }

    fn about(&self, home: &Home) -> About {
        match self {
            Self::Whole(name) => About::whole(name, home),
            Self::Version(name, qualifier) => {
                let target = Target {
                    name: name.clone(),
                    qualifier: Some(qualifier.clone()),
                };
                About::function(&target, home)
            }
            Self::Nothing(name, text) => {
                About::other(format!("{}:{text}", home.function_arn(name)))
            }
        }
    }
}

/// AWS's model allows ARNs to be longer than names.
fn too_long(name: &str) -> Fault {
    let text = format!(
        "1 validation error detected: Value '{name}' at 'functionName' failed to satisfy \
         constraint: Member must have length less than or equal to {}",
        FunctionName::CHARS_MAX
    );
    Fault::new(ErrorShape::InvalidParameterValueException, text)
}
