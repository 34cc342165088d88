//! Tags of mappings, by the ARN of the tag operations.

use std::collections::BTreeMap;

use super::mapping::{MappingRecord, arn_prefix};
use super::{EventSourceError, put};
use crate::control::{Control, Error, tags};
use crate::store::Expect;

impl Control {
    /// Mapping by ARN.
    ///
    /// # Errors
    /// If there is none, or the ARN names something else.
    pub async fn event_source_mapping_by_arn(&self, arn: &str) -> Result<MappingRecord, Error> {
        let id = arn.strip_prefix(&arn_prefix(self.home()));
        let found = self.load_mapping(id.unwrap_or_default()).await?;
        let record = found.map(|(record, _)| record);
        // The tag operations name the missing ARN, unlike look-ups by id.
        let missing = || EventSourceError::NotFoundByArn(arn.to_owned());
        Ok(record.ok_or_else(missing)?)
    }

    /// Changes the tags of a mapping. Changes in progress continue.
    ///
    /// # Errors
    /// If there is none, or it would have too many tags.
    pub async fn tag_event_source_mapping(
        &self,
        arn: &str,
        change: impl Fn(&mut BTreeMap<String, String>),
    ) -> Result<(), Error> {
        let id = self.event_source_mapping_by_arn(arn).await?.id;
        let (id, change) = (&id, &change);
        self.update(|| async move {
            let (mut record, read_at) = self.existing_mapping(id).await?;
            change(&mut record.tags);
            tags::check(&record.tags)?;
            Ok((vec![put(&record, Expect::Revision(read_at))], ()))
        })
        .await
    }
}
