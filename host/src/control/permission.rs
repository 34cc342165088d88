//! Resource policies: who may do what with a function, a version or an alias. Each has one policy at
//! most. What a policy means, `policy` knows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::record::{decode, encode};
use super::revision::RevisionId;
use super::{Control, Error, function};
use crate::invoke::Target;
use crate::invoke::snapshot::Snapshot;
use crate::names::{FunctionName, Qualifier};
use crate::policy::{self, Attached, Policy};
use crate::store::{self, Expect, Key, Revision, Write};

mod statement;

pub use statement::Grant;

/// The kind of the records of this resource. Their ids are `function/qualifier`, the qualifier empty
/// for the function as a whole.
pub(super) const KIND: &str = "policy";

/// How often a change is tried again that another one got ahead of.
const ATTEMPTS_MAX: usize = 16;

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
        let arn = self.arn_of(&target);
        self.change_policy(&target, revision, |found| {
            let statement = grant.statement(&arn)?;
            let mut document = found.map_or_else(empty, |record| record.document.clone());
            let statements = statements(&mut document);
            if statements.iter().any(|it| it["Sid"] == *grant.statement_id) {
                return Err(Error::Conflict(format!(
                    "The statement id ({}) provided already exists. Please provide a new statement \
                     id, or remove the existing statement.",
                    grant.statement_id
                )));
            }
            statements.push(statement.clone());
            Ok((Some(checked(document)?), statement))
        })
        .await
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
            return Err(Error::NotFound(format!("No policy found for: {arn}")));
        }
        self.change_policy(&whole_if_latest(target), revision, |found| {
            let mut document = found.ok_or_else(no_policy)?.document.clone();
            let statements = statements(&mut document);
            let before = statements.len();
            statements.retain(|it| it["Sid"] != *statement_id);
            if statements.len() == before {
                return Err(Error::NotFound(format!(
                    "Statement {statement_id} is not found in resource policy."
                )));
            }
            let left = !statements.is_empty();
            Ok((left.then_some(document), ()))
        })
        .await
    }

    /// The policy of a function, version or alias.
    ///
    /// # Errors
    /// Where there is none.
    pub async fn policy(&self, target: &Target) -> Result<PolicyRecord, Error> {
        let target = whole_if_latest(target);
        self.require_target(&target).await?;
        let missing = || Error::NotFound("The resource you requested does not exist.".to_owned());
        let found = self.find_policy(&target).await?;
        found.map(|(record, _)| record).ok_or_else(missing)
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
        self.change_policy(&target, revision, |_| Ok((Some(document.clone()), ())))
            .await?;
        self.policy(&target).await
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
            found.ok_or_else(no_policy)?;
            Ok((None, ()))
        })
        .await
    }

    /// What deletes the policy of a version or an alias that is itself deleted. The data plane is
    /// told by [`publish_policies`](Self::publish_policies).
    #[expect(dead_code, reason = "versions and aliases cannot be deleted yet")]
    pub(super) fn policy_deletion(name: &FunctionName, qualifier: &Qualifier) -> Write {
        let target = Target {
            name: name.clone(),
            qualifier: Some(qualifier.clone()),
        };
        Write::Delete {
            key: key(&target),
            expect: Expect::Any,
        }
    }

    /// Makes the data plane see the policies of a function.
    pub(super) async fn publish_policies(&self, name: &FunctionName) -> Result<(), Error> {
        let turn = self.0.turns.acquire().await;
        let _turn = turn.expect("the semaphore is never closed");
        let records = self.children(KIND, &format!("{name}/")).await?;
        let attached = attached(records)?;
        self.0.snapshot.send_modify(|current| {
            let mut next = Snapshot::clone(current);
            // A function that is gone has taken its policies along.
            if next.function(name).is_some() {
                next.set_policies(name, attached);
            }
            *current = next.into();
        });
        Ok(())
    }

    /// The policies of every function.
    pub(super) async fn all_policies(&self) -> Result<BTreeMap<FunctionName, Attached>, Error> {
        let mut records: BTreeMap<FunctionName, Vec<PolicyRecord>> = BTreeMap::new();
        self.each(KIND, |record| {
            let record: PolicyRecord = decode(record)?;
            let function = record.function.clone();
            records.entry(function).or_default().push(record);
            Ok(())
        })
        .await?;
        let all = records.into_iter();
        all.map(|(name, records)| Ok((name, attached(records)?)))
            .collect()
    }

    /// Applies a change to the newest state of a policy; None deletes it.
    async fn change_policy<T>(
        &self,
        target: &Target,
        revision: Option<&str>,
        change: impl Fn(Option<&PolicyRecord>) -> Result<(Option<Value>, T), Error>,
    ) -> Result<T, Error> {
        for _ in 0..ATTEMPTS_MAX {
            let own = self.require_target(target).await?;
            let found = self.find_policy(target).await?;
            let (document, changed) = change(found.as_ref().map(|(record, _)| record))?;
            // Where there is no policy yet, its state is the function's.
            let state = found.as_ref().map_or(&own, |(record, _)| &record.revision);
            if revision.is_some_and(|wanted| wanted != state.as_str()) {
                return Err(Error::Precondition(
                    "The Revision Id provided does not match the latest Revision Id. Call the \
                     GetPolicy API to retrieve the latest Revision Id"
                        .into(),
                ));
            }
            let read_at = found.map(|(_, read_at)| read_at);
            if !self.save_policy(target, document, read_at).await? {
                continue;
            }
            // A deletion of the function that had begun before knows nothing of this policy.
            if self.load(&target.name).await?.is_none() {
                let orphans = self.deletions(KIND, &format!("{}/", target.name)).await?;
                self.0.records.commit(orphans).await?;
                return Err(self.not_found(&target.name));
            }
            self.publish_policies(&target.name).await?;
            return Ok(changed);
        }
        Err(store::Error::Conflict(key(target)).into())
    }

    /// Whether it was saved; if not, someone else was faster.
    async fn save_policy(
        &self,
        target: &Target,
        document: Option<Value>,
        read_at: Option<Revision>,
    ) -> Result<bool, Error> {
        let key = key(target);
        let expect = read_at.map_or(Expect::Absent, Expect::Revision);
        let write = match document {
            None => Write::Delete { key, expect },
            Some(document) => Write::Put {
                value: encode(&PolicyRecord {
                    function: target.name.clone(),
                    qualifier: target.qualifier.clone(),
                    document,
                    revision: RevisionId::new(&self.0.clock),
                }),
                key,
                expect,
            },
        };
        // A policy must not outlive its function: the next one of its name would inherit it.
        let function = Write::Require {
            key: Key {
                kind: function::KIND,
                id: target.name.as_str().to_owned(),
            },
            expect: Expect::Present,
        };
        match self.0.records.commit(vec![function, write]).await {
            Ok(_) => Ok(true),
            Err(store::Error::Conflict(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The revision of the function, if it has what the qualifier names.
    async fn require_target(&self, target: &Target) -> Result<RevisionId, Error> {
        let found = self
            .existing_at(&target.name, target.qualifier.as_ref())
            .await;
        match (found, &target.qualifier) {
            (Err(Error::NotFound(_)), Some(Qualifier::Alias(_)))
                if self.load(&target.name).await?.is_some() =>
            {
                let arn = self.arn_of(target);
                Err(Error::NotFound(format!("Cannot find alias arn: {arn}")))
            }
            (found, _) => Ok(found?.latest.revision),
        }
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

    fn arn_of(&self, target: &Target) -> String {
        match &target.qualifier {
            None => self.home().function_arn(&target.name),
            Some(qualifier) => self.home().qualified_arn(&target.name, qualifier),
        }
    }
}

fn attached(records: Vec<PolicyRecord>) -> Result<Attached, Error> {
    let mut attached = Attached::default();
    for record in records {
        let policy = Policy::resource(&record.document).map_err(|error| {
            let name = &record.function;
            Error::Internal(format!("the policy of {name} is damaged: {error}"))
        })?;
        attached.insert(record.qualifier, policy);
    }
    Ok(attached)
}

/// The statements of a policy, which may have been given as a single one.
fn statements(document: &mut Value) -> &mut Vec<Value> {
    let statements = &mut document["Statement"];
    if !statements.is_array() {
        *statements = Value::Array(vec![statements.take()]);
    }
    statements.as_array_mut().expect("it was made one")
}

fn empty() -> Value {
    json!({"Version": "2012-10-17", "Id": "default", "Statement": []})
}

/// The document, if it is a policy that can be kept.
fn checked(document: Value) -> Result<Value, Error> {
    let bytes = document.to_string().len();
    if bytes > policy::BYTES_MAX {
        return Err(Error::PolicyTooLong(format!(
            "The final policy size ({bytes}) is bigger than the limit ({}).",
            policy::BYTES_MAX
        )));
    }
    let policy = Policy::resource(&document).map_err(|error| not_a_policy(&error.to_string()))?;
    match policy.unknown_operators().next() {
        Some(name) => Err(not_a_policy(&format!(
            "there is no condition operator {name:?}"
        ))),
        None => Ok(document),
    }
}

fn not_a_policy(problem: &str) -> Error {
    Error::Invalid(format!("The policy is not valid: {problem}"))
}

fn no_policy() -> Error {
    Error::NotFound("No policy is associated with the given resource.".into())
}

/// What a policy can be given to.
fn of_policy(target: &Target) -> Result<Target, Error> {
    match target.qualifier {
        Some(Qualifier::Latest) => Err(Error::Invalid(
            "We currently do not support adding policies for $LATEST.".into(),
        )),
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
    let qualifier = target.qualifier.as_ref().map(ToString::to_string);
    Key {
        kind: KIND,
        id: format!("{}/{}", target.name, qualifier.unwrap_or_default()),
    }
}
