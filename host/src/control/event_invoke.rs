//! Settings of the asynchronous invocation of a function, version or alias: retries, age of events,
//! destinations. The data plane carries them out.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::record::{Page, decode, encode};
use super::{Control, Error, kind};
use crate::clock::Timestamp;
use crate::invoke::Target;
use crate::invoke::snapshot::EventInvoke;
use crate::invoke::snapshot::destination::Destinations;
use crate::names::{FunctionName, FunctionRef, Qualifier};
use crate::store::{Expect, Key, Revision, Write};

mod error;

pub use error::EventInvokeError;

/// The stored record: the settings of one version, alias or `$LATEST`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventInvokeRecord {
    /// The function.
    pub function: FunctionName,
    /// The version, alias or `$LATEST`.
    pub qualifier: Qualifier,
    /// `MaximumRetryAttempts`.
    pub retry_attempts_max: Option<u32>,
    /// `MaximumEventAgeInSeconds`.
    pub event_age_max_seconds: Option<u32>,
    /// Destinations of the records of invocations.
    pub destinations: Destinations,
    /// When it was last changed.
    pub modified: Timestamp,
}

/// The settings of a request. A change leaves those that are `None`; a new configuration has AWS's defaults.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// See [`EventInvokeRecord::retry_attempts_max`].
    pub retry_attempts_max: Option<u32>,
    /// See [`EventInvokeRecord::event_age_max_seconds`].
    pub event_age_max_seconds: Option<u32>,
    /// See [`EventInvokeRecord::destinations`].
    pub destinations: Option<Destinations>,
}

impl EventInvokeRecord {
    /// The settings as the data plane sees them.
    pub(super) fn published(&self) -> EventInvoke {
        let seconds = self.event_age_max_seconds;
        EventInvoke {
            retry_attempts_max: self.retry_attempts_max,
            event_age_max: seconds.map(|it| Duration::from_secs(it.into())),
            destinations: self.destinations.clone(),
        }
    }
}

impl Control {
    /// Replaces the configuration of a function, version or alias.
    ///
    /// # Errors
    /// Where nothing is chosen, there is no such function, version or alias, or a destination is
    /// none.
    pub async fn put_event_invoke(
        &self,
        target: Target,
        choice: Choice,
    ) -> Result<EventInvokeRecord, Error> {
        choice.require_any()?;
        self.write_below(&target.name, || async {
            self.require_event_target(&target).await?;
            self.require_destinations(&target.name, &choice).await?;
            let record = EventInvokeRecord {
                function: target.name.clone(),
                qualifier: target.qualifier.clone().unwrap_or(Qualifier::Latest),
                retry_attempts_max: choice.retry_attempts_max,
                event_age_max_seconds: choice.event_age_max_seconds,
                destinations: choice.destinations.clone().unwrap_or_default(),
                modified: self.0.clock.now(),
            };
            Ok((vec![put(&record, Expect::Any)], record))
        })
        .await
    }

    /// Changes the given members of a configuration.
    ///
    /// # Errors
    /// As [`Control::put_event_invoke`], and where there is no configuration.
    pub async fn update_event_invoke(
        &self,
        target: Target,
        choice: Choice,
    ) -> Result<EventInvokeRecord, Error> {
        choice.require_any()?;
        self.write_below(&target.name, || async {
            self.require_event_target(&target).await?;
            let (mut record, read_at) = self.existing_event_invoke(&target).await?;
            self.require_destinations(&target.name, &choice).await?;
            choice.apply(&mut record);
            record.modified = self.0.clock.now();
            Ok((vec![put(&record, Expect::Revision(read_at))], record))
        })
        .await
    }

    /// The configuration of a function, version or alias.
    ///
    /// # Errors
    /// Where there is none.
    pub async fn event_invoke(&self, target: &Target) -> Result<EventInvokeRecord, Error> {
        Ok(self.existing_event_invoke(target).await?.0)
    }

    /// Deletes the configuration of a function, version or alias.
    ///
    /// # Errors
    /// Where there is none.
    pub async fn delete_event_invoke(&self, target: &Target) -> Result<(), Error> {
        let (record, read_at) = self.existing_event_invoke(target).await?;
        let deletion = Write::Delete {
            key: key(&record.function, &record.qualifier),
            expect: Expect::Revision(read_at),
        };
        self.commit(vec![deletion]).await?;
        Ok(())
    }

    /// The configurations of a function's versions and aliases, in the order of these.
    ///
    /// # Errors
    /// Where there is no such function.
    pub async fn event_invokes(
        &self,
        function: &FunctionName,
        marker: Option<&str>,
        limit: usize,
    ) -> Result<Page<EventInvokeRecord>, Error> {
        let target = Target {
            name: function.clone(),
            qualifier: None,
        };
        self.require_event_target(&target).await?;
        self.page(kind::EVENT_INVOKE, &format!("{function}/"), marker, limit)
            .await
    }

    async fn require_event_target(&self, target: &Target) -> Result<(), Error> {
        let found = self
            .existing_at(&target.name, target.qualifier.as_ref())
            .await;
        match found {
            Err(error) if error.is_function_missing() => {
                Err(EventInvokeError::FunctionMissing.into())
            }
            found => found.map(drop),
        }
    }

    /// Checks the destinations, that of failures first, as AWS does; the first invalid one is reported.
    async fn require_destinations(
        &self,
        function: &FunctionName,
        choice: &Choice,
    ) -> Result<(), Error> {
        let Some(destinations) = &choice.destinations else {
            return Ok(());
        };
        let failure = destinations.failure().map(|arn| (arn, true));
        let success = destinations.success().map(|arn| (arn, false));
        for (arn, is_failure) in failure.into_iter().chain(success) {
            match service_of(arn) {
                Some("lambda") => self.require_other_function(function, arn).await?,
                // Records of invocations have no order, so AWS refuses FIFO queues and topics.
                Some("sqs" | "sns") if arn.ends_with(".fifo") => {
                    return Err(invalid(arn).into());
                }
                Some("sqs" | "sns" | "events") => {}
                Some("s3") if is_failure => {}
                _ => {
                    let printed = destinations.printed();
                    return Err(EventInvokeError::DestinationConfig(printed).into());
                }
            }
        }
        Ok(())
    }

    /// Requires a function of this host that is not the source of the records.
    async fn require_other_function(
        &self,
        function: &FunctionName,
        arn: &str,
    ) -> Result<(), Error> {
        let named = FunctionRef::parse(arn).map_err(|_| invalid(arn))?;
        let home = self.home();
        let is_here = named.account.as_ref() == Some(&home.account)
            && named.region.as_ref() == Some(&home.region);
        if !is_here {
            return Err(invalid(arn).into());
        }
        match self
            .existing_at(&named.name, named.qualifier.as_ref())
            .await
        {
            Err(error) if error.is_function_missing() => return Err(invalid(arn).into()),
            found => found.map(drop)?,
        }
        if named.name == *function {
            return Err(EventInvokeError::OwnDestination.into());
        }
        Ok(())
    }

    async fn existing_event_invoke(
        &self,
        target: &Target,
    ) -> Result<(EventInvokeRecord, Revision), Error> {
        let qualifier = target.qualifier.as_ref().unwrap_or(&Qualifier::Latest);
        let found = self.0.records.get(&key(&target.name, qualifier)).await?;
        let Some(record) = found else {
            let arn = self.home().qualified_arn(&target.name, qualifier);
            return Err(EventInvokeError::NotFound(arn).into());
        };
        Ok((decode(&record)?, record.revision))
    }
}

impl Choice {
    /// Applies the given members.
    fn apply(&self, record: &mut EventInvokeRecord) {
        let age = self.event_age_max_seconds;
        record.retry_attempts_max = self.retry_attempts_max.or(record.retry_attempts_max);
        record.event_age_max_seconds = age.or(record.event_age_max_seconds);
        if let Some(destinations) = &self.destinations {
            record.destinations.clone_from(destinations);
        }
    }

    fn require_any(&self) -> Result<(), EventInvokeError> {
        let any = self.retry_attempts_max.is_some()
            || self.event_age_max_seconds.is_some()
            || self.destinations.is_some();
        any.then_some(()).ok_or(EventInvokeError::Empty)
    }
}

fn put(record: &EventInvokeRecord, expect: Expect) -> Write {
    Write::Put {
        key: key(&record.function, &record.qualifier),
        value: encode(record),
        expect,
    }
}

/// Where the configuration of a version, alias or `$LATEST` is kept.
fn key(function: &FunctionName, qualifier: &Qualifier) -> Key {
    Key {
        kind: kind::EVENT_INVOKE,
        id: format!("{function}/{qualifier}"),
    }
}

/// The service that an ARN names.
fn service_of(arn: &str) -> Option<&str> {
    let mut parts = arn.split(':');
    (parts.next() == Some("arn"))
        .then(|| parts.nth(1))
        .flatten()
}

fn invalid(destination: &str) -> EventInvokeError {
    EventInvokeError::Destination(destination.to_owned())
}
