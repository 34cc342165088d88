//! Function URLs of `deploy` and `dev`: made only where they are asked for, and public only where that is asked
//! for by name.

use clap::ValueEnum;
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{Client, is_conflict, is_denied, is_missing};
use super::deploy::FUNCTIONS;

/// The statements that let everyone call a URL, and run the function through it.
const CALL_STATEMENT: &str = "FunctionURLAllowPublicAccess";
const RUN_STATEMENT: &str = "FunctionURLAllowInvokeAction";

/// The callers of a function's URL.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(super) enum UrlAccess {
    /// No URL; one that is there is deleted.
    None,
    /// Callers that sign their requests and have the permission.
    Iam,
    /// Everyone who reaches the host.
    Public,
}

/// The URL of a function that is deployed.
#[derive(Clone, Debug)]
pub(super) struct Url {
    pub(super) address: String,
    /// `NONE` or `AWS_IAM`.
    pub(super) auth_type: String,
}

impl Url {
    /// Callers need no signature. The function's policy has a say too.
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

/// Makes, changes or deletes the URL of a function. Without a wish, the URL stays as it is.
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
            // First, so that nobody gets in who does not sign.
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

/// Lets everyone in. Where the host has keys, a URL that needs no signature needs this.
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

/// Takes back what [`open`] allowed.
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
