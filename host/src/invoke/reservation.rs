//! A permit without its invocation. `reserve` makes it.

use std::sync::Arc;

use super::admit::Permit;
use super::live::Deployment;
use super::snapshot::Version;

/// Permit for an invocation of one version.
#[derive(Debug)]
pub struct Reservation {
    pub(super) version: Arc<Version>,
    pub(super) deployment: Arc<Deployment>,
    pub(super) permit: Permit,
}
