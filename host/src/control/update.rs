//! Changes of a function: new code, another configuration, settings of the function as a whole. Each is
//! applied to the newest record and written only if that is still the newest.

use super::configuration::{Architecture, FunctionRecord, LastUpdate, Patch, State, VersionRecord};
use super::function::{self, Found};
use super::origin::Origin;
use super::revision::RevisionId;
use super::{Control, Error, version};
use crate::names::FunctionName;
use crate::store::{Expect, Write};

/// How often a change is tried again that another one got ahead of.
pub(super) const ATTEMPTS_MAX: usize = 4;

/// New code for a function.
#[derive(Debug)]
pub struct UpdateCode {
    /// Where the deployment package is.
    pub package: Origin,
    /// Another instruction set, if one was asked for.
    pub architecture: Option<Architecture>,
    /// The state the caller means to change.
    pub revision: Option<String>,
    /// Only finds out whether it could be done.
    pub dry_run: bool,
    /// Whether a version is published of it at once.
    pub publish: bool,
}

impl Control {
    /// Gives a function new code.
    ///
    /// # Errors
    /// Where there is no such function, it is being changed, its revision is another, or the
    /// package is not allowed.
    pub async fn update_function_code(
        &self,
        name: &FunctionName,
        update: UpdateCode,
    ) -> Result<Found, Error> {
        let (function, _) = self.existing(name).await?;
        let revision = update.revision.as_deref();
        function.latest.revision.expect(revision)?;
        self.require_settled(&function)?;
        let package = self.package_from(update.package).await?;
        // Fetching it took its time: what must be signed is asked of the function as it is now.
        let (function, _) = self.existing(name).await?;
        let (arn, code_signing) = (self.home().function_arn(name), &function.code_signing);
        let signed = self
            .verify_package(code_signing.as_deref(), &package, &arn)
            .await?;
        let library = &self.0.library;
        let configuration = &function.latest.configuration;
        let arrival = library.check_in(package, configuration).await?;
        self.require_room_for_layers(&arrival.code, &configuration.layers)
            .await?;
        let apply = |latest: &mut VersionRecord| {
            latest.code = arrival.code.clone();
            latest.signed.clone_from(&signed);
            if let Some(architecture) = update.architecture {
                latest.configuration.architecture = architecture;
            }
        };
        if update.dry_run {
            let mut version = function.latest.clone();
            apply(&mut version);
            return Ok(Found { function, version });
        }
        self.redeploy(name, revision, update.publish, apply).await
    }

    /// Changes a function's configuration. `layers` are the ARNs of the layers it shall have.
    ///
    /// # Errors
    /// Where there is no such function, it is being changed, its revision is another, or the
    /// configuration would not be allowed.
    pub async fn update_function_configuration(
        &self,
        name: &FunctionName,
        mut patch: Patch,
        layers: Option<&[String]>,
        revision: Option<&str>,
    ) -> Result<Found, Error> {
        let (function, _) = self.existing(name).await?;
        function.latest.revision.expect(revision)?;
        self.require_settled(&function)?;
        let attached = match layers {
            Some(arns) => Some(self.resolve_layers(arns).await?),
            None => None,
        };
        patch.layers = attached.as_ref().map(|it| it.layers.clone());
        let vault = &self.0.vault;
        let patched = function.latest.configuration.patched(patch.clone(), vault);
        self.check(&patched)?;
        let code = function.latest.code;
        let code = if patch.handler.is_some() || patch.runtime.is_some() {
            self.0.library.choose(&code, &patched).await?
        } else {
            code
        };
        if let Some(attached) = &attached {
            self.require_room_for_layers(&code, &attached.layers)
                .await?;
        }
        self.redeploy(name, revision, false, |latest| {
            latest.configuration = latest.configuration.clone().patched(patch.clone(), vault);
            // Another change may have brought other code since; the handler was checked on this.
            if latest.code.package == code.package {
                latest.code = code.clone();
            }
        })
        .await
    }

    /// Applies a change of code or configuration to the newest state of a function, once its rules
    /// still hold there.
    async fn redeploy(
        &self,
        name: &FunctionName,
        revision: Option<&str>,
        publish: bool,
        apply: impl Fn(&mut VersionRecord),
    ) -> Result<Found, Error> {
        let clock = &self.0.clock;
        let (function, version) = self
            .change(name, |function, batch| {
                function.latest.revision.expect(revision)?;
                self.require_settled(function)?;
                apply(&mut function.latest);
                function.latest.last_update = Some(LastUpdate::InProgress);
                function.latest.deployment = RevisionId::new(clock);
                function.latest.revision = RevisionId::new(clock);
                function.latest.modified = clock.now();
                if !publish || version::is_published(function) {
                    return Ok(function.latest.clone());
                }
                let version = version::publish(function, None, clock);
                batch.push(version::put(name, &version, Expect::Absent));
                Ok(version)
            })
            .await?;
        self.published_and_settling(name).await?;
        match function.published.as_ref() {
            // Nothing has changed since the last version: that one is told again.
            Some(published) if publish && version.number.is_none() => {
                let version = self.version(name, published.number).await?;
                Ok(Found { function, version })
            }
            _ => Ok(Found { function, version }),
        }
    }

    /// Changes the newest record of a function, again where another change got ahead. `apply` may add
    /// further writes, which are done with it or not at all.
    pub(super) async fn change<T>(
        &self,
        name: &FunctionName,
        apply: impl Fn(&mut FunctionRecord, &mut Vec<Write>) -> Result<T, Error>,
    ) -> Result<(FunctionRecord, T), Error> {
        for _ in 0..ATTEMPTS_MAX {
            let (mut function, read_at) = self.existing(name).await?;
            let mut batch = Vec::new();
            let applied = apply(&mut function, &mut batch)?;
            batch.push(function::put(&function, Expect::Revision(read_at)));
            match self.0.records.commit(batch).await.map_err(Error::from) {
                Err(Error::Conflict(_)) => {}
                Err(error) => return Err(error),
                Ok(_) => return Ok((function, applied)),
            }
        }
        Err(self.in_progress(name))
    }

    pub(super) fn require_settled(&self, record: &FunctionRecord) -> Result<(), Error> {
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

    pub(super) fn in_progress(&self, name: &FunctionName) -> Error {
        let arn = self.home().function_arn(name);
        Error::Conflict(format!(
            "The operation cannot be performed at this time. An update is in progress for \
             resource: {arn}"
        ))
    }
}
