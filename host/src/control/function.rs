//! Functions: created, read, listed, changed, deleted.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::configuration::{
    Architecture, Configuration, FunctionRecord, LastUpdate, Patch, State, VersionRecord,
};
use super::record::{Page, decode, encode};
use super::revision::RevisionId;
use super::{Control, Error, rules};
use crate::names::{FunctionName, Qualifier};
use crate::store::{Expect, Key, Revision, Write};

/// The kind of the records of this resource.
pub(super) const KIND: &str = "function";

/// Resources that go with their function. Their ids begin with its name and a slash.
const KINDS_BELOW: [&str; 2] = [super::url::KIND, super::permission::KIND];

/// How often a change is tried again that another one got ahead of.
const ATTEMPTS_MAX: usize = 4;

/// A new function.
#[derive(Debug)]
pub struct Create {
    /// Its name.
    pub name: FunctionName,
    /// What the author chose.
    pub configuration: Configuration,
    /// The deployment package.
    pub package: Bytes,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// New code for a function.
#[derive(Debug)]
pub struct UpdateCode {
    /// The deployment package.
    pub package: Bytes,
    /// Another instruction set, if one was asked for.
    pub architecture: Option<Architecture>,
    /// The state the caller means to change.
    pub revision: Option<String>,
    /// Only finds out whether it could be done.
    pub dry_run: bool,
}

impl Control {
    /// Creates a function. When this returns, it is durable and being made ready.
    ///
    /// # Errors
    /// Where the name is taken, or the configuration or the package is not allowed.
    pub async fn create_function(&self, create: Create) -> Result<FunctionRecord, Error> {
        let Create {
            name,
            configuration,
            package,
            tags,
        } = create;
        rules::check(&configuration)?;
        if self.load(&name).await?.is_some() {
            return Err(already_exists(&name));
        }
        let arrival = self
            .0
            .library
            .check_in(package, &configuration.handler)
            .await?;
        let latest = VersionRecord {
            configuration,
            code: arrival.code.clone(),
            state: State::Pending,
            last_update: None,
            revision: RevisionId::new(&self.0.clock),
            modified: self.0.clock.now(),
        };
        let record = FunctionRecord {
            name: name.clone(),
            latest,
            tags,
        };
        match self.save(&record, Expect::Absent).await {
            Err(Error::Conflict(_)) => return Err(already_exists(&name)),
            saved => saved?,
        };
        self.published_and_settling(&name).await?;
        Ok(record)
    }

    /// The function of this name.
    ///
    /// # Errors
    /// Where there is none.
    pub async fn function(&self, name: &FunctionName) -> Result<FunctionRecord, Error> {
        Ok(self.existing(name).await?.0)
    }

    /// Functions in the order of their names, after `marker`, at most `limit`.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn functions(
        &self,
        marker: Option<&str>,
        limit: usize,
    ) -> Result<Page<FunctionRecord>, Error> {
        self.page(KIND, "", marker, limit).await
    }

    /// Gives a function new code.
    ///
    /// # Errors
    /// Where there is no such function, it is being changed, its revision is another, or the
    /// package is not allowed.
    pub async fn update_function_code(
        &self,
        name: &FunctionName,
        update: UpdateCode,
    ) -> Result<FunctionRecord, Error> {
        let (record, _) = self.existing(name).await?;
        record.latest.revision.expect(update.revision.as_deref())?;
        self.require_settled(&record)?;
        let handler = &record.latest.configuration.handler;
        let arrival = self.0.library.check_in(update.package, handler).await?;
        let revision = update.revision.as_deref();
        if update.dry_run {
            let mut preview = record;
            preview.latest.code = arrival.code;
            return Ok(preview);
        }
        self.change(name, revision, |latest| {
            latest.code = arrival.code.clone();
            if let Some(architecture) = update.architecture {
                latest.configuration.architecture = architecture;
            }
        })
        .await
    }

    /// Changes a function's configuration.
    ///
    /// # Errors
    /// Where there is no such function, it is being changed, its revision is another, or the
    /// configuration would not be allowed.
    pub async fn update_function_configuration(
        &self,
        name: &FunctionName,
        patch: Patch,
        revision: Option<&str>,
    ) -> Result<FunctionRecord, Error> {
        let (record, _) = self.existing(name).await?;
        record.latest.revision.expect(revision)?;
        self.require_settled(&record)?;
        rules::check(&record.latest.configuration.clone().patched(patch.clone()))?;
        let code = match &patch.handler {
            Some(handler) => self.0.library.choose(&record.latest.code, handler).await?,
            None => record.latest.code,
        };
        self.change(name, revision, |latest| {
            latest.configuration = latest.configuration.clone().patched(patch.clone());
            // Another change may have brought other code since; the handler was checked on this.
            if latest.code.package == code.package {
                latest.code = code.clone();
            }
        })
        .await
    }

    /// Deletes a function, its function URLs and, when no one else uses it, its code.
    ///
    /// # Errors
    /// Where there is no such function.
    pub async fn delete_function(&self, name: &FunctionName) -> Result<(), Error> {
        self.existing(name).await?;
        let key = key(name);
        let mut batch = Vec::new();
        for kind in KINDS_BELOW {
            batch.extend(self.deletions(kind, &format!("{name}/")).await?);
        }
        batch.push(Write::Delete {
            key,
            expect: Expect::Present,
        });
        match self.0.records.commit(batch).await.map_err(Error::from) {
            Err(Error::Conflict(_)) => return Err(self.not_found(name)),
            committed => committed?,
        };
        self.publish(name).await
    }

    /// Applies a change to the newest state of a function, once its rules still hold there.
    async fn change(
        &self,
        name: &FunctionName,
        revision: Option<&str>,
        apply: impl Fn(&mut VersionRecord),
    ) -> Result<FunctionRecord, Error> {
        for _ in 0..ATTEMPTS_MAX {
            let (mut record, read_at) = self.existing(name).await?;
            record.latest.revision.expect(revision)?;
            self.require_settled(&record)?;
            apply(&mut record.latest);
            record.latest.last_update = Some(LastUpdate::InProgress);
            record.latest.revision = RevisionId::new(&self.0.clock);
            record.latest.modified = self.0.clock.now();
            match self.save(&record, Expect::Revision(read_at)).await {
                Err(Error::Conflict(_)) => {}
                saved => {
                    saved?;
                    self.published_and_settling(name).await?;
                    return Ok(record);
                }
            }
        }
        Err(self.in_progress(name))
    }

    fn require_settled(&self, record: &FunctionRecord) -> Result<(), Error> {
        match (record.latest.state, record.latest.last_update) {
            (State::Pending, _) => Err(Error::Conflict(
                "The operation cannot be performed at this time. The function is currently in the \
                 following state: Pending"
                    .into(),
            )),
            (State::Active, Some(LastUpdate::InProgress)) => Err(self.in_progress(&record.name)),
            (State::Active, _) => Ok(()),
        }
    }

    fn in_progress(&self, name: &FunctionName) -> Error {
        let arn = self.home().function_arn(name);
        Error::Conflict(format!(
            "The operation cannot be performed at this time. An update is in progress for \
             resource: {arn}"
        ))
    }

    pub(super) fn not_found(&self, name: &FunctionName) -> Error {
        Error::NotFound(format!(
            "Function not found: {}",
            self.home().function_arn(name)
        ))
    }

    pub(super) async fn existing(
        &self,
        name: &FunctionName,
    ) -> Result<(FunctionRecord, Revision), Error> {
        self.load(name).await?.ok_or_else(|| self.not_found(name))
    }

    /// The function, if it has what the qualifier names.
    ///
    /// # Errors
    /// Where there is no such function, version or alias.
    pub(super) async fn existing_at(
        &self,
        name: &FunctionName,
        qualifier: Option<&Qualifier>,
    ) -> Result<FunctionRecord, Error> {
        match qualifier {
            None | Some(Qualifier::Latest) => Ok(self.existing(name).await?.0),
            Some(qualifier) => Err(Error::NotFound(format!(
                "Function not found: {}",
                self.home().qualified_arn(name, qualifier)
            ))),
        }
    }

    pub(super) async fn load(
        &self,
        name: &FunctionName,
    ) -> Result<Option<(FunctionRecord, Revision)>, Error> {
        let Some(record) = self.0.records.get(&key(name)).await? else {
            return Ok(None);
        };
        Ok(Some((decode(&record)?, record.revision)))
    }

    pub(super) async fn save(&self, record: &FunctionRecord, expect: Expect) -> Result<(), Error> {
        let put = Write::Put {
            key: key(&record.name),
            value: encode(record),
            expect,
        };
        self.0.records.commit(vec![put]).await?;
        Ok(())
    }
}

fn key(name: &FunctionName) -> Key {
    Key {
        kind: KIND,
        id: name.as_str().to_owned(),
    }
}

fn already_exists(name: &FunctionName) -> Error {
    Error::Conflict(format!("Function already exist: {name}"))
}
