//! Operation of CloudWatch Logs. Each parses its request into one target and into options that name
//! no other resource, so that the target authorized is the target read.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Fault;
use super::queries::Queries;
use super::target::Target;
use crate::clock::Clock;
use crate::names::Home;
use crate::telemetry::log::Logs;

/// Dependencies of operations.
#[derive(Debug)]
pub(super) struct Backend {
    pub(super) logs: Logs,
    pub(super) home: Home,
    pub(super) queries: Queries,
    pub(super) clock: Clock,
}

/// One operation, with the options of its request.
pub(super) trait Operation: Sized + Send + 'static {
    const NAME: &'static str;
    /// Members of the request. Unlisted members are ignored.
    type Request: DeserializeOwned;
    type Target: Target;

    fn parse(request: Self::Request, home: &Home) -> Result<(Self::Target, Self), Fault>;

    /// Executes the operation on the target; `Null` is an empty response. Blocks on the disk.
    fn answer(self, target: &Self::Target, backend: &Backend) -> Result<Value, Fault>;
}
