//! Reason of the start of an environment, in the terms of `AWS_LAMBDA_INITIALIZATION_TYPE`.

/// Reason for which an environment is opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Initialization {
    OnDemand,
    Provisioned,
    /// On demand, after the guest before it ended.
    Again,
}

impl Initialization {
    /// AWS's name of it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::OnDemand | Self::Again => "on-demand",
            Self::Provisioned => "provisioned-concurrency",
        }
    }
}
