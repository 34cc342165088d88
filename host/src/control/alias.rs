//! Aliases: names that lead to one version of a function, or to two by weight.

use serde::{Deserialize, Serialize};

use super::record::{Page, decode, encode};
use super::revision::RevisionId;
use super::{Control, Error, kind};
use crate::invoke::snapshot;
use crate::names::{AliasName, FunctionName, Qualifier};
use crate::store::{Expect, Key, Revision, Write};

mod error;

pub use error::AliasError;

/// The stored record of an alias.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AliasRecord {
    /// The function.
    pub function: FunctionName,
    /// Its name.
    pub name: AliasName,
    /// Target version; `None` is `$LATEST`.
    pub version: Option<u64>,
    /// Free text.
    pub description: String,
    /// A second version and its share of the invocations.
    pub additional: Option<Weight>,
    /// Names this state of the record.
    pub revision: RevisionId,
}

/// A version and its share of invocations, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weight {
    /// The version.
    pub version: u64,
    /// Its share.
    pub share: f64,
}

/// A change of an alias: members that are `None` stay.
#[derive(Debug, Default)]
pub struct AliasPatch {
    /// See [`AliasRecord::version`].
    pub version: Option<Qualifier>,
    /// See [`AliasRecord::description`].
    pub description: Option<String>,
    /// `AdditionalVersionWeights`; an empty list removes the second version.
    pub weights: Option<Vec<(String, f64)>>,
    /// `RevisionId` of the state that the caller means.
    pub revision: Option<String>,
}

impl AliasRecord {
    /// True if invocations of the alias may run this version.
    pub(super) fn leads_to(&self, number: u64) -> bool {
        let additional = self.additional.is_some_and(|it| it.version == number);
        self.version == Some(number) || additional
    }

    /// The alias as the data plane sees it.
    pub(super) fn route(&self) -> snapshot::Alias {
        snapshot::Alias {
            version: self.version,
            additional: self.additional.map(|it| (it.version, it.share)),
        }
    }
}

impl Control {
    /// Makes an alias.
    ///
    /// # Errors
    /// Where there is no such function or version, or the alias is there.
    pub async fn create_alias(
        &self,
        function: &FunctionName,
        name: AliasName,
        patch: AliasPatch,
    ) -> Result<AliasRecord, Error> {
        let qualifier = patch.version.unwrap_or(Qualifier::Latest);
        let weights = patch.weights.unwrap_or_default();
        let description = patch.description.unwrap_or_default();
        let record = self
            .write_below(function, || async {
                self.existing_at(function, Some(&qualifier)).await?;
                let version = self.alias_version(function, &qualifier).await?;
                let record = AliasRecord {
                    additional: self.weight(function, version, &weights).await?,
                    function: function.clone(),
                    version,
                    description: description.clone(),
                    revision: RevisionId::new(&self.0.clock),
                    name: name.clone(),
                };
                if self.load_alias(function, &name).await?.is_some() {
                    let arn = self.alias_arn(function, &name);
                    return Err(AliasError::AlreadyExists(arn).into());
                }
                Ok((vec![put(&record, Expect::Absent)], record))
            })
            .await?;
        Ok(record)
    }

    /// The alias of this name.
    ///
    /// # Errors
    /// Where there is no such function or alias.
    pub async fn alias(
        &self,
        function: &FunctionName,
        name: &AliasName,
    ) -> Result<AliasRecord, Error> {
        self.existing(function).await?;
        let found = self.load_alias(function, name).await?;
        let missing = || self.no_alias(function, name);
        found.map(|(record, _)| record).ok_or_else(missing)
    }

    /// No such alias, in AWS's words.
    pub(super) fn no_alias(&self, function: &FunctionName, name: &AliasName) -> Error {
        let arn = self.alias_arn(function, name);
        AliasError::NotFound(arn).into()
    }

    /// The aliases of a function in the order of their names, of one version only if one is given.
    ///
    /// # Errors
    /// Where there is no such function.
    pub async fn aliases(
        &self,
        function: &FunctionName,
        version: Option<&Qualifier>,
        marker: Option<&str>,
        limit: usize,
    ) -> Result<Page<AliasRecord>, Error> {
        self.existing(function).await?;
        let Some(version) = version else {
            return self
                .page(kind::ALIAS, &format!("{function}/"), marker, limit)
                .await;
        };
        let number = match version {
            Qualifier::Version(number) => Some(*number),
            Qualifier::Latest | Qualifier::Alias(_) => None,
        };
        let mut items = self.all_aliases(function).await?;
        items.retain(|alias| {
            let leads = match number {
                Some(number) => alias.leads_to(number),
                None => alias.version.is_none(),
            };
            leads && marker.is_none_or(|marker| alias.name.as_str() > marker)
        });
        let more = items.len() > limit;
        items.truncate(limit);
        let last = items.last().filter(|_| more);
        let next = last.map(|alias| alias.name.as_str().to_owned());
        Ok(Page { items, next })
    }

    /// Changes an alias.
    ///
    /// # Errors
    /// Where there is no such function, version or alias, or its revision is another.
    pub async fn update_alias(
        &self,
        function: &FunctionName,
        name: &AliasName,
        patch: AliasPatch,
    ) -> Result<AliasRecord, Error> {
        let record = self
            .write_below(function, || async {
                self.existing(function).await?;
                let Some((record, read_at)) = self.load_alias(function, name).await? else {
                    let arn = self.alias_arn(function, name);
                    return Err(AliasError::NotFoundByUpdate(arn).into());
                };
                let before = record.version;
                let record = self.patched_alias(record, &patch).await?;
                let mut batch = vec![put(&record, Expect::Revision(read_at))];
                if record.version != before {
                    batch.extend(self.provision_moves(function, name, record.version).await?);
                }
                Ok((batch, record))
            })
            .await?;
        Ok(record)
    }

    async fn patched_alias(
        &self,
        mut record: AliasRecord,
        patch: &AliasPatch,
    ) -> Result<AliasRecord, Error> {
        record.revision.expect(patch.revision.as_deref())?;
        if let Some(version) = &patch.version {
            record.version = self.alias_version(&record.function, version).await?;
        }
        if let Some(description) = &patch.description {
            record.description.clone_from(description);
        }
        let weights = match &patch.weights {
            Some(weights) => weights.clone(),
            None => record.weights(),
        };
        record.additional = self
            .weight(&record.function, record.version, &weights)
            .await?;
        record.revision = RevisionId::new(&self.0.clock);
        Ok(record)
    }

    /// Deletes an alias, if it exists.
    ///
    /// # Errors
    /// Where there is no such function.
    pub async fn delete_alias(
        &self,
        function: &FunctionName,
        name: &AliasName,
    ) -> Result<(), Error> {
        let qualifier = Qualifier::Alias(name.clone());
        self.write_below(function, || async {
            let (record, _) = self.existing(function).await?;
            let mut batch = kind::deletions(function, &qualifier);
            batch.extend(self.ledger_release_of(&record, &qualifier).await?);
            Ok((batch, ()))
        })
        .await
    }

    pub(super) async fn all_aliases(
        &self,
        function: &FunctionName,
    ) -> Result<Vec<AliasRecord>, Error> {
        self.children(kind::ALIAS, &format!("{function}/")).await
    }

    pub(super) async fn load_alias(
        &self,
        function: &FunctionName,
        name: &AliasName,
    ) -> Result<Option<(AliasRecord, Revision)>, Error> {
        let found = self.0.records.get(&key(function, name)).await?;
        found
            .map(|record| Ok((decode(&record)?, record.revision)))
            .transpose()
    }

    /// The version of an alias, which must exist.
    async fn alias_version(
        &self,
        function: &FunctionName,
        version: &Qualifier,
    ) -> Result<Option<u64>, Error> {
        match version {
            Qualifier::Latest => Ok(None),
            Qualifier::Version(number) => {
                self.version(function, *number).await?;
                Ok(Some(*number))
            }
            Qualifier::Alias(_) => Err(self.not_found_at(function, Some(version))),
        }
    }

    /// The second version of an alias, by AWS's rules in AWS's order.
    async fn weight(
        &self,
        function: &FunctionName,
        version: Option<u64>,
        weights: &[(String, f64)],
    ) -> Result<Option<Weight>, Error> {
        let (key, share) = match weights {
            [] => return Ok(None),
            [one] => one,
            _ => return Err(AliasError::TooManyWeights.into()),
        };
        let additional = require_weight(version, key)?;
        self.version(function, additional).await?;
        Ok(Some(Weight {
            version: additional,
            share: *share,
        }))
    }

    fn alias_arn(&self, function: &FunctionName, name: &AliasName) -> String {
        let qualifier = Qualifier::Alias(name.clone());
        self.home().qualified_arn(function, &qualifier)
    }
}

impl AliasRecord {
    fn weights(&self) -> Vec<(String, f64)> {
        let additional = self.additional.iter();
        additional
            .map(|it| (it.version.to_string(), it.share))
            .collect()
    }
}

/// The number of a second version that is allowed beside the first. The model has checked the form of the key
/// and of the share.
fn require_weight(version: Option<u64>, key: &str) -> Result<u64, AliasError> {
    let Some(version) = version else {
        return Err(AliasError::LatestWithWeights);
    };
    let number = key.parse().unwrap_or(u64::MAX);
    if number == version {
        return Err(AliasError::SameVersion(number));
    }
    Ok(number)
}

fn put(record: &AliasRecord, expect: Expect) -> Write {
    Write::Put {
        key: key(&record.function, &record.name),
        value: encode(record),
        expect,
    }
}

fn key(function: &FunctionName, name: &AliasName) -> Key {
    Key {
        kind: kind::ALIAS,
        id: format!("{function}/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_version_follows_the_rules_of_aws() {
        let cases = [
            (Some(1), "2", Ok(2)),
            (Some(1), "1", Err("already included")),
            (None, "2", Err("$LATEST is not supported")),
        ];
        for (version, key, expected) in cases {
            match (require_weight(version, key), expected) {
                (Ok(number), Ok(wanted)) => assert_eq!(number, wanted),
                (Err(error), Err(wanted)) => {
                    assert!(error.to_string().contains(wanted), "{error}");
                }
                (found, wanted) => panic!("{key}: {found:?}, not {wanted:?}"),
            }
        }
    }
}
