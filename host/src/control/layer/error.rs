//! Errors of layers, and of functions that cannot have them.

use super::attach::LAYERS_MAX;
use crate::names::{AccountId, LayerVersionArn, Region};
use crate::units::UNZIPPED_BYTES_MAX;

/// Error of a layer.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// No such version of the layer.
    #[error("The resource you requested does not exist.")]
    NotFound,
    /// No version of this ARN, in the words of the operations on its policy.
    #[error("Layer version {0} does not exist.")]
    NotFoundByArn(LayerVersionArn),
    /// Version 0.
    #[error("Layer Version Cannot be less than 1")]
    VersionZero,
    /// A function with too many layers.
    #[error("Cannot reference more than {LAYERS_MAX} layers.")]
    TooMany,
    /// A function with a layer that is not there; the text that was given.
    #[error("Layer version {0} does not exist.")]
    Missing(String),
    /// A function with a layer of another account.
    #[error(
        "User: arn:aws:iam::{account}:root is not authorized to perform: lambda:GetLayerVersion on \
         resource: {arn} because no resource-based policy allows the lambda:GetLayerVersion action"
    )]
    Denied {
        /// The account of this host.
        account: AccountId,
        /// The layer that was asked for.
        arn: LayerVersionArn,
    },
    /// A function with a layer of another region; the region of this host.
    #[error(
        "Layers are not in the same region as the function. Layers are expected to be in region {0}."
    )]
    OtherRegion(Region),
    /// A function with two versions of one layer.
    #[error(
        "Two different versions of the same layer are not allowed to be referenced in the same function. \
         {0} and {1} are versions of the same layer."
    )]
    TwoVersions(LayerVersionArn, LayerVersionArn),
    /// Layers that are too large together.
    #[error("Layers consume more than the available size of {UNZIPPED_BYTES_MAX} bytes")]
    TooLarge,
    /// Layers that are too large together with the code.
    #[error(
        "Function code combined with layers exceeds the maximum allowed size of {UNZIPPED_BYTES_MAX} \
         bytes. The actual size is {0} bytes."
    )]
    TooLargeWithCode(u64),
}
