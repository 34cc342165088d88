//! Layers and their versions.

use super::{About, Request, Resource, Unnamed, missing};
use crate::api::rest::wire::{ErrorShape, Fault};
use crate::names::{Home, LayerName, LayerRef, LayerVersionArn};

/// A layer that is to have another version.
pub(in crate::api::rest) struct Layer(pub(in crate::api::rest) LayerName);

/// A layer whose versions are listed. As in AWS, policies are asked about nothing in particular.
pub(in crate::api::rest) struct ListedLayer(pub(in crate::api::rest) LayerName);

/// A version of a layer, by the layer and its number.
pub(in crate::api::rest) struct LayerVersion {
    pub(in crate::api::rest) layer: LayerName,
    pub(in crate::api::rest) number: u64,
}

/// A version of a layer, by its ARN.
pub(in crate::api::rest) struct LayerVersionByArn(pub(in crate::api::rest) LayerVersion);

impl Resource for Layer {
    fn read(request: &Request<'_>) -> Result<Self, Unnamed> {
        layer(request, None).map(Self)
    }

    fn about(&self, home: &Home) -> About {
        About::other(home.layer_arn(&self.0))
    }
}

impl Resource for ListedLayer {
    fn read(request: &Request<'_>) -> Result<Self, Unnamed> {
        let layer = layer(request, None);
        layer.map(Self).map_err(|unnamed| Unnamed {
            arn: "*".to_owned(),
            ..unnamed
        })
    }

    fn about(&self, _home: &Home) -> About {
        About::other("*")
    }
}

impl Resource for LayerVersion {
    fn read(request: &Request<'_>) -> Result<Self, Unnamed> {
        let text = request.label("VersionNumber");
        let layer = layer(request, Some(text))?;
        // Numbers less than one are no version's, and all alike.
        let number = text.parse::<i64>().unwrap_or_default();
        let number = u64::try_from(number).unwrap_or_default();
        Ok(Self { layer, number })
    }

    fn about(&self, home: &Home) -> About {
        let arn = home.layer_version_arn(&self.layer, self.number);
        About::other(arn.to_string())
    }
}

impl Resource for LayerVersionByArn {
    fn read(request: &Request<'_>) -> Result<Self, Unnamed> {
        let text = request.head.query("Arn").unwrap_or_else(|| "*".to_owned());
        let unnamed = |fault| Unnamed {
            fault,
            arn: text.clone(),
        };
        let arn = LayerVersionArn::parse(&text).map_err(|_| unnamed(missing()))?;
        require_home(&arn.home, request, &text).map_err(unnamed)?;
        Ok(Self(LayerVersion {
            layer: arn.layer,
            number: arn.version,
        }))
    }

    fn about(&self, home: &Home) -> About {
        self.0.about(home)
    }
}

/// The layer that the path names, if this host is the one that owns it.
fn layer(request: &Request<'_>, version: Option<&str>) -> Result<LayerName, Unnamed> {
    let text = request.label("LayerName");
    let version = version.map(|version| format!(":{version}"));
    let version = version.unwrap_or_default();
    let arn = match text.starts_with("arn:") {
        true => format!("{text}{version}"),
        false => request.below(&format!("layer:{text}{version}")),
    };
    let named = LayerRef::parse(text).map_err(|error| {
        let shape = ErrorShape::InvalidParameterValueException;
        Fault::new(shape, error.to_string())
    });
    let named = named.and_then(|named| {
        let own = Home {
            account: request.whose.account.clone(),
            region: request.whose.home.region.clone(),
        };
        let of = named.home.as_ref().unwrap_or(&own);
        require_home(of, request, &arn).map(|()| named.name)
    });
    named.map_err(|fault| Unnamed { fault, arn })
}

/// Layers of other accounts and regions are not here.
fn require_home(of: &Home, request: &Request<'_>, arn: &str) -> Result<(), Fault> {
    let home = request.whose.home;
    if of.account != home.account {
        let action = super::super::authorize::action(request.head.operation());
        return Err(Fault::new(
            ErrorShape::AccessDeniedException,
            format!(
                "User: arn:aws:iam::{}:root is not authorized to perform: {action} on resource: \
                 {arn} because no resource-based policy allows the {action} action",
                home.account
            ),
        ));
    }
    if of.region != home.region {
        return Err(missing());
    }
    Ok(())
}
