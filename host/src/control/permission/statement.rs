//! Policy statement built from AddPermission's members.

use serde_json::{Map, Value, json};

use super::PermissionError as Error;
use crate::names::AccountId;
use crate::policy::is_principal_arn;

/// The members of AddPermission. The model has checked each of them alone.
#[derive(Clone, Debug, Default)]
pub struct Grant {
    /// `StatementId`.
    pub statement_id: String,
    /// `Action`.
    pub action: String,
    /// `Principal`.
    pub principal: String,
    /// `SourceArn`.
    pub source_arn: Option<String>,
    /// `SourceAccount`.
    pub source_account: Option<String>,
    /// `EventSourceToken`.
    pub event_source_token: Option<String>,
    /// `PrincipalOrgID`.
    pub principal_org_id: Option<String>,
    /// `FunctionUrlAuthType`.
    pub function_url_auth_type: Option<String>,
    /// `InvokedViaFunctionUrl`.
    pub invoked_via_function_url: Option<bool>,
}

impl Grant {
    /// Statement for a resource ARN.
    pub(super) fn statement(&self, resource: &str) -> Result<Value, Error> {
        self.require_fitting_action()?;
        let mut statement = json!({
            "Sid": self.statement_id,
            "Effect": "Allow",
            "Principal": principal(&self.principal)?,
            "Action": self.action,
            "Resource": resource,
        });
        let conditions = self.conditions();
        if !conditions.is_empty() {
            statement["Condition"] = conditions.into();
        }
        Ok(statement)
    }

    fn require_fitting_action(&self) -> Result<(), Error> {
        let only = |member, action| Err(Error::OtherAction { member, action });
        let (url, invoke) = ("lambda:InvokeFunctionUrl", "lambda:InvokeFunction");
        if self.function_url_auth_type.is_some() && self.action != url {
            return only("FunctionUrlAuthType", url);
        }
        if self.invoked_via_function_url.is_some() && self.action != invoke {
            return only("InvokedViaFunctionUrl", invoke);
        }
        Ok(())
    }

    fn conditions(&self) -> Map<String, Value> {
        let via_url = self.invoked_via_function_url.map(|it| it.to_string());
        let wanted = [
            (
                "StringEquals",
                "lambda:EventSourceToken",
                &self.event_source_token,
            ),
            ("StringEquals", "AWS:SourceAccount", &self.source_account),
            (
                "StringEquals",
                "lambda:FunctionUrlAuthType",
                &self.function_url_auth_type,
            ),
            ("StringEquals", "aws:PrincipalOrgID", &self.principal_org_id),
            ("Bool", "lambda:InvokedViaFunctionUrl", &via_url),
            ("ArnLike", "AWS:SourceArn", &self.source_arn),
        ];
        let mut conditions = Map::new();
        for (operator, key, value) in wanted {
            if let Some(value) = value {
                let keys = conditions.entry(operator).or_insert_with(|| json!({}));
                keys[key] = value.as_str().into();
            }
        }
        conditions
    }
}

/// Principal of AddPermission in policy form.
fn principal(text: &str) -> Result<Value, Error> {
    if text == "*" {
        return Ok("*".into());
    }
    if let Ok(account) = AccountId::parse(text) {
        return Ok(json!({"AWS": format!("arn:aws:iam::{account}:root")}));
    }
    if is_principal_arn(text) {
        return Ok(json!({"AWS": text}));
    }
    if is_service(text) {
        return Ok(json!({"Service": text}));
    }
    // AWS reads everything else as the name of a user or role, with the pattern for names.
    let named = |it: char| it.is_ascii_alphanumeric() || "_+=,.@-".contains(it);
    if text.chars().all(named) {
        return Err(Error::Principal);
    }
    Err(Error::PrincipalPattern(text.to_owned()))
}

/// Matches the form of service names. This host has no list of the services.
fn is_service(text: &str) -> bool {
    let suffixes = [".amazonaws.com", ".amazonaws.com.cn", ".amazon.com"];
    let name = suffixes.iter().find_map(|suffix| text.strip_suffix(suffix));
    let label = |label: &str| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty() && label.bytes().all(plain)
    };
    name.is_some_and(|name| name.split('.').all(label))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant() -> Grant {
        Grant {
            statement_id: "s".into(),
            action: "lambda:InvokeFunction".into(),
            principal: "s3.amazonaws.com".into(),
            ..Grant::default()
        }
    }

    #[test]
    fn statement_has_the_form_and_order_of_aws() {
        let text = |grant: Grant| grant.statement("arn:f").unwrap().to_string();
        assert_eq!(
            text(grant()),
            r#"{"Sid":"s","Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},"Action":"lambda:InvokeFunction","Resource":"arn:f"}"#
        );
        let all = text(Grant {
            source_arn: Some("arn:aws:s3:::b".into()),
            source_account: Some("123456789012".into()),
            event_source_token: Some("t".into()),
            principal_org_id: Some("o-1".into()),
            invoked_via_function_url: Some(true),
            ..grant()
        });
        assert!(
            all.ends_with(
                r#""Condition":{"StringEquals":{"lambda:EventSourceToken":"t","AWS:SourceAccount":"123456789012","aws:PrincipalOrgID":"o-1"},"Bool":{"lambda:InvokedViaFunctionUrl":"true"},"ArnLike":{"AWS:SourceArn":"arn:aws:s3:::b"}}}"#
            ),
            "{all}"
        );
        let url = text(Grant {
            action: "lambda:InvokeFunctionUrl".into(),
            source_account: Some("123456789012".into()),
            principal_org_id: Some("o-1".into()),
            function_url_auth_type: Some("NONE".into()),
            ..grant()
        });
        assert!(
            url.ends_with(
                r#"{"StringEquals":{"AWS:SourceAccount":"123456789012","lambda:FunctionUrlAuthType":"NONE","aws:PrincipalOrgID":"o-1"}}}"#
            ),
            "{url}"
        );
    }

    #[test]
    fn principal_has_the_form_of_its_kind() {
        let role = "arn:aws:iam::123456789012:role/path/r";
        for (text, expected) in [
            ("*", json!("*")),
            (
                "123456789012",
                json!({"AWS": "arn:aws:iam::123456789012:root"}),
            ),
            (role, json!({"AWS": role})),
            ("s3.amazonaws.com", json!({"Service": "s3.amazonaws.com"})),
            (
                "delivery.logs.amazonaws.com",
                json!({"Service": "delivery.logs.amazonaws.com"}),
            ),
            (
                "alexa-appkit.amazon.com",
                json!({"Service": "alexa-appkit.amazon.com"}),
            ),
        ] {
            assert_eq!(principal(text).unwrap(), expected, "{text}");
        }
        for text in [
            "amazonaws.com",
            "invalid.nonaws.com",
            ".amazonaws.com",
            "alice",
            "12345",
        ] {
            let refused = principal(text).unwrap_err().to_string();
            assert!(
                refused.starts_with("The provided principal was invalid."),
                "{text}"
            );
        }
        for text in [
            "arn:aws:iam:000000000000:role/x",
            "arn:aws:iam::123456789012:user/*",
            "a/b",
        ] {
            let refused = principal(text).unwrap_err().to_string();
            assert!(
                refused.starts_with(&format!("The provided input'{text}'was")),
                "{refused}"
            );
        }
    }

    #[test]
    fn members_for_function_urls_are_refused_with_other_actions() {
        let refused = |grant: Grant| grant.statement("arn:f").unwrap_err().to_string();
        let auth = Grant {
            function_url_auth_type: Some("NONE".into()),
            ..grant()
        };
        assert_eq!(
            refused(auth),
            "FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action"
        );
        let via = Grant {
            action: "lambda:InvokeFunctionUrl".into(),
            invoked_via_function_url: Some(true),
            ..grant()
        };
        assert_eq!(
            refused(via),
            "InvokedViaFunctionUrl is only supported for lambda:InvokeFunction action"
        );
    }
}
