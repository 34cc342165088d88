//! Functions: creation, reading, listing and deletion. Updates are in `update`, publication in
//! `version`.

use std::collections::BTreeMap;

use super::configuration::{Configuration, FunctionRecord, Patch, VersionRecord};
use super::record::{Page, decode};
use super::{Control, Error, code_signing, kind, rules, version};
use crate::library::Delivery;
use crate::names::{FunctionName, Qualifier};
use crate::store::{Expect, Revision, Write};

mod error;
pub mod record;

pub use error::FunctionError;
use record::{Found, key, put};

/// A new function.
#[derive(Debug)]
pub struct Create {
    /// Its name.
    pub name: FunctionName,
    /// The ARN of its execution role.
    pub role: String,
    /// Names the component in the package.
    pub handler: String,
    /// Its runtime.
    pub runtime: String,
    /// The optional members.
    pub choices: Patch,
    /// The ARNs of its layers.
    pub layers: Vec<String>,
    /// Where the deployment package is.
    pub package: Delivery,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Publishes the first version at once.
    pub publish: bool,
    /// The ARN of its code signing configuration.
    pub code_signing: Option<String>,
}

impl Control {
    /// Creates a function. When this returns, it is durable and being made ready.
    ///
    /// # Errors
    /// Where the name is taken, or the configuration or the package is not allowed.
    pub async fn create_function(&self, create: Create) -> Result<Found, Error> {
        let name = create.name;
        let configuration = Configuration::new(create.role, create.handler, create.runtime);
        let mut configuration = configuration.patched(create.choices, &self.0.vault);
        self.check(&configuration)?;
        super::tags::check_new(&create.tags)?;
        let code_signing = create.code_signing;
        if let Some(arn) = &code_signing {
            self.require_code_signing_config(arn).await?;
        }
        if self.load(&name).await?.is_some() {
            return Err(already_exists(&name));
        }
        let (layers, attached) = self
            .resolve_layers(&create.layers, &create.package.requester)
            .await?;
        configuration.layers.clone_from(&layers);
        let copies = if create.publish { 2 } else { 1 };
        let code_of = (&configuration, code_signing.as_deref(), copies);
        let accepted = self.accept_code(&name, create.package, code_of).await?;
        let mut latest = VersionRecord::new(configuration, accepted.code, &self.0.clock);
        latest.signed = accepted.signed;
        let mut function = FunctionRecord::new(name.clone(), latest, create.tags);
        let mut batch = code_signing::uses(&name, None, code_signing.as_deref());
        function.code_signing = code_signing;
        let mut version = function.latest.clone();
        if create.publish {
            version = version::publish(&mut function, None, &self.0.clock);
            batch.push(version::put(&name, &version, Expect::Absent));
        }
        batch.push(put(&function, Expect::Absent));
        // The files are held until the commit is done, whether or not the caller stays.
        let held = (accepted.held, attached);
        let committed = self.commit_holding(batch, held).await;
        committed.map_err(|error| match self.of_attaching(error) {
            Error::Concurrent => already_exists(&name),
            error => error,
        })?;
        Ok(Found { function, version })
    }

    /// The function of this name.
    ///
    /// # Errors
    /// Where there is none.
    pub async fn function(&self, name: &FunctionName) -> Result<FunctionRecord, Error> {
        Ok(self.existing(name).await?.0)
    }

    /// The function of this name, and the version that the qualifier leads to.
    ///
    /// # Errors
    /// Where there is no such function, version or alias.
    pub async fn function_at(
        &self,
        name: &FunctionName,
        qualifier: Option<&Qualifier>,
    ) -> Result<Found, Error> {
        let missing = || self.not_found_at(name, qualifier);
        let (function, _) = self.load(name).await?.ok_or_else(missing)?;
        // A client that reads `Active` here invokes at once, so the data plane must have the function.
        self.0.publisher.caught_up(name, &self.0.clock).await;
        let number = match qualifier {
            None | Some(Qualifier::Latest) => None,
            Some(Qualifier::Version(number)) => Some(*number),
            Some(Qualifier::Alias(alias)) => {
                let found = self.load_alias(name, alias).await?.ok_or_else(missing)?;
                found.0.version
            }
        };
        let version = match number {
            None => function.latest.clone(),
            Some(number) => {
                let found = self.load_version(name, number).await?;
                found.ok_or_else(missing)?.0
            }
        };
        Ok(Found { function, version })
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
        Ok(self.function_at(name, qualifier).await?.function)
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
        self.page(kind::FUNCTION, "", marker, limit).await
    }

    /// Deletes a function with all records below it, and its code when nothing else uses it.
    ///
    /// # Errors
    /// Where there is no such function.
    pub async fn delete_function(&self, name: &FunctionName) -> Result<(), Error> {
        self.update(|| async {
            let (function, read_at) = self.existing(name).await?;
            let mut batch = code_signing::uses(name, function.code_signing.as_deref(), None);
            batch.extend(self.ledger_release(&function).await?);
            for kind in kind::BELOW_FUNCTION {
                batch.extend(self.deletions(kind, &format!("{name}/")).await?);
            }
            // The children were read at this state of the record. Every batch that adds a child writes the record,
            // so it and this one cannot both succeed.
            batch.push(Write::Delete {
                key: key(name),
                expect: Expect::Revision(read_at),
            });
            Ok((batch, ()))
        })
        .await?;
        self.0.library.collect_soon();
        Ok(())
    }

    /// Checks a configuration as a whole.
    pub(super) fn check(&self, configuration: &Configuration) -> Result<(), Error> {
        let sealed = configuration.environment.as_ref();
        let variables = sealed.map(|it| self.0.vault.open_sealed(it)).transpose()?;
        let runtimes = self.0.config.runtimes;
        Ok(rules::check(configuration, variables.as_deref(), runtimes)?)
    }

    pub(super) fn not_found(&self, name: &FunctionName) -> Error {
        self.not_found_at(name, None)
    }

    /// No such function, version or alias, in AWS's words.
    pub fn not_found_at(&self, name: &FunctionName, qualifier: Option<&Qualifier>) -> Error {
        let arn = self.home().arn_at(name, qualifier);
        FunctionError::NotFound(arn).into()
    }

    pub(super) async fn existing(
        &self,
        name: &FunctionName,
    ) -> Result<(FunctionRecord, Revision), Error> {
        self.load(name).await?.ok_or_else(|| self.not_found(name))
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
}

fn already_exists(name: &FunctionName) -> Error {
    FunctionError::AlreadyExists(name.clone()).into()
}
