//! Commands that call the functions of `lamina dev`, for the user to paste.

use crate::cli::access::ANY_KEY;
use crate::cli::deploy::Deployed;
use crate::cli::url::Url;
use crate::cli::{Access, output};

/// Prints URLs and example commands. Configured secrets are left out, because terminals are shared and
/// recorded.
pub(super) fn introduce(access: &Access, deployed: &[Deployed]) {
    for function in deployed {
        let Some(url) = &function.url else { continue };
        let name = match deployed {
            [_] => String::new(),
            _ => format!("  {}", function.name),
        };
        output::line(&format!("\n{}{name}  {}", output::bold("URL"), url.address));
        if url.is_unsigned() {
            output::line(&format!("\n  curl {}", url.address));
        }
    }
    let Some(first) = deployed.first() else {
        return;
    };
    let (name, endpoint) = (&first.name, &access.endpoint_url);
    output::line(&format!(
        "\n  {} \\\n  \
         aws lambda invoke --endpoint-url {endpoint} --function-name {name} /dev/stdout\n",
        variables(access)
    ));
    if access.secret_access_key != ANY_KEY {
        let key = &access.access_key_id;
        output::note(&format!(
            "to use it, export the secret of {key}, which is in the host's configuration"
        ));
    }
    let public = deployed
        .iter()
        .find(|it| it.url.as_ref().is_some_and(Url::is_unsigned));
    public.iter().for_each(|it| it.warn_if_public());
}

fn variables(access: &Access) -> String {
    let secret = |own: &'static str, value: &str| match value == ANY_KEY {
        true => value.to_owned(),
        false => format!("\"${own}\""),
    };
    let mut all = vec![
        format!("AWS_ACCESS_KEY_ID={}", quoted(&access.access_key_id)),
        format!(
            "AWS_SECRET_ACCESS_KEY={}",
            secret("AWS_SECRET_ACCESS_KEY", &access.secret_access_key)
        ),
    ];
    if access.session_token.is_some() {
        all.push("AWS_SESSION_TOKEN=\"$AWS_SESSION_TOKEN\"".to_owned());
    }
    all.push(format!("AWS_DEFAULT_REGION={}", quoted(&access.region)));
    all.join(" ")
}

/// Quotes a value as one shell word.
fn quoted(value: &str) -> String {
    let plain = |it: char| it.is_ascii_alphanumeric() || "-_/+=.,:@".contains(it);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_value_is_one_shell_word() {
        assert_eq!(quoted("aB+/=9"), "aB+/=9");
        assert_eq!(quoted("it's $x"), r"'it'\''s $x'");
    }
}
