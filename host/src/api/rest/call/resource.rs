//! The resource of each operation, read from its request once. The build chooses the type from the
//! model: an operation without a Qualifier has no type here that could read one.

use bytes::Bytes;

use super::Head;
use super::target::{self, Whose};
use crate::api::access::Demand;
use crate::api::at_length;
use crate::api::rest::wire::{self, ErrorShape, Fault, Operation};
use crate::invoke::Target;
use crate::names::{FunctionName, Home};

mod function;
mod layer;
mod mapping;
mod other;

pub(in crate::api::rest) use function::{
    Deleted, Invoked, NewFunction, PolicyOf, Qualified, Whole,
};
pub(in crate::api::rest) use layer::{Layer, LayerVersion, LayerVersionByArn, ListedLayer};
pub(in crate::api::rest) use mapping::{ListedMappings, Mapping, NewMapping};
pub(in crate::api::rest) use other::{Account, Labelled, SigningConfig};

/// A resource that an operation acts on.
pub(in crate::api::rest) trait Resource: Sized {
    /// Reads it from the request.
    fn read(request: &Request<'_>) -> Result<Self, Unnamed>;

    /// The resource as policies know it.
    fn about(&self, home: &Home) -> About;

    /// Pattern of its possible ARNs, if only the body names it.
    fn any(_home: &Home) -> Option<String> {
        None
    }
}

/// A request while its resource is read.
pub(in crate::api::rest) struct Request<'a> {
    pub(super) head: &'a Head,
    /// `None` before the body is read.
    pub(super) body: Option<&'a Bytes>,
    pub(super) whose: Whose<'a>,
}

/// A resource as policies know it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::api::rest) struct About {
    /// An ARN, or `*`.
    pub(super) arn: String,
    /// The function of this host, whose own policies have a say.
    pub(super) function: Option<Target>,
    /// The values of `lambda:FunctionArn`.
    pub(super) mapped: Mapped,
}

/// Functions that an event source mapping is for, by their ARNs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::api::rest) enum Mapped {
    /// The request is about no mapping.
    Nothing,
    /// The mapping will be for this function, or the mappings of this function are listed.
    To(String),
    /// The mapping with this id, and the function that it will be for if that changes.
    Record { id: String, next: Option<String> },
}

/// A request that names no resource of this host. Policies are asked about the ARN all the same, so that
/// a refusal says nothing of what exists; the operation does not run.
pub(in crate::api::rest) struct Unnamed {
    pub(super) fault: Fault,
    pub(super) arn: String,
}

impl About {
    pub(super) fn other(arn: impl Into<String>) -> Self {
        Self {
            arn: arn.into(),
            function: None,
            mapped: Mapped::Nothing,
        }
    }

    pub(super) fn function(target: &Target, home: &Home) -> Self {
        Self {
            function: Some(target.clone()),
            ..Self::other(home.arn_at(&target.name, target.qualifier.as_ref()))
        }
    }

    pub(super) fn whole(name: &FunctionName, home: &Home) -> Self {
        let target = Target {
            name: name.clone(),
            qualifier: None,
        };
        Self::function(&target, home)
    }

    pub(super) fn demand(&self, action: &str) -> Demand {
        Demand {
            function: self.function.clone(),
            ..Demand::new(action, self.arn.clone())
        }
    }
}

impl Request<'_> {
    fn label(&self, name: &str) -> &str {
        self.head.label(name)
    }

    /// A text member of the body, read without building the document.
    fn member(&self, name: &str) -> Option<String> {
        let body = self.body?;
        at_length(&self.head.parts, body.len(), || {
            wire::text_member(body, name)
        })
    }

    /// The function that the path names, for operations on all of it.
    fn whole(&self, text: &str) -> Result<FunctionName, Unnamed> {
        let kind = match self.head.operation() {
            Operation::UpdateFunctionCode | Operation::UpdateFunctionConfiguration => {
                target::Whole::Latest
            }
            _ => target::Whole::Function,
        };
        let function = target::whole(text, self.whose, kind);
        function.map_err(|fault| self.unnamed(text, None, fault))
    }

    /// The function or version that a text and a qualifier beside it name.
    fn target(&self, text: &str, qualifier: Option<&str>) -> Result<Target, Unnamed> {
        let target = target::of(text, qualifier, self.whose);
        target.map_err(|fault| self.unnamed(text, qualifier, fault))
    }

    fn unnamed(&self, text: &str, qualifier: Option<&str>, fault: Fault) -> Unnamed {
        Unnamed {
            fault,
            arn: target::arn(text, qualifier, self.whose),
        }
    }

    /// The ARN of something else than a function in the caller's account.
    fn below(&self, rest: &str) -> String {
        let (region, account) = (&self.whose.home.region, self.whose.account);
        format!("arn:aws:lambda:{region}:{account}:{rest}")
    }
}

fn missing() -> Fault {
    Fault::new(
        ErrorShape::ResourceNotFoundException,
        "The resource you requested does not exist.",
    )
}
