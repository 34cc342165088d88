//! Operation of CloudWatch Logs. Each parses its request into one target and into options that name
//! no other resource, so that the target authorized is the target read.

use std::sync::Arc;

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
    /// Access key of the caller; `None` on a host without keys.
    pub(super) key: Option<Arc<str>>,
    pub(super) clock: Clock,
}

/// Body of a response.
#[derive(Debug)]
pub(super) struct Document(pub(super) String);

impl From<Value> for Document {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self(String::new()),
            value => Self(value.to_string()),
        }
    }
}

/// One operation, with the options of its request.
pub(super) trait Operation: Sized + Send + 'static {
    const NAME: &'static str;
    /// Members of the request. Unlisted members are ignored.
    type Request: DeserializeOwned;
    type Target: Target;
    /// A JSON document, `Null` for an empty response, or a document that is text already.
    type Answer: Into<Document>;

    /// Parses what authorization needs. Anything that takes long belongs in `answer`: the caller may have no permission.
    fn parse(request: Self::Request, home: &Home) -> Result<(Self::Target, Self), Fault>;

    /// Executes the operation on the target. Blocks on the disk.
    fn answer(self, target: &Self::Target, backend: &Backend) -> Result<Self::Answer, Fault>;
}
