//! Resources other than functions and layers, and the account.

use super::{About, Request, Resource, Unnamed, missing, target};
use crate::api::rest::wire::{ErrorShape, Fault};
use crate::control::tags::Tagged;
use crate::invoke::Target;
use crate::names::Home;

/// No particular resource: listings, account settings, creations with a new id.
pub(in crate::api::rest) struct Account;

/// A code signing configuration, by ARN.
pub(in crate::api::rest) struct SigningConfig(pub(in crate::api::rest) String);

/// A taggable resource, by ARN.
pub(in crate::api::rest) struct Labelled {
    pub(in crate::api::rest) tagged: Tagged,
    arn: String,
}

impl Resource for Account {
    fn read(_request: &Request<'_>) -> Result<Self, Unnamed> {
        Ok(Self)
    }

    fn about(&self, _home: &Home) -> About {
        About::other("*")
    }
}

impl Resource for SigningConfig {
    fn read(request: &Request<'_>) -> Result<Self, Unnamed> {
        Ok(Self(request.label("CodeSigningConfigArn").to_owned()))
    }

    fn about(&self, _home: &Home) -> About {
        About::other(&self.0)
    }
}

impl Resource for Labelled {
    fn read(request: &Request<'_>) -> Result<Self, Unnamed> {
        let arn = request.label("Resource");
        match tagged(arn, request) {
            Ok(tagged) => Ok(Self {
                tagged,
                arn: arn.to_owned(),
            }),
            Err(fault) if arn.contains(":function:") => Err(request.unnamed(arn, None, fault)),
            Err(fault) => Err(Unnamed {
                fault,
                arn: arn.to_owned(),
            }),
        }
    }

    fn about(&self, home: &Home) -> About {
        match &self.tagged {
            Tagged::Function(name) => About::whole(name, home),
            _ => About::other(&self.arn),
        }
    }
}

/// Taggable resource of an ARN in this account and region. The model has validated the syntax.
fn tagged(arn: &str, request: &Request<'_>) -> Result<Tagged, Fault> {
    let home = request.whose.home;
    let parts: Vec<&str> = arn.splitn(7, ':').collect();
    let [_, _, _, region, account, kind, _] = parts.as_slice() else {
        return Err(missing());
    };
    if *kind == "function" {
        return function(arn, request);
    }
    if *account != home.account.as_str() {
        return Err(Fault::without_message(ErrorShape::AccessDeniedException));
    }
    if *region != home.region.as_str() {
        return Err(missing());
    }
    Ok(match *kind {
        "event-source-mapping" => Tagged::EventSourceMapping(arn.to_owned()),
        "code-signing-config" => Tagged::CodeSigningConfig(arn.to_owned()),
        "capacity-provider" => Tagged::CapacityProvider(arn.to_owned()),
        _ => Tagged::Elsewhere,
    })
}

fn function(arn: &str, request: &Request<'_>) -> Result<Tagged, Fault> {
    match target::of(arn, None, request.whose)? {
        Target {
            name,
            qualifier: None,
        } => Ok(Tagged::Function(name)),
        Target { .. } => Err(Fault::new(
            ErrorShape::InvalidParameterValueException,
            "Tags on function aliases and versions are not supported. Please specify a function \
             ARN.",
        )),
    }
}
