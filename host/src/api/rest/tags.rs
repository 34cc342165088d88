//! Tags on the wire: TagResource, UntagResource, ListTags. An ARN says what is tagged.

use super::wire::{self, ErrorShape, Fault};
use super::{Call, no_content, target};
use crate::api::{Front, Reply};
use crate::control::tags::Tagged;
use crate::names::Home;

impl Front {
    pub(super) async fn tag_resource(&self, call: &Call) -> Result<Reply, Fault> {
        let request: wire::TagResourceRequest = call.parse()?;
        let resource = tagged(&request.resource, self.control.home())?;
        let tags = request.tags.into_iter().collect();
        self.control.tag(&resource, &tags).await?;
        Ok(no_content())
    }

    pub(super) async fn untag_resource(&self, call: &Call) -> Result<Reply, Fault> {
        let request: wire::UntagResourceRequest = call.parse()?;
        let resource = tagged(&request.resource, self.control.home())?;
        self.control.untag(&resource, &request.tag_keys).await?;
        Ok(no_content())
    }

    pub(super) async fn list_tags(&self, call: &Call) -> Result<Reply, Fault> {
        let request: wire::ListTagsRequest = call.parse()?;
        let resource = tagged(&request.resource, self.control.home())?;
        let tags = self.control.tags(&resource).await?;
        Ok(call.render(wire::ListTagsResponse {
            tags: Some(tags.into_iter().collect()),
        }))
    }
}

/// What an ARN names, if it is of this account and region. The model has checked its form.
fn tagged(arn: &str, home: &Home) -> Result<Tagged, Fault> {
    let parts: Vec<&str> = arn.splitn(7, ':').collect();
    let [_, _, _, region, account, kind, _] = parts.as_slice() else {
        return Err(unknown());
    };
    if *kind == "function" {
        return function(arn, home);
    }
    if *account != home.account.as_str() {
        return Err(Fault::without_message(ErrorShape::AccessDeniedException));
    }
    if *region != home.region.as_str() {
        return Err(unknown());
    }
    Ok(match *kind {
        "event-source-mapping" => Tagged::EventSourceMapping(arn.to_owned()),
        "code-signing-config" => Tagged::CodeSigningConfig(arn.to_owned()),
        "capacity-provider" => Tagged::CapacityProvider(arn.to_owned()),
        _ => Tagged::Elsewhere,
    })
}

fn function(arn: &str, home: &Home) -> Result<Tagged, Fault> {
    let target = target::of(arn, None, home)?;
    match target.qualifier {
        None => Ok(Tagged::Function(target.name)),
        Some(_) => Err(Fault::new(
            ErrorShape::InvalidParameterValueException,
            "Tags on function aliases and versions are not supported. Please specify a function \
             ARN.",
        )),
    }
}

fn unknown() -> Fault {
    Fault::new(
        ErrorShape::ResourceNotFoundException,
        "The resource you requested does not exist.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{AccountId, Region};

    #[test]
    fn an_arn_says_what_is_tagged() {
        let home = Home {
            account: AccountId::parse("123456789012").unwrap(),
            region: Region::parse("us-east-1").unwrap(),
        };
        let of = |rest: &str| tagged(&format!("arn:aws:lambda:us-east-1:{rest}"), &home);
        let own = |rest: &str| of(&format!("123456789012:{rest}")).unwrap();
        assert!(matches!(own("function:f"), Tagged::Function(name) if name.as_str() == "f"));
        let arn = |rest: &str| format!("arn:aws:lambda:us-east-1:123456789012:{rest}");
        let (mapping, config) = ("event-source-mapping:u", "code-signing-config:c");
        assert_eq!(own(mapping), Tagged::EventSourceMapping(arn(mapping)));
        assert_eq!(own(config), Tagged::CodeSigningConfig(arn(config)));
        let provider = "capacity-provider:p";
        assert_eq!(own(provider), Tagged::CapacityProvider(arn(provider)));
        assert_eq!(own("network-connector:n"), Tagged::Elsewhere);
        for refused in [
            "123456789012:function:f:1",
            "000000000000:function:f",
            "000000000000:code-signing-config:c",
            "123456789012",
        ] {
            assert!(of(refused).is_err(), "{refused}");
        }
    }
}
