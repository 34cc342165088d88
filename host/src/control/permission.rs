//! Resource policies of functions, versions and aliases, one for each at most. `crate::policy` evaluates them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::function::record;
use super::record::{decode, encode};
use super::revision::{RevisionId, RevisionMismatch};
use super::{Control, Error, kind};
use crate::invoke::Target;
use crate::names::{FunctionName, Qualifier};
use crate::store::{Expect, Key, Revision, Write};

mod document;
mod error;
mod statement;

pub use error::PermissionError;
pub use statement::Grant;

use document::{checked, empty, not_a_policy, statements};

/// The kind of the records of this resource. Their ids are `function/qualifier`, the qualifier empty
/// The stored record of a policy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PolicyRecord {
    /// The function.
    pub function: FunctionName,
    /// The version or alias it is for; None for the function as a whole.
    pub qualifier: Option<Qualifier>,
    /// The policy.
    pub document: Value,
    /// Names this state of the record.
    pub revision: RevisionId,
}

impl PolicyRecord {
    pub(super) fn key(&self) -> Key {
        key_of(&self.function, self.qualifier.as_ref())
    }
}

impl Control {
    /// Adds a statement to a policy, and makes the policy where there is none. Answers the
    /// statement.
    ///
    /// # Errors
    /// Where there is no such function, version or alias, its policy has another revision or a
    /// statement with this id, or the statement is not allowed.
    pub async fn add_permission(
        &self,
        target: &Target,
        grant: &Grant,
        revision: Option<&str>,
    ) -> Result<Value, Error> {
        let target = of_policy(target)?;
        let arn = self.home().arn_at(&target.name, target.qualifier.as_ref());
        self.change_policy(&target, revision, |found| {
            let statement = grant.statement(&arn)?;
            let mut document = found.map_or_else(empty, |record| record.document.clone());
            let statements = statements(&mut document);
            if statements.iter().any(|it| it["Sid"] == *grant.statement_id) {
                return Err(PermissionError::StatementExists(grant.statement_id.clone()).into());
            }
            statements.push(statement.clone());
            Ok((Some(checked(document)?), statement))
        })
        .await
        .map(|(statement, _)| statement)
    }

    /// Takes a statement out of a policy; with its last statement the policy is gone.
    ///
    /// # Errors
    /// Where there is no such policy or statement, or the policy has another revision.
    pub async fn remove_permission(
        &self,
        target: &Target,
        statement_id: &str,
        revision: Option<&str>,
    ) -> Result<(), Error> {
        if self.load(&target.name).await?.is_none() {
            let arn = self.home().function_arn(&target.name);
            return Err(PermissionError::NoPolicyOf(arn).into());
        }
        self.change_policy(&whole_if_latest(target), revision, |found| {
            let mut document = found.ok_or(PermissionError::NoPolicy)?.document.clone();
            let statements = statements(&mut document);
            let before = statements.len();
            statements.retain(|it| it["Sid"] != *statement_id);
            if statements.len() == before {
                return Err(PermissionError::StatementMissing(statement_id.to_owned()).into());
            }
            let left = !statements.is_empty();
            Ok((left.then_some(document), ()))
        })
        .await
        .map(drop)
    }

    /// The policy of a function, version or alias.
    ///
    /// # Errors
    /// Where there is none.
    pub async fn policy(&self, target: &Target) -> Result<PolicyRecord, Error> {
        // AWS does not look whether there is a function, a version or an alias that could have one.
        let target = whole_if_latest(target);
        let found = self.find_policy(&target).await?;
        let record = found.map(|(record, _)| record);
        Ok(record.ok_or(PermissionError::NotFound)?)
    }

    /// Makes a document the policy of a function, version or alias.
    ///
    /// # Errors
    /// Where the document is no policy or too large, there is no such function, version or alias,
    /// or its policy has another revision.
    pub async fn put_policy(
        &self,
        target: &Target,
        document: &str,
        revision: Option<&str>,
    ) -> Result<PolicyRecord, Error> {
        let target = of_policy(target)?;
        let document: Value = serde_json::from_str(document)
            .map_err(|error| not_a_policy(&format!("it is not JSON: {error}")))?;
        let document = checked(document)?;
        let put = |_: Option<&PolicyRecord>| Ok((Some(document.clone()), ()));
        let (_, record) = self.change_policy(&target, revision, put).await?;
        Ok(record.expect("a document was put"))
    }

    /// Deletes the policy of a function, version or alias.
    ///
    /// # Errors
    /// Where there is none, or it has another revision.
    pub async fn delete_policy(
        &self,
        target: &Target,
        revision: Option<&str>,
    ) -> Result<(), Error> {
        self.change_policy(&whole_if_latest(target), revision, |found| {
            found.ok_or(PermissionError::NoPolicy)?;
            Ok((None, ()))
        })
        .await
        .map(drop)
    }

    /// Applies a change to the newest state of a policy; None deletes it. Answers what the change
    /// answers, and the policy as it then is.
    async fn change_policy<T>(
        &self,
        target: &Target,
        revision: Option<&str>,
        change: impl Fn(Option<&PolicyRecord>) -> Result<(Option<Value>, T), Error>,
    ) -> Result<(T, Option<PolicyRecord>), Error> {
        let change = &change;
        self.update(|| async move {
            let own = self.load(&target.name).await?;
            let without = self.target_revision(target).await?;
            let own = own.ok_or_else(|| self.not_found(&target.name))?;
            let found = self.find_policy(target).await?;
            let (document, changed) = change(found.as_ref().map(|(record, _)| record))?;
            // Where there is no policy yet, its state is that of what it is for.
            let state = found
                .as_ref()
                .map_or(&without, |(record, _)| &record.revision);
            if revision.is_some_and(|wanted| wanted != state.as_str()) {
                return Err(RevisionMismatch {
                    reader: "GetPolicy",
                }
                .into());
            }
            let read_at = found.map(|(_, read_at)| read_at);
            let record = document.map(|document| PolicyRecord {
                function: target.name.clone(),
                qualifier: target.qualifier.clone(),
                document,
                revision: RevisionId::new(&self.0.clock),
            });
            // The function is written unchanged: a concurrent deletion would leave the policy to the next
            // function of this name.
            let function = record::put(&own.0, Expect::Revision(own.1));
            let batch = vec![function, write(target, record.as_ref(), read_at)];
            Ok((batch, (changed, record)))
        })
        .await
    }

    /// The revision of the function, version or alias itself.
    async fn target_revision(&self, target: &Target) -> Result<RevisionId, Error> {
        if let Some(Qualifier::Alias(alias)) = &target.qualifier {
            return Ok(self.alias(&target.name, alias).await?.revision);
        }
        let qualifier = target.qualifier.as_ref();
        let found = self.function_at(&target.name, qualifier).await?;
        Ok(found.version.revision)
    }

    async fn find_policy(
        &self,
        target: &Target,
    ) -> Result<Option<(PolicyRecord, Revision)>, Error> {
        let Some(record) = self.0.records.get(&key(target)).await? else {
            return Ok(None);
        };
        Ok(Some((decode(&record)?, record.revision)))
    }
}

/// The write that puts a policy or deletes it; `read_at` is the state that it replaces.
fn write(target: &Target, record: Option<&PolicyRecord>, read_at: Option<Revision>) -> Write {
    let key = key(target);
    let expect = read_at.map_or(Expect::Absent, Expect::Revision);
    match record {
        None => Write::Delete { key, expect },
        Some(record) => Write::Put {
            value: encode(record),
            key,
            expect,
        },
    }
}

/// AWS refuses policies for `$LATEST` alone.
fn of_policy(target: &Target) -> Result<Target, PermissionError> {
    match target.qualifier {
        Some(Qualifier::Latest) => Err(PermissionError::Latest),
        _ => Ok(target.clone()),
    }
}

/// The unpublished version has no policy but the function's.
fn whole_if_latest(target: &Target) -> Target {
    let qualifier = target.qualifier.clone();
    Target {
        name: target.name.clone(),
        qualifier: qualifier.filter(|it| *it != Qualifier::Latest),
    }
}

fn key(target: &Target) -> Key {
    key_of(&target.name, target.qualifier.as_ref())
}

fn key_of(name: &FunctionName, qualifier: Option<&Qualifier>) -> Key {
    let qualifier = qualifier.map(ToString::to_string).unwrap_or_default();
    Key {
        kind: kind::POLICY,
        id: format!("{name}/{qualifier}"),
    }
}
