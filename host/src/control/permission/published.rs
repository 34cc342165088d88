//! Policies for the data plane: parsed once, and published beside the functions they belong to.

use std::collections::BTreeMap;

use super::{KIND, PolicyRecord};
use crate::control::record::decode;
use crate::control::{Control, Error};
use crate::invoke::snapshot::Snapshot;
use crate::names::FunctionName;
use crate::policy::{Attached, Policy};

impl Control {
    /// Makes the data plane see the policies of a function.
    pub(in crate::control) async fn publish_policies(
        &self,
        name: &FunctionName,
    ) -> Result<(), Error> {
        let turn = self.0.turns.acquire().await;
        let _turn = turn.expect("the semaphore is never closed");
        let records = self.children(KIND, &format!("{name}/")).await?;
        let attached = attached(records)?;
        self.0.snapshot.send_modify(|current| {
            let mut next = Snapshot::clone(current);
            // A function that is gone has taken its policies along.
            if next.function(name).is_some() {
                next.set_policies(name, attached);
            }
            *current = next.into();
        });
        Ok(())
    }

    /// The policies of every function.
    pub(in crate::control) async fn all_policies(
        &self,
    ) -> Result<BTreeMap<FunctionName, Attached>, Error> {
        let mut records: BTreeMap<FunctionName, Vec<PolicyRecord>> = BTreeMap::new();
        self.each(KIND, |record| {
            let record: PolicyRecord = decode(record)?;
            let function = record.function.clone();
            records.entry(function).or_default().push(record);
            Ok(())
        })
        .await?;
        let all = records.into_iter();
        all.map(|(name, records)| Ok((name, attached(records)?)))
            .collect()
    }
}

fn attached(records: Vec<PolicyRecord>) -> Result<Attached, Error> {
    let mut attached = Attached::default();
    for record in records {
        let policy = Policy::resource(&record.document).map_err(|error| {
            let name = &record.function;
            Error::Internal(format!("the policy of {name} is damaged: {error}"))
        })?;
        attached.insert(record.qualifier, policy);
    }
    Ok(attached)
}
