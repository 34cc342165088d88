//! Maintenance of the data directory: recompilation and garbage collection.

use super::configuration::{FunctionRecord, VersionRecord};
use super::layer::LayerUse;
use super::record::decode;
use super::{Control, Error, kind};
use crate::library::{Requester, Used};

impl Control {
    /// Compiles components that lack an artifact of this engine, one after another.
    ///
    /// # Errors
    /// Where the store cannot be read. A component that does not compile is logged; its
    /// function answers with the same when it is invoked.
    pub async fn recompile(&self) -> Result<(), Error> {
        if let Err(error) = self.0.library.compile_runtimes().await {
            tracing::error!(%error, "an installed runtime does not compile");
        }
        let mut codes = Vec::new();
        self.each_version(|name, version| {
            let architecture = version.configuration.architecture;
            let layers = LayerUse::packages(&version.configuration.layers);
            codes.push((name.to_owned(), version.code, architecture, layers));
        })
        .await?;
        for (name, code, architecture, layers) in codes {
            let requester = Requester::of_host(&name);
            let refreshed = self
                .0
                .library
                .refresh(&code, architecture, &layers, &requester);
            if let Err(error) = refreshed.await {
                tracing::error!(%name, %error, "a function's code does not compile any more");
            }
        }
        Ok(())
    }

    /// Deletes packages and artifacts that no function and no layer uses.
    ///
    /// # Errors
    /// Where the store or the data directory cannot be read.
    pub async fn collect_garbage(&self) -> Result<usize, Error> {
        let collection = self.0.library.begin_collection().await?;
        let mut used = Used::default();
        used.packages(self.0.library.runtime_components().await?);
        self.each_version(|_, version| {
            let layers = LayerUse::packages(&version.configuration.layers);
            used.code(&version.code, version.configuration.architecture, &layers);
            used.packages(LayerUse::kept(&version.configuration.layers));
        })
        .await?;
        self.each_layer_version(|version| used.packages([version.package.digest]))
            .await?;
        Ok(collection.finish(used).await?)
    }

    /// Waits until a refused package leaves files to delete.
    pub async fn left_over(&self) {
        self.0.library.refused().await;
    }

    /// Visits every version of every function, with the function's name.
    async fn each_version(&self, mut visit: impl FnMut(&str, VersionRecord)) -> Result<(), Error> {
        self.each(kind::FUNCTION, |record| {
            let function: FunctionRecord = decode(record)?;
            if let Some(serving) = function.serving {
                visit(&record.key.id, *serving);
            }
            visit(&record.key.id, function.latest);
            Ok(())
        })
        .await?;
        self.each(kind::VERSION, |record| {
            let version: VersionRecord = decode(record)?;
            visit(record.key.id.split('/').next().unwrap_or_default(), version);
            Ok(())
        })
        .await
    }
}
