//! Changes of a function: new code, another configuration, settings of the function as a whole. Each is
//! applied to the newest record and written only if that is still the newest.

use std::sync::Arc;

use super::code_signing::Signed;
use super::configuration::{
    Configuration, FunctionRecord, LastUpdate, Patch, State, VersionRecord,
};
use super::function::record::Found;
use super::function::{self, FunctionError};
use super::revision::RevisionId;
use super::{Control, Error, version};
use crate::library::{Arrival, Delivery, Origin, Requester, Stored};
use crate::names::FunctionName;
use crate::sandbox::Architecture;
use crate::store::blob::Digest;
use crate::store::{Expect, Write};

mod deploy;

pub use deploy::Deploy;

/// Rounds of checks of one update. The checks take long (a package is compiled), and each round is due to
/// another change of code or of code signing in the meantime.
const ROUNDS_MAX: usize = 4;

/// New code for a function.
#[derive(Debug)]
pub struct UpdateCode {
    /// Where the deployment package is.
    pub package: Delivery,
    /// Another instruction set.
    pub architecture: Option<Architecture>,
    /// `RevisionId` of the state that the caller means.
    pub revision: Option<String>,
    /// `DryRun`: checks only.
    pub dry_run: bool,
    /// Publishes a version at once.
    pub publish: bool,
}

/// The state of a function that a package and a configuration were checked against: handler, layers, code
/// signing. If it has changed since, the checks must be made again.
#[derive(PartialEq)]
struct Checked {
    content: Digest,
    code_signing: Option<String>,
}

impl Checked {
    fn of(function: &FunctionRecord) -> Self {
        Self {
            content: function.latest.content(),
            code_signing: function.code_signing.clone(),
        }
    }
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
        Self::require_package_type(&function, &update.package.origin)?;
        self.require_settled(&function)?;
        if let Origin::Image(uri) = &update.package.origin {
            return Box::pin(self.update_image(name, uri, &update)).await;
        }
        let package = self.package_from(update.package).await?;
        let copies = if update.publish { 2 } else { 1 };
        let replaced = function.latest.code.size_bytes;
        let granted = self.grant_code_bytes(copies * package.size_bytes(), replaced);
        let granted = Arc::new(granted.await?);
        for _ in 0..ROUNDS_MAX {
            // The function may have changed while the package was fetched.
            let (function, _) = self.existing(name).await?;
            let architecture = update.architecture;
            let architecture = architecture.unwrap_or(function.latest.configuration.architecture);
            let (arrival, signed) = self.check_in(&function, architecture, &package).await?;
            let code = arrival.code.clone();
            let held = Arc::new((arrival, Arc::clone(&granted)));
            let apply = |latest: &mut VersionRecord| {
                latest.code = code.clone();
                latest.signed.clone_from(&signed);
                latest.configuration.architecture = architecture;
            };
            if update.dry_run {
                let mut version = function.latest.clone();
                apply(&mut version);
                return Ok(Found { function, version });
            }
            let checked = Checked::of(&function);
            let publish = update.publish;
            let changed = self.redeploy(name, &checked, revision, publish, &held, apply);
            if let Some(found) = changed.await? {
                // The replaced code may be unused now.
                self.0.library.collect_soon();
                return Ok(found);
            }
        }
        Err(self.in_progress(name))
    }

    /// Gives a function another image, or the one that its tag means now.
    async fn update_image(
        &self,
        name: &FunctionName,
        uri: &str,
        update: &UpdateCode,
    ) -> Result<Found, Error> {
        for _ in 0..ROUNDS_MAX {
            let (function, _) = self.existing(name).await?;
            let mut configuration = function.latest.configuration.clone();
            let architecture = update.architecture.unwrap_or(configuration.architecture);
            configuration.architecture = architecture;
            let code_signing = function.code_signing.as_deref();
            let accepted = self.accept_image(uri, &configuration, code_signing).await?;
            let apply = |latest: &mut VersionRecord| {
                latest.code = accepted.code.clone();
                latest.signed = None;
                latest.configuration.architecture = architecture;
            };
            if update.dry_run {
                let mut version = function.latest.clone();
                apply(&mut version);
                return Ok(Found { function, version });
            }
            let checked = Checked::of(&function);
            let (revision, publish) = (update.revision.as_deref(), update.publish);
            let held = Arc::new(());
            let changed = self.redeploy(name, &checked, revision, publish, &held, apply);
            if let Some(found) = changed.await? {
                return Ok(found);
            }
        }
        Err(self.in_progress(name))
    }

    /// Takes in a package for a function that is there.
    async fn check_in(
        &self,
        function: &FunctionRecord,
        architecture: Architecture,
        package: &Stored,
    ) -> Result<(Arrival, Option<Signed>), Error> {
        let arn = self.home().function_arn(&function.name);
        let code_signing = function.code_signing.as_deref();
        let signed = self.verify_package(code_signing, package, &arn).await?;
        let mut configuration = function.latest.configuration.clone();
        self.verify_layers(code_signing, &configuration.layers)
            .await?;
        configuration.architecture = architecture;
        let library = &self.0.library;
        let requirements = configuration.requirements(self.0.config.runtimes);
        let arrival = library.check_in(package, requirements).await?;
        self.require_room_for_layers(&arrival.code, &configuration.layers)
            .await?;
        Ok((arrival, signed))
    }

    /// Changes a function's configuration. `layers` are the ARNs of its new layers.
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
        requester: &Requester,
    ) -> Result<Found, Error> {
        let (function, _) = self.existing(name).await?;
        function.latest.revision.expect(revision)?;
        self.require_settled(&function)?;
        let attached = match layers {
            Some(arns) => Some(self.resolve_layers(arns, requester).await?),
            None => None,
        };
        let (layers, attached) = attached.unzip();
        let attached = Arc::new(attached);
        patch.layers = layers.clone();
        for _ in 0..ROUNDS_MAX {
            let (function, _) = self.existing(name).await?;
            require_members_of_type(&function.latest.configuration, &patch)?;
            let checked = Checked::of(&function);
            let patched = function.latest.configuration;
            let patched = patched.patched(patch.clone(), &self.0.vault);
            self.check(&patched)?;
            let mut code = function.latest.code;
            if patch.image.is_some() {
                // The entry point may be another component.
                code = code.named();
            }
            // Images have no layers that could change their program.
            let is_other_program = !patched.is_of_image()
                && (patch.handler.is_some() || patch.runtime.is_some() || layers.is_some());
            let (code, chosen) = if is_other_program {
                let library = &self.0.library;
                let requirements = patched.requirements(self.0.config.runtimes);
                let chosen = library.choose(&code, requirements, requester).await?;
                (chosen.code.clone(), Some(chosen))
            } else {
                (code, None)
            };
            if let Some(layers) = &layers {
                self.verify_layers(function.code_signing.as_deref(), layers)
                    .await?;
                self.require_room_for_layers(&code, layers).await?;
            }
            let apply = |latest: &mut VersionRecord| {
                latest.configuration = patched.clone();
                latest.code = code.clone();
            };
            let held = Arc::new((chosen, Arc::clone(&attached)));
            let changed = self.redeploy(name, &checked, revision, false, &held, apply);
            if let Some(found) = changed.await? {
                return Ok(found);
            }
        }
        Err(self.in_progress(name))
    }

    /// Applies a change of code or configuration to the newest state of a function, once its rules
    /// still hold there. None where that is not what was checked, and nothing was changed.
    async fn redeploy(
        &self,
        name: &FunctionName,
        checked: &Checked,
        revision: Option<&str>,
        publish: bool,
        held: &Arc<impl Send + Sync + 'static>,
        apply: impl Fn(&mut VersionRecord),
    ) -> Result<Option<Found>, Error> {
        let clock = &self.0.clock;
        let (function, version) = self
            .change_holding(name, held, |function, batch| {
                function.latest.revision.expect(revision)?;
                self.require_settled(function)?;
                if Checked::of(function) != *checked {
                    return Ok(None);
                }
                let serving = || Box::new(function.latest.clone());
                let serving = function.serving.take().unwrap_or_else(serving);
                function.serving = Some(serving);
                apply(&mut function.latest);
                function.latest.reason = None;
                function.latest.last_update = Some(LastUpdate::InProgress);
                function.latest.deployment = RevisionId::new(clock);
                function.latest.revision = RevisionId::new(clock);
                function.latest.modified = clock.now();
                if !publish || version::is_published(function) {
                    return Ok(Some(function.latest.clone()));
                }
                let version = version::publish(function, None, clock);
                batch.push(version::put(name, &version, Expect::Absent));
                Ok(Some(version))
            })
            .await?;
        let Some(version) = version else {
            return Ok(None);
        };
        match function.published.as_ref() {
            // Nothing changed since the last version: AWS answers with that one.
            Some(published) if publish && version.number.is_none() => {
                let version = self.version(name, published.number).await?;
                Ok(Some(Found { function, version }))
            }
            _ => Ok(Some(Found { function, version })),
        }
    }

    /// Changes the newest record of a function, again where another change got ahead. `apply` may add
    /// further writes, which are done with it or not at all.
    pub(super) async fn change<T>(
        &self,
        name: &FunctionName,
        apply: impl Fn(&mut FunctionRecord, &mut Vec<Write>) -> Result<T, Error>,
    ) -> Result<(FunctionRecord, T), Error> {
        self.change_holding(name, &Arc::new(()), apply).await
    }

    /// The same, where `held` keeps files from being collected that no record names before.
    pub(super) async fn change_holding<T>(
        &self,
        name: &FunctionName,
        held: &Arc<impl Send + Sync + 'static>,
        apply: impl Fn(&mut FunctionRecord, &mut Vec<Write>) -> Result<T, Error>,
    ) -> Result<(FunctionRecord, T), Error> {
        self.update_holding(held, || async {
            let (mut function, read_at) = self.existing(name).await?;
            let mut batch = Vec::new();
            let applied = apply(&mut function, &mut batch)?;
            batch.push(function::record::put(&function, Expect::Revision(read_at)));
            Ok((batch, (function, applied)))
        })
        .await
    }

    pub(super) fn require_settled(&self, record: &FunctionRecord) -> Result<(), Error> {
        match (record.latest.state, record.latest.last_update) {
            (State::Pending, _) => Err(FunctionError::Pending.into()),
            (_, Some(LastUpdate::InProgress)) => Err(self.in_progress(&record.name)),
            (State::Active | State::Inactive | State::Failed, _) => Ok(()),
        }
    }

    pub(super) fn in_progress(&self, name: &FunctionName) -> Error {
        let arn = self.home().function_arn(name);
        FunctionError::UpdateInProgress(arn).into()
    }
}

/// Refuses members of the other package type.
fn require_members_of_type(before: &Configuration, patch: &Patch) -> Result<(), Error> {
    let has_layers = patch.layers.as_ref().is_some_and(|it| !it.is_empty());
    let of_package = patch.handler.is_some() || patch.runtime.is_some() || has_layers;
    match before.is_of_image() {
        true if of_package => Err(FunctionError::MembersOfPackage.into()),
        false if patch.image.is_some() => Err(FunctionError::MembersOfImage.into()),
        _ => Ok(()),
    }
}
