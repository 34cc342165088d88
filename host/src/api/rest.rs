//! The AWS Lambda API: one dispatch over the closed set of operations. Each resource has a file that
//! parses its requests, asks `control`, and shapes the answers.

use bytes::Bytes;
use http::request::Parts;
use http::{Method, StatusCode};

use super::{Front, Reply, read_body};
use crate::names::RequestId;
use crate::units::{PAYLOAD_BYTES_MAX, REQUEST_BYTES_MAX};

mod alias;
mod behaviour;
mod concurrency;
mod error;
mod function;
mod function_url;
mod invoke;
mod origin;
pub mod sigv4;
mod target;
mod version;
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

    /// Refuses, in this order: what is no operation, who may not call it, what is too large.
    async fn accept<B>(&self, request_id: RequestId, parts: Parts, body: B) -> Result<Call, Fault>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let route = wire::route(&parts.method, parts.uri.path(), parts.uri.query())
            .map_err(|error| unroutable(&parts.method, parts.uri.path(), &error))?;
        let claim = match &self.verifier {
            Some(verifier) => Some(verifier.parse(&parts, "lambda").map_err(refused)?),
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
        if let Some(claim) = claim {
            claim.check(&body).map_err(refused)?;
        }
        Ok(Call {
            route,
            parts,
            body,
            request_id,
        })
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
            Operation::PublishVersion => self.publish_version(&call).await,
            Operation::ListVersionsByFunction => self.list_versions_by_function(&call).await,
            Operation::CreateAlias => self.create_alias(&call).await,
            Operation::GetAlias => self.get_alias(&call).await,
            Operation::UpdateAlias => self.update_alias(&call).await,
            Operation::DeleteAlias => self.delete_alias(&call).await,
            Operation::ListAliases => self.list_aliases(&call).await,
            Operation::PutFunctionConcurrency => self.put_function_concurrency(&call).await,
            Operation::GetFunctionConcurrency => self.get_function_concurrency(&call).await,
            Operation::DeleteFunctionConcurrency => self.delete_function_concurrency(&call).await,
            Operation::PutProvisionedConcurrencyConfig => {
                self.put_provisioned_concurrency_config(&call).await
            }
            Operation::GetProvisionedConcurrencyConfig => {
                self.get_provisioned_concurrency_config(&call).await
            }
            Operation::ListProvisionedConcurrencyConfigs => {
                self.list_provisioned_concurrency_configs(&call).await
            }
            Operation::DeleteProvisionedConcurrencyConfig => {
                self.delete_provisioned_concurrency_config(&call).await
            }
            Operation::GetAccountSettings => self.get_account_settings(&call).await,
            Operation::GetFunctionRecursionConfig => {
                self.get_function_recursion_config(&call).await
            }
            Operation::PutFunctionRecursionConfig => {
                self.put_function_recursion_config(&call).await
            }
            Operation::GetRuntimeManagementConfig => {
                self.get_runtime_management_config(&call).await
            }
            Operation::PutRuntimeManagementConfig => {
                self.put_runtime_management_config(&call).await
            }
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
