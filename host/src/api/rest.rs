//! The AWS Lambda API: one dispatch over the closed set of operations. Each resource has a file that
//! parses its requests, asks `control`, and shapes the answers.

use bytes::Bytes;
use http::request::Parts;
use http::{Method, StatusCode};

use super::{Front, Reply, read_body};
use crate::names::RequestId;
use crate::units::{PAYLOAD_BYTES_MAX, REQUEST_BYTES_MAX};

mod authorize;
mod error;
mod function;
mod function_url;
mod invoke;
mod permission;
pub mod sigv4;
mod tags;
mod target;
pub mod wire;

use wire::{ErrorShape, Fault, Operation, Route, RouteError};

/// A request whose operation is known and whose caller is accepted.
struct Call {
    route: Route,
    parts: Parts,
    body: Bytes,
    request_id: RequestId,
}

impl Call {
    fn render(&self, output: impl wire::Output) -> Reply {
        wire::render(self.route.operation(), output)
    }

    /// The values that the query gives a name.
    fn query_all(&self, name: &str) -> Vec<String> {
        wire::query_values(self.parts.uri.query(), name)
    }

    /// The first of them. Whoever decides by a member of the query takes it from here, so that all
    /// decide by the same one.
    fn query(&self, name: &str) -> Option<String> {
        self.query_all(name).into_iter().next()
    }

    fn parse<T: wire::Input>(&self) -> Result<T, Fault> {
        let query = self.parts.uri.query();
        Ok(wire::parse(
            &self.route,
            query,
            &self.parts.headers,
            &self.body,
        )?)
    }
}

impl Front {
    pub(super) async fn serve_rest<B>(&self, request_id: RequestId, parts: Parts, body: B) -> Reply
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let answered = match self.accept(request_id, parts, body).await {
            Ok(call) => self.dispatch(call).await,
            Err(fault) => Err(fault),
        };
        answered.unwrap_or_else(|fault| fault.into_response(&request_id))
    }

    /// Refuses, in this order: what is no operation, who is not known, what is too large, who may not
    /// call it.
    async fn accept<B>(&self, request_id: RequestId, parts: Parts, body: B) -> Result<Call, Fault>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let route = wire::route(&parts.method, parts.uri.path(), parts.uri.query())
            .map_err(|error| unroutable(&parts.method, parts.uri.path(), &error))?;
        let signed = match &self.access {
            Some(access) => Some(access.parse(&parts, "lambda").map_err(refused)?),
            None => None,
        };
        let bytes_max = match route.operation() {
            Operation::Invoke => PAYLOAD_BYTES_MAX,
            _ => REQUEST_BYTES_MAX,
        };
        let name = route.operation().name();
        let body = read_body(body, bytes_max)
            .await
            .map_err(|it| error::of_body(&it, name))?;
        let caller = signed.map(|signed| signed.check(&body)).transpose();
        let caller = caller.map_err(refused)?;
        let call = Call {
            route,
            parts,
            body,
            request_id,
        };
        if let Some(caller) = caller {
            self.authorize(caller, &call)?;
        }
        Ok(call)
    }

    async fn dispatch(&self, call: Call) -> Result<Reply, Fault> {
        match call.route.operation() {
            Operation::Invoke => self.invoke(call).await,
            Operation::CreateFunction => self.create_function(&call).await,
            Operation::GetFunction => self.get_function(&call).await,
            Operation::GetFunctionConfiguration => self.get_function_configuration(&call).await,
            Operation::ListFunctions => self.list_functions(&call).await,
            Operation::UpdateFunctionCode => self.update_function_code(&call).await,
            Operation::UpdateFunctionConfiguration => {
                self.update_function_configuration(&call).await
            }
            Operation::DeleteFunction => self.delete_function(&call).await,
            Operation::CreateFunctionUrlConfig => self.create_function_url_config(&call).await,
            Operation::GetFunctionUrlConfig => self.get_function_url_config(&call).await,
            Operation::UpdateFunctionUrlConfig => self.update_function_url_config(&call).await,
            Operation::DeleteFunctionUrlConfig => self.delete_function_url_config(&call).await,
            Operation::ListFunctionUrlConfigs => self.list_function_url_configs(&call).await,
            Operation::AddPermission => self.add_permission(&call).await,
            Operation::RemovePermission => self.remove_permission(&call).await,
            Operation::GetPolicy => self.get_policy(&call).await,
            Operation::PutResourcePolicy => self.put_resource_policy(&call).await,
            Operation::GetResourcePolicy => self.get_resource_policy(&call).await,
            Operation::DeleteResourcePolicy => self.delete_resource_policy(&call).await,
            Operation::TagResource => self.tag_resource(&call).await,
            Operation::UntagResource => self.untag_resource(&call).await,
            Operation::ListTags => self.list_tags(&call).await,
            operation => Err(unbuilt(operation)),
        }
    }
}

fn unbuilt(operation: Operation) -> Fault {
    let text = format!("This host does not offer {} yet.", operation.name());
    Fault::new(ErrorShape::NotImplementedException, text)
}

fn unroutable(method: &Method, path: &str, error: &RouteError) -> Fault {
    match error {
        RouteError::UnknownPath => {
            let text = format!("There is no operation at {path}.");
            Fault::new(ErrorShape::UnknownOperationException, text)
        }
        RouteError::WrongMethod { allowed } => {
            let allowed: Vec<&str> = allowed.iter().map(Method::as_str).collect();
            let allowed = allowed.join(", ");
            let text = format!("{method} is not allowed at {path}. Allowed: {allowed}.");
            Fault::new(ErrorShape::MethodNotAllowedException, text)
        }
    }
}

fn refused(error: sigv4::Error) -> Fault {
    Fault::new(error.shape(), error.to_string())
}

/// An answer without a body.
fn no_content() -> Reply {
    let mut reply = Reply::default();
    *reply.status_mut() = StatusCode::NO_CONTENT;
    reply
}
