//! `DestinationConfig` on the wire. `control` says which destinations are allowed.

use super::wire;
use crate::invoke::snapshot::destination::{Destinations, End};

/// The destinations of a request.
pub(super) fn chosen(config: wire::DestinationConfig) -> Destinations {
    Destinations {
        on_success: config.on_success.map(|it| End {
            destination: it.destination,
        }),
        on_failure: config.on_failure.map(|it| End {
            destination: it.destination,
        }),
    }
}

/// Both ends, empty where nothing goes.
pub(super) fn shown(destinations: &Destinations) -> wire::DestinationConfig {
    wire::DestinationConfig {
        on_success: Some(wire::OnSuccess {
            destination: destinations.success().map(Into::into),
        }),
        on_failure: Some(on_failure(destinations)),
    }
}

/// The end of failures, empty where nothing goes.
pub(super) fn on_failure(destinations: &Destinations) -> wire::OnFailure {
    wire::OnFailure {
        destination: destinations.failure().map(Into::into),
    }
}
