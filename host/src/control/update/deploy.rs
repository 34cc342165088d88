//! Deployment for embedders: creates a function, or changes its code and its configuration in one step.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::{Checked, ROUNDS_MAX};
use crate::control::configuration::{Configuration, FunctionRecord, Patch, VersionRecord};
use crate::control::function::{Create, FunctionError};
use crate::control::{Control, Error};
use crate::library::{Delivery, Origin, Requester, Stored};
use crate::names::FunctionName;

/// Caller of deployment steps.
const EMBEDDER: &str = "embedder";
/// Runtime and handler of a new function.
const RUNTIME: &str = "provided.al2023";
const HANDLER: &str = "bootstrap";

/// Code and settings of a function.
#[derive(Debug)]
pub struct Deploy {
    /// Deployment package: a component, or a zip.
    pub package: Bytes,
    /// Settings; `None` keeps a member, or is AWS's default for a new function.
    pub patch: Patch,
}

impl Control {
    /// Creates or changes a function, and waits until the change is complete and published. Nothing is changed if code and
    /// settings are the same.
    ///
    /// # Errors
    /// If the configuration or the package is not allowed, or the function is changed at the same time.
    pub async fn deploy(
        &self,
        name: &FunctionName,
        deploy: Deploy,
    ) -> Result<FunctionRecord, Error> {
        let requester = Requester::new(EMBEDDER, name.as_str());
        let delivery = || Delivery::new(Origin::Upload(deploy.package.clone()), requester.clone());
        if self.load(name).await?.is_none() {
            let create = self.new_function(name, deploy.patch.clone(), delivery());
            match self.create_function(create).await {
                Ok(_) => return self.settled(name).await,
                // Created by another caller since.
                Err(Error::Function(FunctionError::AlreadyExists(_))) => {}
                Err(error) => return Err(error),
            }
        }
        let function = self.settled(name).await?;
        let package = self.package_from(delivery()).await?;
        if self.is_deployed(&function, &package, &deploy.patch)? {
            return Ok(function);
        }
        self.redeploy_package(name, &package, &deploy.patch).await?;
        self.settled(name).await
    }

    fn new_function(&self, name: &FunctionName, mut patch: Patch, package: Delivery) -> Create {
        let handler = patch.handler.take();
        Create {
            name: name.clone(),
            role: format!("arn:aws:iam::{}:role/lamina", self.home().account),
            handler: handler.unwrap_or_else(|| HANDLER.to_owned()),
            runtime: RUNTIME.to_owned(),
            choices: patch,
            layers: Vec::new(),
            package,
            tags: BTreeMap::new(),
            publish: false,
            code_signing: None,
        }
    }

    /// True if a function has this code and these settings.
    fn is_deployed(
        &self,
        function: &FunctionRecord,
        package: &Stored,
        patch: &Patch,
    ) -> Result<bool, Error> {
        let latest = &function.latest;
        let (before, vault) = (&latest.configuration, &self.0.vault);
        let mut after = before.clone().patched(patch.clone(), vault);
        if let Some(wanted) = &patch.environment {
            let sealed = before.environment.as_ref();
            let variables = sealed.map(|it| vault.open_sealed(it)).transpose()?;
            if variables.as_ref() == Some(wanted) {
                // Sealed anew, the same variables are other bytes.
                after.environment.clone_from(&before.environment);
            }
        }
        Ok(latest.code.package == package.digest() && after == *before)
    }

    async fn redeploy_package(
        &self,
        name: &FunctionName,
        package: &Stored,
        patch: &Patch,
    ) -> Result<(), Error> {
        let (function, _) = self.existing(name).await?;
        if function.latest.configuration.is_of_image() {
            return Err(FunctionError::PackageForImage.into());
        }
        let replaced = function.latest.code.size_bytes;
        let granted = self.grant_code_bytes(package.size_bytes(), replaced);
        let granted = Arc::new(granted.await?);
        for _ in 0..ROUNDS_MAX {
            let (function, _) = self.existing(name).await?;
            let checked = Checked::of(&function);
            let configuration = function.latest.configuration.clone();
            let configuration = configuration.patched(patch.clone(), &self.0.vault);
            self.check(&configuration)?;
            let wanted = with(function, configuration.clone());
            let architecture = configuration.architecture;
            let (arrival, signed) = self.check_in(&wanted, architecture, package).await?;
            let code = arrival.code.clone();
            let held = Arc::new((arrival, Arc::clone(&granted)));
            let apply = |latest: &mut VersionRecord| {
                latest.code = code.clone();
                latest.signed.clone_from(&signed);
                latest.configuration = configuration.clone();
            };
            let changed = self.redeploy(name, &checked, None, false, &held, apply);
            if changed.await?.is_some() {
                self.0.library.collect_soon();
                return Ok(());
            }
        }
        Err(self.in_progress(name))
    }
}

/// The function with another configuration.
fn with(mut function: FunctionRecord, configuration: Configuration) -> FunctionRecord {
    function.latest.configuration = configuration;
    function
}
