//! Requests to CloudWatch Logs, parsed by the operation that they name, then authorized, then answered.

use std::fmt;

use super::operation::{Backend, Document, Operation};
use super::target::{Judge, Target};
use super::{Fault, delete, describe, events, insights, retention};
use crate::names::Home;

type Handler = Box<dyn FnOnce(&Backend) -> Result<Document, Fault> + Send>;
type Authorization = Box<dyn FnOnce(&Backend, &mut Judge<'_>) -> Result<Handler, Fault> + Send>;

/// A parsed, not yet authorized request.
pub(super) struct Demanded {
    action: String,
    authorization: Authorization,
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
            insights::results::GetQueryResults::NAME => {
                Self::of::<insights::results::GetQueryResults>(body, home)
            }
            insights::results::StopQuery::NAME => {
                Self::of::<insights::results::StopQuery>(body, home)
            }
            insights::results::DescribeQueries::NAME => {
                Self::of::<insights::results::DescribeQueries>(body, home)
            }
            _ => {
                let text = format!("This host does not offer {operation} yet.");
                Err(Fault::new("UnknownOperationException", text))
            }
        }
    }

    fn of<O: Operation>(body: &[u8], home: &Home) -> Result<Self, Fault> {
        let request = serde_json::from_slice(body)
            .map_err(|error| Fault::new("SerializationException", error.to_string()))?;
        let (mut target, operation) = O::parse(request, home)?;
        let action = format!("logs:{}", O::NAME);
        let authorization: Authorization = Box::new({
            let action = action.clone();
            move |backend, judge| {
                target.permit(&action, &backend.home, &backend.queries, judge)?;
                let answer: Handler =
                    Box::new(move |backend| operation.answer(&target, backend).map(Into::into));
                Ok(answer)
            }
        });
        Ok(Self {
            action,
            authorization,
        })
    }

    /// Authorizes the action on each resource of the target.
    pub(super) fn permitted_by(
        self,
        backend: &Backend,
        mut judge: impl FnMut(&str, &str) -> Result<(), Fault>,
    ) -> Result<Permitted, Fault> {
        (self.authorization)(backend, &mut judge).map(Permitted)
    }
}

impl Permitted {
    /// Executes the request. Blocks on the disk.
    pub(super) fn answer(self, backend: &Backend) -> Result<Document, Fault> {
        (self.0)(backend)
    }
}

impl fmt::Debug for Demanded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Demanded")
            .field("action", &self.action)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Permitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permitted")
    }
}
