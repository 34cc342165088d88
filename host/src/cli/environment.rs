//! Settings of AWS's services from the process environment, for those that `lamina.toml` lacks; variable names are
//! AWS's. Only `start` and `dev` read them.

use crate::config::{Aws, Config, S3};

/// Fills in missing settings. Access key and secret come from one source, because a mixed pair
/// never matches.
pub(super) fn complete(config: &mut Config, variable: impl Fn(&str) -> Option<String>) {
    complete_s3(&mut config.s3, &variable);
    complete_aws(&mut config.aws, &variable);
}

fn complete_aws(aws: &mut Aws, variable: impl Fn(&str) -> Option<String>) {
    let given = |name: &str| variable(name).filter(|value| !value.is_empty());
    for (endpoint, name) in [
        (&mut aws.endpoint, "AWS_ENDPOINT_URL"),
        (&mut aws.endpoint_sqs, "AWS_ENDPOINT_URL_SQS"),
        (&mut aws.endpoint_sns, "AWS_ENDPOINT_URL_SNS"),
        (
            &mut aws.endpoint_eventbridge,
            "AWS_ENDPOINT_URL_EVENTBRIDGE",
        ),
        (&mut aws.endpoint_kinesis, "AWS_ENDPOINT_URL_KINESIS"),
        (
            &mut aws.endpoint_dynamodb_streams,
            "AWS_ENDPOINT_URL_DYNAMODB_STREAMS",
        ),
    ] {
        if endpoint.is_none() {
            *endpoint = given(name);
        }
    }
    let has_keys = aws.access_key_id.is_some() || aws.secret_access_key.is_some();
    let keys = given("AWS_ACCESS_KEY_ID").zip(given("AWS_SECRET_ACCESS_KEY"));
    if let (false, Some((id, secret))) = (has_keys, keys) {
        aws.access_key_id = Some(id);
        aws.secret_access_key = Some(secret);
        aws.session_token = given("AWS_SESSION_TOKEN");
    }
}

fn complete_s3(s3: &mut S3, variable: impl Fn(&str) -> Option<String>) {
    let given = |name: &str| variable(name).filter(|value| !value.is_empty());
    let first = |names: [&str; 2]| names.into_iter().find_map(given);
    if s3.endpoint.is_none() {
        s3.endpoint = first(["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]);
    }
    if s3.region.is_none() {
        s3.region = first(["AWS_REGION", "AWS_DEFAULT_REGION"]);
    }
    let has_keys = s3.access_key_id.is_some() || s3.secret_access_key.is_some();
    let keys = given("AWS_ACCESS_KEY_ID").zip(given("AWS_SECRET_ACCESS_KEY"));
    if let (false, Some((id, secret))) = (has_keys, keys) {
        s3.access_key_id = Some(id);
        s3.secret_access_key = Some(secret);
        s3.session_token = given("AWS_SESSION_TOKEN");
    }
}

/// Environment variable of this process; `None` if it is not UTF-8.
#[expect(
    clippy::disallowed_methods,
    reason = "AWS's tools are configured by environment variables"
)]
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(mut s3: S3, variables: &[(&str, &str)]) -> S3 {
        complete_s3(&mut s3, |name| {
            let found = variables.iter().find(|(it, _)| *it == name);
            found.map(|(_, value)| (*value).to_owned())
        });
        s3
    }

    #[test]
    fn environment_fills_in_missing_settings() {
        let all = [
            ("AWS_ENDPOINT_URL_S3", "http://s3"),
            ("AWS_ENDPOINT_URL", "http://all"),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_DEFAULT_REGION", "eu-west-2"),
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_SESSION_TOKEN", "token"),
        ];
        let filled = completed(S3::default(), &all);
        assert_eq!(filled.endpoint.as_deref(), Some("http://s3"));
        assert_eq!(filled.region.as_deref(), Some("eu-west-1"));
        assert_eq!(filled.access_key_id.as_deref(), Some("id"));
        assert_eq!(filled.secret_access_key.as_deref(), Some("secret"));
        assert_eq!(filled.session_token.as_deref(), Some("token"));
        let file = S3 {
            endpoint: Some("http://file".into()),
            access_key_id: Some("file".into()),
            secret_access_key: Some("hidden".into()),
            ..S3::default()
        };
        let kept = completed(file, &all);
        assert_eq!(kept.endpoint.as_deref(), Some("http://file"));
        assert_eq!(kept.access_key_id.as_deref(), Some("file"));
        assert_eq!(kept.session_token, None, "a token belongs to its keys");
    }

    #[test]
    fn environment_fills_in_endpoints_by_service() {
        let mut aws = Aws {
            endpoint_sqs: Some("http://file".into()),
            ..Aws::default()
        };
        complete_aws(&mut aws, |name| match name {
            "AWS_ENDPOINT_URL" => Some("http://all".into()),
            "AWS_ENDPOINT_URL_SQS" | "AWS_ENDPOINT_URL_SNS" => Some("http://own".into()),
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("key".into()),
            _ => None,
        });
        assert_eq!(aws.endpoint.as_deref(), Some("http://all"));
        assert_eq!(aws.endpoint_sqs.as_deref(), Some("http://file"));
        assert_eq!(aws.endpoint_sns.as_deref(), Some("http://own"));
        assert_eq!(aws.endpoint_eventbridge, None);
        assert_eq!(aws.secret_access_key.as_deref(), Some("key"));
    }

    #[test]
    fn empty_variable_or_half_a_key_is_ignored() {
        let filled = completed(
            S3::default(),
            &[
                ("AWS_ENDPOINT_URL_S3", ""),
                ("AWS_ENDPOINT_URL", "http://all"),
                ("AWS_ACCESS_KEY_ID", "id"),
                ("AWS_SECRET_ACCESS_KEY", ""),
            ],
        );
        assert_eq!(filled.endpoint.as_deref(), Some("http://all"));
        assert_eq!(filled.access_key_id, None);
    }
}
