//! Requests to CloudWatch Logs, parsed by the operation that they name, then authorized, then answered.

use std::fmt;

use serde_json::Value;

use super::operation::{Backend, Operation};
use super::target::Target;
use super::{Fault, delete, describe, events, insights, retention};
use crate::names::Home;

type Handler = Box<dyn FnOnce(&Backend) -> Result<Value, Fault> + Send>;

/// A parsed, not yet authorized request.
pub(super) struct Demanded {
    action: String,
    resources: Vec<String>,
    answer: Handler,
}

/// An authorized request.
pub(super) struct Permitted(Handler);

impl Demanded {
    /// Parses a request of the named operation.
    pub(super) fn parse(operation: &str, body: &[u8], home: &Home) -> Result<Self, Fault> {
        match operation {
            events::FilterLogEvents::NAME => Self::of::<events::FilterLogEvents>(body, home),
            events::GetLogEvents::NAME => Self::of::<events::GetLogEvents>(body, home),
            describe::DescribeLogGroups::NAME => {
                Self::of::<describe::DescribeLogGroups>(body, home)
            }
            describe::DescribeLogStreams::NAME => {
                Self::of::<describe::DescribeLogStreams>(body, home)
            }
            delete::DeleteLogGroup::NAME => Self::of::<delete::DeleteLogGroup>(body, home),
            delete::DeleteLogStream::NAME => Self::of::<delete::DeleteLogStream>(body, home),
            retention::PutRetentionPolicy::NAME => {
                Self::of::<retention::PutRetentionPolicy>(body, home)
            }
            retention::DeleteRetentionPolicy::NAME => {
                Self::of::<retention::DeleteRetentionPolicy>(body, home)
            }
            insights::StartQuery::NAME => Self::of::<insights::StartQuery>(body, home),
            insights::GetQueryResults::NAME => Self::of::<insights::GetQueryResults>(body, home),
            insights::StopQuery::NAME => Self::of::<insights::StopQuery>(body, home),
            insights::DescribeQueries::NAME => Self::of::<insights::DescribeQueries>(body, home),
            _ => {
                let text = format!("This host does not offer {operation} yet.");
                Err(Fault::new("UnknownOperationException", text))
            }
        }
    }

    fn of<O: Operation>(body: &[u8], home: &Home) -> Result<Self, Fault> {
        let request = serde_json::from_slice(body)
            .map_err(|error| Fault::new("SerializationException", error.to_string()))?;
        let (target, operation) = O::parse(request, home)?;
        Ok(Self {
            action: format!("logs:{}", O::NAME),
            resources: target.arns(home),
            answer: Box::new(move |backend| operation.answer(&target, backend)),
        })
    }

    /// Authorizes the action on each resource of the target.
    pub(super) fn permitted_by(
        self,
        mut judge: impl FnMut(&str, &str) -> Result<(), Fault>,
    ) -> Result<Permitted, Fault> {
        for resource in &self.resources {
            judge(&self.action, resource)?;
        }
        Ok(Permitted(self.answer))
    }
}

impl Permitted {
    /// Executes the request. Blocks on the disk.
    pub(super) fn answer(self, backend: &Backend) -> Result<Value, Fault> {
        (self.0)(backend)
    }
}

impl fmt::Debug for Demanded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Demanded")
            .field("action", &self.action)
            .field("resources", &self.resources)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Permitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permitted")
    }
}
