//! Recursion and runtime management of functions, and the usage of the account.

use super::configuration::{FunctionRecord, Recursion, RuntimeUpdates, VersionRecord};
use super::record::decode;
use super::{Control, Error, kind, version};
use crate::names::{FunctionName, Home, Qualifier};
use crate::store::Expect;
use crate::store::blob::Digest;

/// Usage of the account.
#[derive(Clone, Copy, Debug, Default)]
pub struct AccountUsage {
    /// Number of functions.
    pub functions: u64,
    /// Bytes of the packages of all versions.
    pub code_bytes: u64,
}

impl Control {
    /// Sets the recursive loop detection of a function.
    ///
    /// # Errors
    /// Where there is no such function.
    pub async fn set_recursion(
        &self,
        name: &FunctionName,
        recursion: Recursion,
    ) -> Result<(), Error> {
        let set = |function: &mut FunctionRecord, _: &mut _| {
            function.recursion = recursion;
            Ok(())
        };
        self.change(name, set).await.map(drop)
    }

    /// Sets the runtime management of a version.
    ///
    /// # Errors
    /// Where there is no such version.
    pub async fn set_runtime_updates(
        &self,
        name: &FunctionName,
        qualifier: &Qualifier,
        updates: RuntimeUpdates,
    ) -> Result<(), Error> {
        let found = self.function_at(name, Some(qualifier)).await?;
        let Some(number) = found.version.number else {
            let set = |function: &mut FunctionRecord, _: &mut _| {
                function.latest.runtime_updates = updates.clone();
                Ok(())
            };
            return self.change(name, set).await.map(drop);
        };
        let missing = || self.not_found_at(name, Some(qualifier));
        let found = self.load_version(name, number).await?;
        let (mut record, read_at) = found.ok_or_else(missing)?;
        record.runtime_updates = updates;
        let put = version::put(name, &record, Expect::Revision(read_at));
        self.commit(vec![put]).await?;
        Ok(())
    }

    /// Concurrency limit of the account.
    pub fn concurrency(&self) -> u32 {
        self.0.config.concurrency
    }

    /// Usage of the account. Reads every version.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn usage(&self) -> Result<AccountUsage, Error> {
        let mut usage = AccountUsage::default();
        self.each(kind::FUNCTION, |record| {
            let function: FunctionRecord = decode(record)?;
            usage.functions += 1;
            usage.code_bytes += function.latest.code.size_bytes;
            Ok(())
        })
        .await?;
        self.each(kind::VERSION, |record| {
            let version: VersionRecord = decode(record)?;
            usage.code_bytes += version.code.size_bytes;
            Ok(())
        })
        .await?;
        self.each_layer_version(|version| usage.code_bytes += version.package.size_bytes)
            .await?;
        Ok(usage)
    }
}

/// ARN of this host's engine, in the form of AWS's runtime versions.
pub fn runtime_version_arn(home: &Home) -> String {
    let release = concat!("lamina ", env!("CARGO_PKG_VERSION"));
    let digest = Digest::of(release.as_bytes());
    format!("arn:aws:lambda:{}::runtime:{digest}", home.region)
}
