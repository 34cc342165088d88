//! File descriptor limit, raised to the maximum. Shells set a soft limit for small programs; a host
//! needs descriptors for every environment and connection.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::server;

/// Per environment: package directory and `/tmp`.
const PER_ENVIRONMENT: u64 = 2;
/// Host's own: records, logs, listeners.
const OWN: u64 = 64;

/// Raises the soft limit to the hard limit, and warns if that is too low.
pub(super) fn raise(environments: u32) {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let descriptors = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::warn!(%error, "the limit on open files could not be raised");
            limit.current
        }
    };
    let connections = server::Config::default().connections_max;
    let needed = needed_by(environments);
    if let Some(descriptors) = descriptors.filter(|it| *it < needed) {
        tracing::warn!(
            descriptors,
            needed,
            "this process may not open enough files for limits.environments = {environments} and \
             {connections} connections: when they run out, callers get status 429 or wait. \
             Raise the hard limit on open files (ulimit -Hn, LimitNOFILE=)"
        );
    }
}

/// Descriptors of a host with this many environments.
pub(super) fn needed_by(environments: u32) -> u64 {
    let connections = server::Config::default().connections_max;
    let connections = u64::try_from(connections).unwrap_or(u64::MAX);
    (u64::from(environments) * PER_ENVIRONMENT)
        .saturating_add(connections)
        .saturating_add(OWN)
}
