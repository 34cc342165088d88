//! From a function's records to the function that the data plane sees. Pure: the same records give the same
//! function, independent of the caller and of earlier publications.

use std::sync::Arc;
use std::time::Duration;

use super::Error;
use super::configuration::{Recursion, State, VersionRecord};
use super::function_records::FunctionRecords;
use super::layer::LayerUse;
use super::permission::PolicyRecord;
use super::record::Damaged;
use crate::invoke::snapshot::{
    Code, ComponentRef, Function, ImageCode, Readiness, Settings, Version,
};
use crate::names::{FunctionName, Home};
use crate::payload::trace;
use crate::policy::{Attached, Policy};
use crate::sandbox::{FileSystemMount, FunctionFacts};

/// The function as the data plane sees it.
///
/// # Errors
/// Where a policy in the store is damaged.
pub(super) fn function(home: &Home, records: FunctionRecords) -> Result<Function, Error> {
    let record = records.record;
    let name = &record.name;
    // Until an update has settled, invocations get the version before.
    let latest = record.serving.as_deref().unwrap_or(&record.latest);
    let versions = records.versions.iter();
    let versions = versions.filter_map(|it| Some((it.number?, Arc::new(version(name, it)))));
    let arn = home.function_arn(name);
    Ok(Function {
        lineage: trace::Key::of(&arn),
        arn: arn.into(),
        role: latest.configuration.role.as_str().into(),
        latest: Arc::new(version(name, latest)),
        versions: versions.collect(),
        aliases: records
            .aliases
            .iter()
            .map(|alias| (alias.name.clone(), alias.route()))
            .collect(),
        provisions: records
            .provisions
            .into_iter()
            .map(|it| (it.qualifier, it.requested))
            .collect(),
        policies: attached(records.policies)?.map(Arc::new),
        urls: records.urls.iter().map(|url| url.route()).collect(),
        event_invokes: records
            .event_invokes
            .iter()
            .map(|it| (it.qualifier.clone(), it.published()))
            .collect(),
        tags: Arc::new(record.tags),
        reserved: record.reserved,
        stops_loops: record.recursion == Recursion::Terminate,
    })
}

fn version(name: &FunctionName, version: &VersionRecord) -> Version {
    let configuration = &version.configuration;
    let label = version.qualifier().to_string();
    Version {
        // A published version has the deployment of the code it was made from, and environments of its own.
        deployment: format!("{}/{label}", version.deployment.as_str()).into(),
        label: label.as_str().into(),
        facts: Arc::new(FunctionFacts {
            name: name.as_str().to_owned(),
            version: label,
            memory: configuration.memory,
            log_group: configuration.log_group(name),
        }),
        readiness: match version.state {
            State::Pending => Readiness::Pending,
            State::Active => Readiness::Active,
            State::Inactive => Readiness::Inactive,
            State::Failed => Readiness::Failed,
        },
        timeout: Duration::from_secs(configuration.timeout_seconds.into()),
        settings: Settings {
            memory: configuration.memory,
            tmp: configuration.ephemeral,
            logging: configuration.logging.format(),
            handler: handler(version),
            runtime: configuration.runtime.clone(),
            tenant_isolation: configuration.tenant_isolation,
            file_system: configuration.file_systems.first().map(|it| {
                Arc::new(FileSystemMount {
                    arn: it.arn.clone(),
                    path: it.path.clone(),
                })
            }),
        },
        code: Code {
            package: version.code.package,
            component: version.code.component.as_ref().map(|it| ComponentRef {
                path: it.path.as_str().into(),
                digest: it.digest,
            }),
            image: image(version),
            architecture: configuration.architecture,
            layers: LayerUse::packages(&configuration.layers),
            environment: configuration
                .environment
                .as_ref()
                .map(|it| it.text().into()),
        },
        dead_letter: configuration.dead_letter.as_deref().map(Into::into),
    }
}

/// The image of a version; none before it was pulled.
fn image(version: &VersionRecord) -> Option<Arc<ImageCode>> {
    let pulled = version.code.image.as_ref()?.pulled.as_ref()?;
    let process = pulled.settings.process(&version.configuration.overrides());
    Some(Arc::new(ImageCode {
        is_file_system: pulled.is_file_system,
        process: Arc::new(process),
        environment: pulled.settings.environment.clone(),
    }))
}

/// Handler in `_HANDLER`: of an image, the command's first word, as of AWS's base images.
fn handler(version: &VersionRecord) -> String {
    let configuration = &version.configuration;
    let Some(image) = &version.code.image else {
        return configuration.handler.clone();
    };
    let own = image.pulled.as_ref().map(|it| &it.settings.command);
    let chosen = configuration
        .image
        .as_ref()
        .and_then(|it| it.command.as_ref());
    let chosen = chosen.filter(|it| !it.is_empty()).or(own);
    chosen
        .and_then(|it| it.first().cloned())
        .unwrap_or_default()
}

fn attached(records: Vec<PolicyRecord>) -> Result<Option<Attached>, Error> {
    let mut attached = Attached::default();
    for record in records {
        let policy = Policy::resource(&record.document)
            .map_err(|error| Damaged::new(&record.key(), error))?;
        attached.insert(record.qualifier, policy);
    }
    Ok((!attached.is_empty()).then_some(attached))
}
