//! Layers on the wire: PublishLayerVersion, GetLayerVersion, GetLayerVersionByArn, ListLayers,
//! ListLayerVersions, DeleteLayerVersion. Their permissions are in `permission`.

use super::call::resource::{Account, Layer, LayerVersion, LayerVersionByArn, ListedLayer};
use super::call::{Call, Permitted};
use super::wire::{self, ErrorShape, Fault};
use super::{function, no_content, origin};
use crate::api::{Front, HttpResponse};
use crate::control::layer::{About, Filter, LayerVersionRecord};
use crate::names::Home;

mod permission;

impl Front {
    pub(super) async fn publish_layer_version(
        &self,
        call: &Permitted<'_, Layer>,
    ) -> Result<HttpResponse, Fault> {
        let mut request: wire::PublishLayerVersionRequest = call.parse()?;
        let Layer(layer) = call.resource();
        // Functions have no such names: no layer waits as one of them.
        let requester = call.requester(&format!("layer:{layer}"));
        let package = origin::of(&mut request.content, requester)?;
        let about = About {
            description: request.description.unwrap_or_default(),
            license: request.license_info,
            runtimes: request.compatible_runtimes,
            architectures: request.compatible_architectures,
        };
        let published = self
            .control
            .publish_layer_version(layer, about, package)
            .await?;
        let shown = self.shown_layer(published, call);
        Ok(call.render(wire::PublishLayerVersionResponse {
            content: shown.content,
            layer_arn: shown.layer_arn,
            layer_version_arn: shown.layer_version_arn,
            description: shown.description,
            created_date: shown.created_date,
            version: shown.version,
            compatible_architectures: shown.compatible_architectures,
            compatible_runtimes: shown.compatible_runtimes,
            license_info: shown.license_info,
        }))
    }

    pub(super) async fn get_layer_version(
        &self,
        call: &Permitted<'_, LayerVersion>,
    ) -> Result<HttpResponse, Fault> {
        call.parse::<wire::GetLayerVersionRequest>()?;
        let LayerVersion { layer, number } = call.resource();
        let found = self.control.layer_version(layer, *number).await?;
        Ok(call.render(self.shown_layer(found, call)))
    }

    pub(super) async fn get_layer_version_by_arn(
        &self,
        call: &Permitted<'_, LayerVersionByArn>,
    ) -> Result<HttpResponse, Fault> {
        call.parse::<wire::GetLayerVersionByArnRequest>()?;
        let LayerVersionByArn(LayerVersion { layer, number }) = call.resource();
        let found = self.control.layer_version(layer, *number).await?;
        Ok(call.render(self.shown_layer(found, call)))
    }

    pub(super) async fn list_layers(
        &self,
        call: &Permitted<'_, Account>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::ListLayersRequest = call.parse()?;
        let filter = Filter {
            runtime: request.compatible_runtime,
            architecture: request.compatible_architecture,
        };
        let limit = function::page_size(request.max_items);
        let marker = request.marker.as_deref();
        let page = self.control.layers(&filter, marker, limit).await?;
        let home = self.control.home();
        let listed = page.items.into_iter().map(|newest| wire::LayersListItem {
            layer_name: Some(newest.layer.to_string()),
            layer_arn: Some(home.layer_arn(&newest.layer)),
            latest_matching_version: Some(listed(newest, home)),
        });
        Ok(call.render(wire::ListLayersResponse {
            layers: Some(listed.collect()),
            next_marker: page.next,
        }))
    }

    pub(super) async fn list_layer_versions(
        &self,
        call: &Permitted<'_, ListedLayer>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::ListLayerVersionsRequest = call.parse()?;
        let ListedLayer(layer) = call.resource();
        let filter = Filter {
            runtime: request.compatible_runtime,
            architecture: request.compatible_architecture,
        };
        let limit = function::page_size(request.max_items);
        let marker = request.marker.as_deref();
        let page = self
            .control
            .layer_versions(layer, &filter, marker, limit)
            .await?;
        let home = self.control.home();
        let versions = page.items.into_iter().map(|version| listed(version, home));
        Ok(call.render(wire::ListLayerVersionsResponse {
            layer_versions: Some(versions.collect()),
            next_marker: page.next,
        }))
    }

    pub(super) async fn delete_layer_version(
        &self,
        call: &Permitted<'_, LayerVersion>,
    ) -> Result<HttpResponse, Fault> {
        call.parse::<wire::DeleteLayerVersionRequest>()?;
        let LayerVersion { layer, number } = call.resource();
        self.control.delete_layer_version(layer, *number).await?;
        Ok(no_content())
    }

    fn shown_layer(
        &self,
        record: LayerVersionRecord,
        call: &Call,
    ) -> wire::GetLayerVersionResponse {
        let home = self.control.home();
        let host = call.host().unwrap_or("localhost");
        let (package, signed) = (&record.package, record.signed.as_ref());
        let content = wire::LayerVersionContentOutput {
            location: Some(self.downloads.link(host, &package.digest)),
            code_sha256: Some(package.digest.base64()),
            code_size: i64::try_from(package.size_bytes).ok(),
            signing_profile_version_arn: signed.map(|it| it.profile_version_arn.clone()),
            signing_job_arn: signed.map(|it| it.job_arn.clone()),
            ..Default::default()
        };
        let layer_arn = home.layer_arn(&record.layer);
        let shown = listed(record, home);
        wire::GetLayerVersionResponse {
            content: Some(content),
            layer_arn: Some(layer_arn),
            layer_version_arn: shown.layer_version_arn,
            description: shown.description,
            created_date: shown.created_date,
            version: shown.version,
            compatible_architectures: shown.compatible_architectures,
            compatible_runtimes: shown.compatible_runtimes,
            license_info: shown.license_info,
        }
    }
}

/// A version as listings show it; elsewhere there is more.
fn listed(record: LayerVersionRecord, home: &Home) -> wire::LayerVersionsListItem {
    let arn = home.layer_version_arn(&record.layer, record.version);
    let created = record.created.utc().strftime("%Y-%m-%dT%H:%M:%S%.3f+0000");
    wire::LayerVersionsListItem {
        layer_version_arn: Some(arn.to_string()),
        version: i64::try_from(record.version).ok(),
        description: Some(record.about.description),
        created_date: Some(created.to_string()),
        compatible_architectures: record.about.architectures,
        compatible_runtimes: record.about.runtimes,
        license_info: record.about.license,
    }
}

fn invalid(text: impl Into<String>) -> Fault {
    Fault::new(ErrorShape::InvalidParameterValueException, text)
}
