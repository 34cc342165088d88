//! JSON of schedules and groups, as AWS's clients send and read it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Fault;
use crate::clock::Timestamp;
use crate::control::schedule::group::GroupRecord;
use crate::control::schedule::{Choice, ScheduleRecord, ScheduleTarget};
use crate::names::Home;

/// Members that have an effect, or are kept and shown. `ClientToken` is ignored: a repeated request is a new one.
const MEMBERS: [&str; 12] = [
    "ActionAfterCompletion",
    "ClientToken",
    "Description",
    "EndDate",
    "FlexibleTimeWindow",
    "GroupName",
    "KmsKeyArn",
    "ScheduleExpression",
    "ScheduleExpressionTimezone",
    "StartDate",
    "State",
    "Target",
];
const TARGET_MEMBERS: [&str; 5] = ["Arn", "DeadLetterConfig", "Input", "RetryPolicy", "RoleArn"];
/// Defaults of AWS.
const RETRY_ATTEMPTS_DEFAULT: u32 = 185;
const EVENT_AGE_SECONDS_DEFAULT: u32 = 86_400;

/// Group and choices of a request.
pub(super) fn choice(body: &Map<String, Value>) -> Result<(Option<String>, Choice), Fault> {
    known(body, &MEMBERS)?;
    let choice = Choice {
        description: text(body, "Description")?,
        expression: required(text(body, "ScheduleExpression")?, "ScheduleExpression")?,
        zone: text(body, "ScheduleExpressionTimezone")?,
        start: moment(body, "StartDate")?,
        end: moment(body, "EndDate")?,
        window_minutes: window(body)?,
        is_disabled: is_other(body, "State", ["ENABLED", "DISABLED"])?,
        is_deleted_after: is_other(body, "ActionAfterCompletion", ["NONE", "DELETE"])?,
        kms_key: text(body, "KmsKeyArn")?,
        target: target(body)?,
    };
    Ok((text(body, "GroupName")?, choice))
}

/// True for the second of two words; the first is the default.
fn is_other(
    body: &Map<String, Value>,
    name: &str,
    [default, other]: [&str; 2],
) -> Result<bool, Fault> {
    match text(body, name)? {
        None => Ok(false),
        Some(word) if word == default => Ok(false),
        Some(word) if word == other => Ok(true),
        Some(word) => Err(Fault::invalid(format!(
            "1 validation error detected: Value '{word}' at '{name}' failed to satisfy constraint: \
             Member must satisfy enum value set: [{default}, {other}]"
        ))),
    }
}

fn target(body: &Map<String, Value>) -> Result<ScheduleTarget, Fault> {
    let target = required(object(body, "Target")?, "Target")?;
    known(target, &TARGET_MEMBERS)?;
    let none = Map::new();
    let retry = object(target, "RetryPolicy")?.unwrap_or(&none);
    let letter = object(target, "DeadLetterConfig")?.unwrap_or(&none);
    known(retry, &["MaximumEventAgeInSeconds", "MaximumRetryAttempts"])?;
    known(letter, &["Arn"])?;
    Ok(ScheduleTarget {
        arn: required(text(target, "Arn")?, "Target.Arn")?,
        role: required(text(target, "RoleArn")?, "Target.RoleArn")?,
        input: text(target, "Input")?,
        retry_attempts_max: number(retry, "MaximumRetryAttempts")?,
        event_age_max_seconds: number(retry, "MaximumEventAgeInSeconds")?,
        dead_letter: text(letter, "Arn")?,
    })
}

fn window(body: &Map<String, Value>) -> Result<Option<u32>, Fault> {
    let window = object(body, "FlexibleTimeWindow")?;
    let window = required(window, "FlexibleTimeWindow")?;
    known(window, &["MaximumWindowInMinutes", "Mode"])?;
    let minutes = number(window, "MaximumWindowInMinutes")?;
    let refused = |text: &str| Err(Fault::invalid(text));
    match (text(window, "Mode")?.as_deref(), minutes) {
        (Some("OFF"), None) => Ok(None),
        (Some("FLEXIBLE"), Some(minutes)) => Ok(Some(minutes)),
        (Some("OFF"), Some(_)) => {
            refused("MaximumWindowInMinutes cannot be set when FlexibleTimeWindow.Mode is OFF.")
        }
        (Some("FLEXIBLE"), None) => {
            refused("MaximumWindowInMinutes is required when FlexibleTimeWindow.Mode is FLEXIBLE.")
        }
        _ => refused("FlexibleTimeWindow.Mode must be OFF or FLEXIBLE."),
    }
}

/// Tags of a new group.
pub(super) fn tags(body: &Map<String, Value>) -> Result<BTreeMap<String, String>, Fault> {
    known(body, &["ClientToken", "Tags"])?;
    let list = match body.get("Tags") {
        None | Some(Value::Null) => return Ok(BTreeMap::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(Fault::invalid("Tags must be a list.")),
    };
    let pair = |tag: &Value| {
        let text = |name: &str| tag[name].as_str().map(str::to_owned);
        let pair = text("Key").zip(text("Value"));
        pair.ok_or_else(|| Fault::invalid("A tag has a Key and a Value."))
    };
    list.iter().map(pair).collect()
}

/// A schedule, as GetSchedule shows it.
pub(super) fn schedule(record: &ScheduleRecord, home: &Home) -> Value {
    let choice = &record.choice;
    let mut shown = summary(record, home);
    for (name, value) in [
        ("Description", &choice.description),
        ("KmsKeyArn", &choice.kms_key),
    ] {
        if let Some(value) = value {
            shown[name] = value.as_str().into();
        }
    }
    for (name, at) in [("StartDate", choice.start), ("EndDate", choice.end)] {
        if let Some(at) = at {
            shown[name] = seconds(at);
        }
    }
    shown["ScheduleExpression"] = choice.expression.as_str().into();
    shown["ScheduleExpressionTimezone"] = choice.zone.as_deref().unwrap_or("UTC").into();
    let action = if choice.is_deleted_after {
        "DELETE"
    } else {
        "NONE"
    };
    shown["ActionAfterCompletion"] = action.into();
    shown["FlexibleTimeWindow"] = match choice.window_minutes {
        Some(minutes) => json!({"Mode": "FLEXIBLE", "MaximumWindowInMinutes": minutes}),
        None => json!({"Mode": "OFF"}),
    };
    shown["Target"] = shown_target(&choice.target);
    shown
}

fn shown_target(target: &ScheduleTarget) -> Value {
    let age = target.event_age_max_seconds;
    let mut shown = json!({
        "Arn": target.arn,
        "RoleArn": target.role,
        "RetryPolicy": {
            "MaximumEventAgeInSeconds": age.unwrap_or(EVENT_AGE_SECONDS_DEFAULT),
            "MaximumRetryAttempts": target.retry_attempts_max.unwrap_or(RETRY_ATTEMPTS_DEFAULT),
        },
    });
    if let Some(input) = &target.input {
        shown["Input"] = input.as_str().into();
    }
    if let Some(arn) = &target.dead_letter {
        shown["DeadLetterConfig"] = json!({"Arn": arn});
    }
    shown
}

/// A schedule, as ListSchedules shows it.
pub(super) fn summary(record: &ScheduleRecord, home: &Home) -> Value {
    let state = match record.choice.is_disabled {
        true => "DISABLED",
        false => "ENABLED",
    };
    json!({
        "Arn": record.arn(home),
        "Name": record.name,
        "GroupName": record.group,
        "State": state,
        "CreationDate": seconds(record.created),
        "LastModificationDate": seconds(record.modified),
        "Target": {"Arn": record.choice.target.arn},
    })
}

/// A group.
pub(super) fn group(record: &GroupRecord, home: &Home) -> Value {
    json!({
        "Arn": record.arn(home),
        "Name": record.name,
        "State": "ACTIVE",
        "CreationDate": seconds(record.created),
        "LastModificationDate": seconds(record.modified),
    })
}

/// Time in seconds with a fraction.
fn seconds(at: Timestamp) -> Value {
    Duration::from_millis(at.millis()).as_secs_f64().into()
}

/// Refuses members that have no effect here.
fn known(members: &Map<String, Value>, names: &[&str]) -> Result<(), Fault> {
    match members.keys().find(|it| !names.contains(&it.as_str())) {
        Some(name) => Err(Fault::invalid(format!(
            "This host does not support {name}."
        ))),
        None => Ok(()),
    }
}

fn required<T>(value: Option<T>, name: &str) -> Result<T, Fault> {
    value.ok_or_else(|| {
        Fault::invalid(format!(
            "1 validation error detected: Value null at '{name}' failed to satisfy constraint: \
             Member must not be null"
        ))
    })
}

fn text(members: &Map<String, Value>, name: &str) -> Result<Option<String>, Fault> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Fault::invalid(format!("{name} must be a text."))),
    }
}

fn object<'a>(
    members: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<&'a Map<String, Value>>, Fault> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(members)) => Ok(Some(members)),
        Some(_) => Err(Fault::invalid(format!("{name} must be an object."))),
    }
}

fn number(members: &Map<String, Value>, name: &str) -> Result<Option<u32>, Fault> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let number = value.as_u64().and_then(|it| u32::try_from(it).ok());
            let text = format!("{name} must be a number.");
            number.map(Some).ok_or_else(|| Fault::invalid(text))
        }
    }
}

fn moment(members: &Map<String, Value>, name: &str) -> Result<Option<Timestamp>, Fault> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let since = value.as_f64();
            let since = since.and_then(|it| Duration::try_from_secs_f64(it).ok());
            let at = since.map(|it| Timestamp::from_millis(0).after(it));
            let text = format!("{name} must be a number of seconds since 1970.");
            at.map(Some).ok_or_else(|| Fault::invalid(text))
        }
    }
}
