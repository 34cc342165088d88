//! `lamina delete`: deletes a function with its versions, aliases and URL, or one version.

use clap::Args;
use http::Method;
use serde_json::json;

use super::client::Client;
use super::function_argument::FunctionArgument;
use super::{Ended, Format, output};

/// Delete a function, or with :VERSION one version. Its log is kept.
#[derive(Args, Clone, Debug)]
pub(super) struct Delete {
    /// Function name or ARN, with an optional :VERSION.
    #[arg(value_parser = FunctionArgument::parse)]
    function: FunctionArgument,
}

impl Delete {
    pub(super) async fn run(self, client: &Client, format: Format) -> anyhow::Result<Ended> {
        let path = self.function.own_path();
        client.lambda(Method::DELETE, &path, None).await?;
        match format {
            Format::Text => output::note(&format!("{} is deleted", self.function.name)),
            Format::Json => output::line(&json!({"FunctionName": self.function.name}).to_string()),
        }
        Ok(Ended::Well)
    }
}
