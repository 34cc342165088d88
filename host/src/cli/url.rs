//! Function URLs of `deploy` and `dev`. Created only on request, and public only if named so.

use clap::ValueEnum;
use http::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{Client, FUNCTIONS, is_conflict, is_denied, is_missing};

/// Policy statements that make a URL public: one for the URL, one for the function behind it.
const CALL_STATEMENT: &str = "FunctionURLAllowPublicAccess";
const RUN_STATEMENT: &str = "FunctionURLAllowInvokeAction";

/// Access to a function URL.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(super) enum UrlAccess {
    /// No URL; an existing one is deleted.
    None,
    /// Signed requests with permission only.
    Iam,
    /// Anyone who can reach the host.
    Public,
}

/// URL of a deployed function.
#[derive(Clone, Debug)]
pub(super) struct Url {
    pub(super) address: String,
    /// `NONE` or `AWS_IAM`.
    pub(super) auth_type: String,
}

impl Url {
    /// True if callers need no signature. The function's policy applies all the same.
    pub(super) fn is_unsigned(&self) -> bool {
        self.auth_type == "NONE"
    }

    fn of(shown: &Value) -> Self {
        let text = |name: &str| shown[name].as_str().unwrap_or_default().to_owned();
        Self {
            address: text("FunctionUrl"),
            auth_type: text("AuthType"),
        }
    }
}

/// Creates, updates or deletes the URL. `None` leaves it unchanged.
pub(super) async fn apply(
    client: &Client,
    name: &str,
    wanted: Option<UrlAccess>,
) -> anyhow::Result<Option<Url>> {
    let path = format!("/2021-10-31/functions/{name}/url");
    match wanted {
        None => match client.lambda(Method::GET, &path, None).await {
            Err(error) if is_missing(&error) || is_denied(&error) => Ok(None),
            shown => Ok(Some(Url::of(&shown?))),
        },
        Some(UrlAccess::None) => {
            match client.lambda(Method::DELETE, &path, None).await {
                Err(error) if !is_missing(&error) => return Err(error),
                _ => {}
            }
            close(client, name).await?;
            Ok(None)
        }
        Some(UrlAccess::Iam) => {
            // Public access is revoked first, so that no unsigned request slips in between.
            close(client, name).await?;
            put(client, &path, "AWS_IAM").await.map(Some)
        }
        Some(UrlAccess::Public) => {
            let url = put(client, &path, "NONE").await?;
            open(client, name).await?;
            Ok(Some(url))
        }
    }
}

async fn put(client: &Client, path: &str, auth_type: &str) -> anyhow::Result<Url> {
    let config = json!({"AuthType": auth_type});
    let made = client.lambda(Method::POST, path, Some(&config)).await;
    let shown = match made {
        Err(error) if is_conflict(&error) => {
            client.lambda(Method::PUT, path, Some(&config)).await?
        }
        made => made?,
    };
    Ok(Url::of(&shown))
}

/// Adds the public policy statements, which AWS requires for auth type NONE.
async fn open(client: &Client, name: &str) -> anyhow::Result<()> {
    let path = format!("{FUNCTIONS}/{name}/policy");
    let call = json!({
        "StatementId": CALL_STATEMENT, "Principal": "*",
        "Action": "lambda:InvokeFunctionUrl", "FunctionUrlAuthType": "NONE",
    });
    let run = json!({
        "StatementId": RUN_STATEMENT, "Principal": "*",
        "Action": "lambda:InvokeFunction", "InvokedViaFunctionUrl": true,
    });
    for statement in [call, run] {
        match client.lambda(Method::POST, &path, Some(&statement)).await {
            Err(error) if !is_conflict(&error) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Removes the statements of [`open`].
async fn close(client: &Client, name: &str) -> anyhow::Result<()> {
    for statement in [CALL_STATEMENT, RUN_STATEMENT] {
        let path = format!("{FUNCTIONS}/{name}/policy/{statement}");
        match client.lambda(Method::DELETE, &path, None).await {
            Err(error) if !is_missing(&error) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
