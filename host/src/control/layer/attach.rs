//! Rules for the layers of a function. Pure: the layers have been looked up before.

use super::{LayerError as Error, LayerUse};
use crate::names::{Home, LayerVersionArn};
use crate::units::UNZIPPED_BYTES_MAX;

/// Maximum layers of a function.
pub(super) const LAYERS_MAX: usize = 5;

/// Layers of these ARNs, in order, from those found.
pub(super) fn check(
    arns: &[String],
    home: &Home,
    found: &[LayerUse],
) -> Result<Vec<LayerUse>, Error> {
    if arns.len() > LAYERS_MAX {
        return Err(Error::TooMany);
    }
    let mut layers: Vec<LayerUse> = Vec::with_capacity(arns.len());
    for text in arns {
        let layer = one(text, home, found)?;
        let same = |other: &&LayerUse| other.arn.layer == layer.arn.layer;
        if let Some(other) = layers.iter().find(same) {
            return Err(Error::TwoVersions(other.arn.clone(), layer.arn));
        }
        layers.push(layer);
    }
    if bytes_of(&layers) > UNZIPPED_BYTES_MAX {
        return Err(Error::TooLarge);
    }
    Ok(layers)
}

fn one(text: &str, home: &Home, found: &[LayerUse]) -> Result<LayerUse, Error> {
    let missing = || Error::Missing(text.to_owned());
    let arn = LayerVersionArn::parse(text).map_err(|_| missing())?;
    if arn.home.account != home.account {
        return Err(Error::Denied {
            account: home.account.clone(),
            arn,
        });
    }
    if arn.home.region != home.region {
        return Err(Error::OtherRegion(home.region.clone()));
    }
    let found = found.iter().find(|layer| layer.arn == arn);
    found.cloned().ok_or_else(missing)
}

/// Refuses layers that exceed the size limit together with the package.
pub(super) fn require_room(unzipped_bytes: u64, layers: &[LayerUse]) -> Result<(), Error> {
    let bytes = bytes_of(layers).saturating_add(unzipped_bytes);
    if bytes <= UNZIPPED_BYTES_MAX {
        return Ok(());
    }
    Err(Error::TooLargeWithCode(bytes))
}

fn bytes_of(layers: &[LayerUse]) -> u64 {
    let bytes = layers.iter().map(|layer| layer.package.unzipped_bytes);
    bytes.fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::LayerPackage;
    use crate::names::{AccountId, Region};
    use crate::store::blob::Digest;

    const MIB: u64 = 1 << 20;

    fn home() -> Home {
        Home {
            account: AccountId::parse("123456789012").unwrap(),
            region: Region::parse("us-east-1").unwrap(),
        }
    }

    fn layer(arn: &str, unzipped_bytes: u64) -> LayerUse {
        LayerUse {
            arn: LayerVersionArn::parse(arn).unwrap(),
            package: LayerPackage {
                digest: Digest::of(arn.as_bytes()),
                size_bytes: 1,
                unzipped_bytes,
            },
            signed: None,
        }
    }

    fn arn(rest: &str) -> String {
        format!("arn:aws:lambda:us-east-1:123456789012:layer:{rest}")
    }

    /// The check of these layers, where versions 1 and 2 of `a` to `f` exist.
    fn checked(arns: &[String], unzipped_bytes: u64) -> Result<Vec<LayerUse>, String> {
        let names = ["a", "b", "c", "d", "e", "f"];
        let both = |name| [1, 2].map(|version| arn(&format!("{name}:{version}")));
        let found = names.into_iter().flat_map(both);
        let found: Vec<LayerUse> = found.map(|arn| layer(&arn, unzipped_bytes)).collect();
        check(arns, &home(), &found).map_err(|error| error.to_string())
    }

    #[test]
    fn layers_keep_their_order() {
        for names in [
            &[][..],
            &["b:1"],
            &["b:2", "a:1"],
            &["e:1", "d:1", "c:1", "b:1", "a:1"],
        ] {
            let arns: Vec<String> = names.iter().map(|name| arn(name)).collect();
            let layers = checked(&arns, 1).unwrap();
            let shown: Vec<String> = layers.iter().map(|it| it.arn.to_string()).collect();
            assert_eq!(shown, arns);
        }
    }

    #[test]
    fn layers_that_are_not_allowed_are_refused_in_awss_words() {
        let six: Vec<String> = ["a:1", "b:1", "c:1", "d:1", "e:1", "f:1"].map(arn).to_vec();
        let elsewhere = arn("a:1").replace("us-east-1", "eu-west-1");
        let theirs = arn("a:1").replace("123456789012", "210987654321");
        let missing = |arn: &str| format!("Layer version {arn} does not exist.");
        let twice = |one: &str, other: &str| {
            format!(
                "Two different versions of the same layer are not allowed to be referenced in the \
                 same function. {} and {} are versions of the same layer.",
                arn(one),
                arn(other)
            )
        };
        let legacy = "arn:aws:lambda:::awslayer:AmazonLinux1803".to_owned();
        let cases = [
            (six, "Cannot reference more than 5 layers.".to_owned()),
            (vec![arn("a:3")], missing(&arn("a:3"))),
            (vec![arn("g:1")], missing(&arn("g:1"))),
            (vec![arn("a:0")], missing(&arn("a:0"))),
            (vec![arn("a:1"), arn("b:9")], missing(&arn("b:9"))),
            (vec![legacy.clone()], missing(&legacy)),
            (
                vec![arn("a:1"), arn("b:1"), arn("a:2")],
                twice("a:1", "a:2"),
            ),
            (vec![arn("a:1"), arn("a:1")], twice("a:1", "a:1")),
            (
                vec![elsewhere],
                "Layers are not in the same region as the function. Layers are expected to be in \
                 region us-east-1."
                    .to_owned(),
            ),
            (
                vec![theirs.clone()],
                format!(
                    "User: arn:aws:iam::123456789012:root is not authorized to perform: \
                     lambda:GetLayerVersion on resource: {theirs} because no resource-based policy \
                     allows the lambda:GetLayerVersion action"
                ),
            ),
        ];
        for (arns, expected) in cases {
            assert_eq!(checked(&arns, 1).unwrap_err(), expected, "{arns:?}");
        }
    }

    #[test]
    fn layers_and_function_over_250_mib_are_refused() {
        let two = [arn("a:1"), arn("b:1")];
        let layers = checked(&two, 125 * MIB).unwrap();
        assert_eq!(
            checked(&two, 125 * MIB + 1).unwrap_err(),
            "Layers consume more than the available size of 262144000 bytes"
        );
        assert!(require_room(0, &layers).is_ok());
        assert_eq!(
            require_room(9, &layers).unwrap_err().to_string(),
            "Function code combined with layers exceeds the maximum allowed size of 262144000 \
             bytes. The actual size is 262144009 bytes."
        );
    }
}
