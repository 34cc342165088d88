//! Event source mappings. IAM knows the function of a mapping as `lambda:FunctionArn`.

use super::{About, Mapped, Request, Resource, Unnamed};
use crate::invoke::Target;
use crate::names::Home;

/// The function that a new mapping is for.
pub(in crate::api::rest) struct NewMapping(pub(in crate::api::rest) Target);

/// The function whose mappings are listed, if not all are.
pub(in crate::api::rest) struct ListedMappings(pub(in crate::api::rest) Option<Target>);

/// A mapping, by its id.
pub(in crate::api::rest) struct Mapping {
    pub(in crate::api::rest) id: String,
    /// The function that it is to be for from now on.
    pub(in crate::api::rest) next: Option<Target>,
}

impl Resource for NewMapping {
    fn read(request: &Request<'_>) -> Result<Self, Unnamed> {
        let name = request.member("FunctionName").unwrap_or_default();
        mapped(request, &name).map(Self)
    }

    fn about(&self, home: &Home) -> About {
        About {
            mapped: Mapped::To(arn(&self.0, home)),
            ..About::other("*")
        }
    }
}

impl Resource for ListedMappings {
    fn read(request: &Request<'_>) -> Result<Self, Unnamed> {
        let name = request.head.query("FunctionName");
        let target = name.map(|name| mapped(request, &name)).transpose()?;
        Ok(Self(target))
    }

    fn about(&self, home: &Home) -> About {
        let to = self.0.as_ref().map(|target| Mapped::To(arn(target, home)));
        About {
            mapped: to.unwrap_or(Mapped::Nothing),
            ..About::other("*")
        }
    }
}

impl Resource for Mapping {
    fn read(request: &Request<'_>) -> Result<Self, Unnamed> {
        let id = request.label("UUID").to_owned();
        let next = match request.head.operation() {
            super::Operation::UpdateEventSourceMapping => request.member("FunctionName"),
            _ => None,
        };
        let next = next.map(|name| request.target(&name, None)).transpose();
        match next {
            Ok(next) => Ok(Self { id, next }),
            Err(unnamed) => Err(Unnamed {
                arn: arn_of(&id, request.whose.home),
                ..unnamed
            }),
        }
    }

    fn about(&self, home: &Home) -> About {
        About {
            mapped: Mapped::Record {
                id: self.id.clone(),
                next: self.next.as_ref().map(|target| arn(target, home)),
            },
            ..About::other(arn_of(&self.id, home))
        }
    }
}

/// Mappings are made and listed on nothing in particular, whatever function they name.
fn mapped(request: &Request<'_>, name: &str) -> Result<Target, Unnamed> {
    request.target(name, None).map_err(|unnamed| Unnamed {
        arn: "*".to_owned(),
        ..unnamed
    })
}

fn arn(target: &Target, home: &Home) -> String {
    home.arn_at(&target.name, target.qualifier.as_ref())
}

fn arn_of(id: &str, home: &Home) -> String {
    let Home { region, account } = home;
    format!("arn:aws:lambda:{region}:{account}:event-source-mapping:{id}")
}
