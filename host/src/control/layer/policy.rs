//! Resource policies of versions of layers: statements that are added and removed one by one.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{LayerError, LayerVersionRecord, put};
use crate::control::permission::PermissionError;
use crate::control::revision::{RevisionId, RevisionMismatch};
use crate::control::{Control, Error};
use crate::names::{AccountId, LayerName, LayerVersionArn};
use crate::store::Expect;

/// Maximum size of a policy document.
const POLICY_BYTES_MAX: usize = 20_480;
/// Only action that can be granted.
const ACTION: &str = "lambda:GetLayerVersion";

/// Policy of a layer version.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LayerPolicy {
    /// `RevisionId`.
    pub revision: RevisionId,
    /// The statements in the order they were added.
    pub statements: Vec<LayerStatement>,
}

/// Permission of a principal to use a version of a layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerStatement {
    /// Statement id.
    pub id: String,
    /// The principal.
    pub principal: Principal,
    /// Restricts the principal to this organisation.
    pub organization: Option<String>,
}

/// A principal that may use a version of a layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Principal {
    /// Everyone.
    Anyone,
    /// An account.
    Account(AccountId),
}

impl LayerPolicy {
    /// IAM policy document.
    pub fn document(&self, arn: &LayerVersionArn) -> String {
        let statements = self.statements.iter().map(|it| it.document(arn));
        json!({
            "Version": "2012-10-17",
            "Id": "default",
            "Statement": statements.collect::<Vec<_>>(),
        })
        .to_string()
    }
}

impl LayerStatement {
    /// IAM statement.
    pub fn document(&self, arn: &LayerVersionArn) -> Value {
        let principal = match &self.principal {
            Principal::Anyone => json!("*"),
            Principal::Account(account) => json!({"AWS": format!("arn:aws:iam::{account}:root")}),
        };
        let mut document = json!({
            "Sid": self.id,
            "Effect": "Allow",
            "Principal": principal,
            "Action": ACTION,
            "Resource": arn.to_string(),
        });
        if let Some(organization) = &self.organization {
            document["Condition"] = json!({"StringEquals": {"aws:PrincipalOrgID": organization}});
        }
        document
    }
}

impl Control {
    /// Adds a statement to the policy of a version of a layer. Returns the revision of the policy.
    ///
    /// # Errors
    /// Where there is no such version, it has a statement of this id, or its policy is in another state
    /// or would be too long.
    pub async fn add_layer_permission(
        &self,
        layer: &LayerName,
        version: u64,
        statement: LayerStatement,
        revision: Option<&str>,
    ) -> Result<RevisionId, Error> {
        let add = |old: Option<LayerPolicy>| {
            let (state, mut statements) = match old {
                Some(policy) => (Some(policy.revision), policy.statements),
                None => (None, Vec::new()),
            };
            if statements.iter().any(|it| it.id == statement.id) {
                return Err(PermissionError::StatementExists(statement.id.clone()).into());
            }
            expect(state.as_ref(), revision)?;
            statements.push(statement.clone());
            Ok(statements)
        };
        let changed = self.change_layer_policy(layer, version, add).await?;
        Ok(changed.expect("a statement was added to it").revision)
    }

    /// Removes a statement.
    ///
    /// # Errors
    /// Where there is no such version or statement, or the policy is in another state.
    pub async fn remove_layer_permission(
        &self,
        layer: &LayerName,
        version: u64,
        id: &str,
        revision: Option<&str>,
    ) -> Result<(), Error> {
        let remove = |old: Option<LayerPolicy>| {
            let mut policy = old.ok_or(PermissionError::NoPolicy)?;
            expect(Some(&policy.revision), revision)?;
            let before = policy.statements.len();
            policy.statements.retain(|statement| statement.id != id);
            if policy.statements.len() == before {
                return Err(PermissionError::StatementMissing(id.to_owned()).into());
            }
            Ok(policy.statements)
        };
        let changed = self.change_layer_policy(layer, version, remove).await;
        changed.map(drop)
    }

    /// Policy of a layer version.
    ///
    /// # Errors
    /// Where there is no such version, or it has no policy.
    pub async fn layer_policy(
        &self,
        layer: &LayerName,
        version: u64,
    ) -> Result<LayerPolicy, Error> {
        super::require_number(version)?;
        let found = self.load_layer_version(layer, version).await?;
        let (record, _) = found.ok_or_else(|| self.no_layer_version(layer, version))?;
        Ok(record.policy.ok_or(PermissionError::NoPolicy)?)
    }

    /// Replaces the statements of the current policy. An empty policy is deleted.
    async fn change_layer_policy(
        &self,
        layer: &LayerName,
        version: u64,
        apply: impl Fn(Option<LayerPolicy>) -> Result<Vec<LayerStatement>, Error>,
    ) -> Result<Option<LayerPolicy>, Error> {
        super::require_number(version)?;
        let apply = &apply;
        self.update(|| async move {
            let found = self.load_layer_version(layer, version).await?;
            let (mut record, read_at) =
                found.ok_or_else(|| self.no_layer_version(layer, version))?;
            let statements = apply(record.policy.take())?;
            let revision = RevisionId::new(&self.0.clock);
            let policy = LayerPolicy {
                revision,
                statements,
            };
            self.require_short(&record, &policy)?;
            record.policy = (!policy.statements.is_empty()).then_some(policy);
            let policy = record.policy.clone();
            Ok((vec![put(&record, Expect::Revision(read_at))], policy))
        })
        .await
    }

    fn require_short(
        &self,
        of: &LayerVersionRecord,
        policy: &LayerPolicy,
    ) -> Result<(), PermissionError> {
        let arn = self.home().layer_version_arn(&of.layer, of.version);
        let bytes = policy.document(&arn).len();
        if bytes <= POLICY_BYTES_MAX {
            return Ok(());
        }
        Err(PermissionError::TooLong {
            bytes,
            bytes_max: POLICY_BYTES_MAX,
        })
    }

    fn no_layer_version(&self, layer: &LayerName, version: u64) -> Error {
        let arn = self.home().layer_version_arn(layer, version);
        LayerError::NotFoundByArn(arn).into()
    }
}

/// Checks the expected revision.
fn expect(found: Option<&RevisionId>, wanted: Option<&str>) -> Result<(), RevisionMismatch> {
    match wanted {
        Some(wanted) if found.map(RevisionId::as_str) != Some(wanted) => Err(RevisionMismatch {
            reader: "GetLayerPolicy",
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statement_has_iam_form() {
        let arn = "arn:aws:lambda:us-east-2:123456789012:layer:l:3";
        let parsed = LayerVersionArn::parse(arn).unwrap();
        let statement = |principal, organization: Option<&str>| LayerStatement {
            id: "s".into(),
            principal,
            organization: organization.map(str::to_owned),
        };
        let account = Principal::Account(AccountId::parse("210987654321").unwrap());
        let cases = [
            (
                statement(account, None),
                r#"{"AWS":"arn:aws:iam::210987654321:root"}"#,
                "",
            ),
            (
                statement(Principal::Anyone, Some("o-t194hfs8cz")),
                r#""*""#,
                r#","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-t194hfs8cz"}}"#,
            ),
        ];
        for (statement, principal, condition) in cases {
            let expected = format!(
                r#"{{"Sid":"s","Effect":"Allow","Principal":{principal},"Action":"lambda:GetLayerVersion","Resource":"{arn}"{condition}}}"#
            );
            assert_eq!(statement.document(&parsed).to_string(), expected);
        }
    }
}
