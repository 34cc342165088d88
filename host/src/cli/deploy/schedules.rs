//! Schedules of a function, as its project wants them. They are in a group of their own, below the name of the function, so
//! that schedules made otherwise are neither changed nor deleted.

use anyhow::Context;
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::ROLE;
use crate::cli::client::{Client, is_conflict, is_denied, is_missing};
use crate::cli::project::manifest::Schedule;

/// Group of all schedules of manifests.
const GROUP: &str = "lamina";

/// Creates missing schedules of a function, updates those that differ, and deletes the others in the group. True if any
/// changed.
pub(super) async fn apply(
    client: &Client,
    (function, arn): (&str, &str),
    wanted: &[Schedule],
) -> anyhow::Result<bool> {
    let found = match names(client, function).await {
        // No manifest had schedules before.
        Err(error) if is_missing(&error) => Vec::new(),
        // A user who declares no schedules needs no permission to list them.
        Err(error) if wanted.is_empty() && is_denied(&error) => return Ok(false),
        found => found?,
    };
    if !wanted.is_empty() {
        make_group(client).await?;
    }
    let mut has_changed = false;
    for schedule in wanted {
        let name = full_name(function, &schedule.name);
        let settings = settings(schedule, arn);
        let applied = put(client, &name, &settings, found.contains(&name)).await;
        has_changed |= applied.with_context(|| format!("schedule {}", schedule.name))?;
    }
    let is_wanted = |name: &str| {
        wanted
            .iter()
            .any(|it| full_name(function, &it.name) == name)
    };
    for name in found.iter().filter(|it| !is_wanted(it)) {
        send(client, Method::DELETE, &path(name), None).await?;
        has_changed = true;
    }
    Ok(has_changed)
}

/// Name in the group. No function has a dot in its name, so that no two share a prefix.
fn full_name(function: &str, name: &str) -> String {
    format!("{function}.{name}")
}

fn path(name: &str) -> String {
    format!("/schedules/{name}?groupName={GROUP}")
}

/// Names of the schedules of a function in the group.
async fn names(client: &Client, function: &str) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    let mut next = String::new();
    loop {
        let prefix = full_name(function, "");
        let path = format!("/schedules?ScheduleGroup={GROUP}&NamePrefix={prefix}{next}");
        let page = send(client, Method::GET, &path, None).await?;
        let found = page["Schedules"].as_array().into_iter().flatten();
        names.extend(found.filter_map(|it| it["Name"].as_str().map(str::to_owned)));
        match page["NextToken"].as_str() {
            Some(token) => next = format!("&NextToken={}", token.replace('/', "%2F")),
            None => return Ok(names),
        }
    }
}

async fn make_group(client: &Client) -> anyhow::Result<()> {
    let path = format!("/schedule-groups/{GROUP}");
    let made = send(client, Method::POST, &path, Some(&json!({}))).await;
    match made {
        Err(error) if is_conflict(&error) => Ok(()),
        made => made.map(drop),
    }
}

/// Creates or updates a schedule; false if it is as wanted.
async fn put(
    client: &Client,
    name: &str,
    settings: &Value,
    is_there: bool,
) -> anyhow::Result<bool> {
    let method = match is_there {
        false => Method::POST,
        true => {
            let shown = send(client, Method::GET, &path(name), None).await?;
            if !differs(settings, &shown) {
                return Ok(false);
            }
            Method::PUT
        }
    };
    let path = format!("/schedules/{name}");
    send(client, method, &path, Some(settings)).await?;
    Ok(true)
}

/// Members of the schedule.
fn settings(schedule: &Schedule, arn: &str) -> Value {
    let window = match schedule.flexible_minutes {
        Some(minutes) => json!({"Mode": "FLEXIBLE", "MaximumWindowInMinutes": minutes}),
        None => json!({"Mode": "OFF"}),
    };
    let state = match schedule.enabled {
        Some(false) => "DISABLED",
        _ => "ENABLED",
    };
    let mut target = json!({"Arn": arn, "RoleArn": ROLE});
    if let Some(input) = &schedule.input {
        target["Input"] = input.as_str().into();
    }
    json!({
        "GroupName": GROUP,
        "ScheduleExpression": schedule.expression,
        "ScheduleExpressionTimezone": schedule.timezone.as_deref().unwrap_or("UTC"),
        "FlexibleTimeWindow": window,
        "State": state,
        "Target": target,
    })
}

/// True if a schedule has other settings. It shows defaults of its target, too.
fn differs(settings: &Value, shown: &Value) -> bool {
    let members = settings.as_object().into_iter().flatten();
    members.into_iter().any(|(member, wanted)| match &**member {
        "Target" => ["Arn", "Input"]
            .iter()
            .any(|it| wanted[it] != shown[member][it]),
        _ => *wanted != shown[member],
    })
}

async fn send(
    client: &Client,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> anyhow::Result<Value> {
    let headers = [("content-type", "application/json")];
    let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
    let answer = client
        .send("scheduler", method, path, &headers, body)
        .await?;
    serde_json::from_slice(&answer.body).context("the host's response is not JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_schedule_does_not_differ() {
        let schedule: Schedule =
            toml::from_str("name = \"n\"\nexpression = \"rate(1 minute)\"\ninput = \"{}\"")
                .unwrap();
        let wanted = settings(&schedule, "arn:f");
        let mut shown = wanted.clone();
        shown["Target"]["RetryPolicy"] = json!({"MaximumRetryAttempts": 185});
        shown["CreationDate"] = json!(1.5);
        assert!(!differs(&wanted, &shown));
        for (member, value) in [
            ("State", json!("DISABLED")),
            ("ScheduleExpression", json!("rate(2 minutes)")),
            ("Target", json!({"Arn": "arn:f"})),
        ] {
            let mut other = shown.clone();
            other[member] = value;
            assert!(differs(&wanted, &other), "{member}");
        }
    }
}
