//! Unique claims: a function has one mapping for a source, also under concurrent requests. A mapping writes a
//! claim for each part of its source, which fails where another mapping has it.

use serde::{Deserialize, Serialize};

use super::EventSourceError;
use super::mapping::MappingRecord;
use crate::control::record::{decode, encode};
use crate::control::{Control, Error};
use crate::invoke::snapshot::event_source::Kind;
use crate::store::{self, Expect, Key, Write};

/// The kind of the records of claims. Their ids are `function/qualifier/claim`, the qualifier empty
/// where the mapping's function has none.
pub(super) const KIND: &str = "event_source_claim";

/// The stored record of a claim.
#[derive(Debug, Serialize, Deserialize)]
struct ClaimRecord {
    /// The mapping that holds it.
    mapping: String,
}

impl MappingRecord {
    /// The writes of the claims of this mapping.
    pub(super) fn claiming(&self) -> Vec<Write> {
        let claim = |key| Write::Put {
            key,
            value: encode(&ClaimRecord {
                mapping: self.id.clone(),
            }),
            expect: Expect::Absent,
        };
        self.claim_keys().map(claim).collect()
    }

    /// The writes that delete the claims.
    pub(super) fn releasing(&self) -> Vec<Write> {
        let release = |key| Write::Delete {
            key,
            expect: Expect::Any,
        };
        self.claim_keys().map(release).collect()
    }

    fn claim_keys(&self) -> impl Iterator<Item = Key> {
        let qualifier = self.qualifier.as_ref().map(ToString::to_string);
        let prefix = format!("{}/{}", self.function, qualifier.unwrap_or_default());
        let claims = self.source.claims(&self.settings).into_iter();
        claims.map(move |claim| Key {
            kind: KIND,
            id: format!("{prefix}/{claim}"),
        })
    }
}

impl Control {
    /// Writes a mapping with its claims, or says which mapping holds one of them.
    pub(super) async fn commit_claims(
        &self,
        record: &MappingRecord,
        batch: Vec<Write>,
    ) -> Result<(), Error> {
        match self.commit(batch).await {
            Err(store::Error::Conflict(key)) if key.kind == KIND => {
                let Some(held) = self.0.records.get(&key).await? else {
                    return Err(store::Error::Conflict(key).into());
                };
                let ClaimRecord { mapping } = decode(&held)?;
                Err(self.already_mapped(record, &mapping))
            }
            Err(store::Error::Conflict(_)) => Err(EventSourceError::InUse("update").into()),
            committed => Ok(committed.map(drop)?),
        }
    }

    /// Each kind of source has its own words for this; the spaces are AWS's.
    fn already_mapped(&self, record: &MappingRecord, holder: &str) -> Error {
        let MappingRecord {
            function, source, ..
        } = record;
        let named = source.named();
        let mapped = match source.kind {
            Kind::Sqs => format!(
                "An event source mapping with SQS arn (\" {named} \") and function \
                 (\" {function} \") already exists."
            ),
            Kind::Msk | Kind::SelfManagedKafka => format!(
                "An event source mapping with event source (\"{named}\"), function (\"{}\"), \
                 topics (\"{}\") already exists.",
                record.function_arn(self.home()),
                source.topics.as_deref().unwrap_or_default().join(",")
            ),
            Kind::Kinesis | Kind::DynamoDb | Kind::Mq | Kind::DocumentDb | Kind::Redis => format!(
                "The event source arn (\" {named} \") and function (\" {function} \") provided \
                 mapping already exists."
            ),
        };
        EventSourceError::AlreadyMapped {
            mapped,
            holder: holder.to_owned(),
        }
        .into()
    }
}
