//! Schedules of EventBridge Scheduler, and their groups. They are no part of the snapshot: `event_source::schedule`
//! reads them from the store and runs them.

use serde::{Deserialize, Serialize};

use super::Control;
use crate::clock::Timestamp;
use crate::names::{FunctionRef, Home};
use crate::payload::Document;
use crate::store::{self, Expect, Key, Range, Record, Write};

pub mod expression;
pub mod group;
mod run;

use expression::{Invalid, Timing};

/// Kind of schedules; ids are `<group>/<name>`.
const KIND: &str = "schedule";
/// Group of schedules that name none.
pub const DEFAULT_GROUP: &str = "default";
/// Bounds of AWS.
const NAME_CHARS_MAX: usize = 64;
const DESCRIPTION_CHARS_MAX: usize = 512;
const WINDOW_MINUTES_MAX: u32 = 1_440;
const RETRY_ATTEMPTS_MAX: u32 = 185;
const EVENT_AGE_SECONDS: std::ops::RangeInclusive<u32> = 60..=86_400;
/// Schedules that one listing reads.
const LISTED_MAX: usize = 100_000;

/// A schedule, as it was chosen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    pub description: Option<String>,
    pub expression: String,
    pub zone: Option<String>,
    pub start: Option<Timestamp>,
    pub end: Option<Timestamp>,
    /// Flexible time window; `None` is off.
    pub window_minutes: Option<u32>,
    pub is_disabled: bool,
    /// True if it is deleted after its last run.
    pub is_deleted_after: bool,
    pub kms_key: Option<String>,
    pub target: ScheduleTarget,
}

/// Target of a schedule: a function.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScheduleTarget {
    pub arn: String,
    /// Kept and shown; this host assumes no role.
    pub role: String,
    pub input: Option<String>,
    /// Attempts to queue the event after the first.
    pub retry_attempts_max: Option<u32>,
    pub event_age_max_seconds: Option<u32>,
    /// ARN of a queue.
    pub dead_letter: Option<String>,
}

/// Stored record of a schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScheduleRecord {
    pub name: String,
    pub group: String,
    pub created: Timestamp,
    pub modified: Timestamp,
    #[serde(flatten)]
    pub choice: Choice,
}

/// A request that is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0} {1} does not exist.")]
    NotFound(&'static str, String),
    #[error("{0} {1} already exists.")]
    Exists(&'static str, String),
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid.to_string())
    }
}

impl ScheduleRecord {
    /// ARN.
    pub fn arn(&self, home: &Home) -> String {
        let Home { account, region } = home;
        let (group, name) = (&self.group, &self.name);
        format!("arn:aws:scheduler:{region}:{account}:schedule/{group}/{name}")
    }

    /// Times at which it runs.
    ///
    /// # Errors
    /// If the expression cannot be read.
    pub fn timing(&self) -> Result<Timing, Invalid> {
        let choice = &self.choice;
        let zone = choice.zone.as_deref();
        let within = (choice.start, choice.end);
        Timing::parse(&choice.expression, zone, self.created, within)
    }

    fn id(&self) -> String {
        id(&self.group, &self.name)
    }
}

impl Choice {
    fn check(&self) -> Result<(), Error> {
        let refused = |text: String| Err(Error::Invalid(text));
        let described = self.description.as_deref().unwrap_or_default();
        if described.chars().count() > DESCRIPTION_CHARS_MAX {
            return refused(format!(
                "Description may have {DESCRIPTION_CHARS_MAX} characters."
            ));
        }
        if self
            .window_minutes
            .is_some_and(|it| it == 0 || it > WINDOW_MINUTES_MAX)
        {
            return refused(format!(
                "MaximumWindowInMinutes must be from 1 to {WINDOW_MINUTES_MAX}."
            ));
        }
        if let (Some(start), Some(end)) = (self.start, self.end)
            && start >= end
        {
            return refused("The EndDate you specify must come after the StartDate.".into());
        }
        let zone = self.zone.as_deref();
        Timing::parse(
            &self.expression,
            zone,
            Timestamp::from_millis(0),
            (None, None),
        )?;
        self.target.check()
    }
}

impl ScheduleTarget {
    fn check(&self) -> Result<(), Error> {
        let refused = |text: String| Err(Error::Invalid(text));
        let is_function = self.arn.split(':').nth(2) == Some("lambda");
        if !is_function || FunctionRef::parse(&self.arn).is_err() {
            return refused(format!(
                "Provided Arn is not in correct format: {}. This host runs schedules of functions.",
                self.arn
            ));
        }
        if self.role.is_empty() {
            return refused("Target.RoleArn is missing.".into());
        }
        if self
            .retry_attempts_max
            .is_some_and(|it| it > RETRY_ATTEMPTS_MAX)
        {
            return refused(format!(
                "MaximumRetryAttempts must be from 0 to {RETRY_ATTEMPTS_MAX}."
            ));
        }
        let age = self.event_age_max_seconds;
        if age.is_some_and(|it| !EVENT_AGE_SECONDS.contains(&it)) {
            return refused("MaximumEventAgeInSeconds must be from 60 to 86400.".into());
        }
        let queue = self.dead_letter.as_deref();
        if queue.is_some_and(|arn| arn.split(':').nth(2) != Some("sqs")) {
            return refused("DeadLetterConfig.Arn must be that of a queue of SQS.".into());
        }
        let input = self.input.clone().unwrap_or_else(|| "{}".into());
        match Document::parse(input.into()) {
            Ok(_) => Ok(()),
            Err(_) => refused("Target.Input must be JSON for a function.".into()),
        }
    }
}

impl Control {
    /// Creates a schedule.
    ///
    /// # Errors
    /// If it exists, its group does not, or a choice is not allowed.
    pub async fn create_schedule(
        &self,
        group: &str,
        name: &str,
        choice: Choice,
    ) -> Result<ScheduleRecord, Error> {
        check_name(name)?;
        choice.check()?;
        self.require_group(group).await?;
        let now = self.0.clock.now();
        let record = ScheduleRecord {
            name: name.to_owned(),
            group: group.to_owned(),
            created: now,
            modified: now,
            choice,
        };
        match self
            .commit_schedules(vec![put(&record, Expect::Absent)])
            .await
        {
            Err(store::Error::Conflict(_)) => Err(Error::Exists("Schedule", name.to_owned())),
            committed => committed.map(|()| record).map_err(Error::from),
        }
    }

    /// Replaces the choices of a schedule. It runs at the new times from now on.
    ///
    /// # Errors
    /// If it does not exist, or a choice is not allowed.
    pub async fn update_schedule(
        &self,
        group: &str,
        name: &str,
        choice: Choice,
    ) -> Result<ScheduleRecord, Error> {
        choice.check()?;
        let before = self.schedule(group, name).await?;
        let record = ScheduleRecord {
            modified: self.0.clock.now(),
            choice,
            ..before
        };
        match self
            .commit_schedules(vec![put(&record, Expect::Present)])
            .await
        {
            Err(store::Error::Conflict(_)) => Err(missing(name)),
            committed => committed.map(|()| record).map_err(Error::from),
        }
    }

    /// A schedule.
    ///
    /// # Errors
    /// If it does not exist.
    pub async fn schedule(&self, group: &str, name: &str) -> Result<ScheduleRecord, Error> {
        let found = self.0.records.get(&key(&id(group, name))).await?;
        decode(&found.ok_or_else(|| missing(name))?)
    }

    /// Deletes a schedule.
    ///
    /// # Errors
    /// If it does not exist.
    pub async fn delete_schedule(&self, group: &str, name: &str) -> Result<(), Error> {
        let id = id(group, name);
        let batch = vec![
            Write::Delete {
                key: key(&id),
                expect: Expect::Present,
            },
            run::forget(&id),
        ];
        match self.commit_schedules(batch).await {
            Err(store::Error::Conflict(_)) => Err(missing(name)),
            committed => Ok(committed?),
        }
    }

    /// All schedules, of one group or of all, by group and name.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn schedules(&self, group: Option<&str>) -> Result<Vec<ScheduleRecord>, Error> {
        let prefix = group.map(|it| format!("{it}/")).unwrap_or_default();
        let found = self.0.records.list(KIND, &prefix, None, LISTED_MAX).await?;
        found.iter().map(decode).collect()
    }

    /// Gets a mark whenever a schedule is changed.
    pub fn schedule_changes(&self) -> tokio::sync::watch::Receiver<()> {
        self.0.schedules.subscribe()
    }

    async fn commit_schedules(&self, batch: Vec<Write>) -> Result<(), store::Error> {
        self.commit(batch).await?;
        self.0.schedules.send_replace(());
        Ok(())
    }
}

/// Name of a schedule or a group.
fn check_name(name: &str) -> Result<(), Error> {
    let may_have = |it: char| it.is_ascii_alphanumeric() || "-_.".contains(it);
    if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.chars().all(may_have) {
        return Err(Error::Invalid(format!(
            "1 validation error detected: Value '{name}' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: [0-9a-zA-Z-_.]+, with 1 to {NAME_CHARS_MAX} characters"
        )));
    }
    Ok(())
}

fn missing(name: &str) -> Error {
    Error::NotFound("Schedule", name.to_owned())
}

fn id(group: &str, name: &str) -> String {
    format!("{group}/{name}")
}

fn key(id: &str) -> Key {
    Key {
        kind: KIND,
        id: id.to_owned(),
    }
}

fn put(record: &ScheduleRecord, expect: Expect) -> Write {
    Write::Put {
        key: key(&record.id()),
        value: super::record::encode(record),
        expect,
    }
}

fn decode<T: serde::de::DeserializeOwned>(record: &Record) -> Result<T, Error> {
    let read = serde_json::from_slice(&record.value);
    Ok(read.map_err(|error| store::Error::Failed(Box::new(error)))?)
}

/// Ranges of a group's schedules and their runs.
fn of_group(group: &str) -> Vec<Range> {
    let prefix = format!("{group}/");
    vec![Range::below(KIND, &prefix), run::of_group(&prefix)]
}
