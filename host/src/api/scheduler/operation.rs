//! Operations on schedules and groups: parsing and execution.

use std::collections::BTreeMap;

use http::request::Parts;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::{Fault, shape};
use crate::control::Control;
use crate::control::schedule::{Choice, DEFAULT_GROUP};
use crate::names::Home;

/// Entries of one page.
const PAGE_MAX: usize = 100;

/// An operation.
#[derive(Debug)]
pub(super) enum Operation {
    Create(Name, Box<Choice>),
    Update(Name, Box<Choice>),
    Get(Name),
    Delete(Name),
    List(Listing),
    CreateGroup(String, BTreeMap<String, String>),
    GetGroup(String),
    DeleteGroup(String),
    ListGroups(Listing),
    ListTags(String),
}

/// A schedule.
#[derive(Debug)]
pub(super) struct Name {
    group: String,
    name: String,
}

/// A page of a listing.
#[derive(Debug)]
pub(super) struct Listing {
    group: Option<String>,
    prefix: String,
    /// `ENABLED` or `DISABLED`.
    state: Option<String>,
    after: Option<String>,
    limit: usize,
}

impl Operation {
    pub(super) fn parse(parts: &Parts, body: &[u8]) -> Result<Self, Fault> {
        let path = percent_decode_str(parts.uri.path()).decode_utf8();
        let path = path.map_err(|_| Fault::invalid("The path is not UTF-8."))?;
        let path = path.trim_start_matches('/');
        let (root, rest) = path.split_once('/').unwrap_or((path, ""));
        let of_group = |group: Option<String>| Name {
            group: group.unwrap_or_else(|| DEFAULT_GROUP.into()),
            name: rest.to_owned(),
        };
        let name = || of_group(query(parts, "groupName"));
        let group = || rest.to_owned();
        match (root, parts.method.as_str(), rest.is_empty()) {
            ("schedules", "POST", false) => {
                let (group, choice) = shape::choice(&object(body)?)?;
                Ok(Self::Create(of_group(group), Box::new(choice)))
            }
            ("schedules", "PUT", false) => {
                let (group, choice) = shape::choice(&object(body)?)?;
                Ok(Self::Update(of_group(group), Box::new(choice)))
            }
            ("schedules", "GET", false) => Ok(Self::Get(name())),
            ("schedules", "DELETE", false) => Ok(Self::Delete(name())),
            ("schedules", "GET", true) => Ok(Self::List(Listing::of(parts)?)),
            ("schedule-groups", "POST", false) => {
                Ok(Self::CreateGroup(group(), shape::tags(&object(body)?)?))
            }
            ("schedule-groups", "GET", false) => Ok(Self::GetGroup(group())),
            ("schedule-groups", "DELETE", false) => Ok(Self::DeleteGroup(group())),
            ("schedule-groups", "GET", true) => Ok(Self::ListGroups(Listing::of(parts)?)),
            ("tags", "GET", false) => match rest.rsplit_once(":schedule-group/") {
                Some((_, group)) => Ok(Self::ListTags(group.to_owned())),
                None => Err(Fault::invalid(format!(
                    "{rest} is not the ARN of a schedule group."
                ))),
            },
            _ => Err(Fault::invalid(format!(
                "This host has no operation {} /{path} of EventBridge Scheduler.",
                parts.method
            ))),
        }
    }

    /// Action and resource for a policy.
    pub(super) fn demanded(&self, home: &Home) -> (String, String) {
        let Home { account, region } = home;
        let arn = |rest: String| format!("arn:aws:scheduler:{region}:{account}:{rest}");
        let schedule = |it: &Name| arn(format!("schedule/{}/{}", it.group, it.name));
        let group = |it: &String| arn(format!("schedule-group/{it}"));
        let (action, resource) = match self {
            Self::Create(name, _) => ("CreateSchedule", schedule(name)),
            Self::Update(name, _) => ("UpdateSchedule", schedule(name)),
            Self::Get(name) => ("GetSchedule", schedule(name)),
            Self::Delete(name) => ("DeleteSchedule", schedule(name)),
            Self::List(_) => ("ListSchedules", "*".into()),
            Self::CreateGroup(name, _) => ("CreateScheduleGroup", group(name)),
            Self::GetGroup(name) => ("GetScheduleGroup", group(name)),
            Self::DeleteGroup(name) => ("DeleteScheduleGroup", group(name)),
            Self::ListGroups(_) => ("ListScheduleGroups", "*".into()),
            Self::ListTags(name) => ("ListTagsForResource", group(name)),
        };
        (format!("scheduler:{action}"), resource)
    }

    pub(super) async fn run(self, control: &Control) -> Result<Value, Fault> {
        let home = control.home();
        Ok(match self {
            Self::Create(it, choice) => {
                let created = control.create_schedule(&it.group, &it.name, *choice);
                json!({"ScheduleArn": created.await?.arn(home)})
            }
            Self::Update(it, choice) => {
                let updated = control.update_schedule(&it.group, &it.name, *choice);
                json!({"ScheduleArn": updated.await?.arn(home)})
            }
            Self::Get(it) => shape::schedule(&control.schedule(&it.group, &it.name).await?, home),
            Self::Delete(it) => {
                control.delete_schedule(&it.group, &it.name).await?;
                json!({})
            }
            Self::List(listing) => {
                let all = control.schedules(listing.group.as_deref()).await?;
                let all = all
                    .iter()
                    .filter(|it| listing.has_state(it.choice.is_disabled));
                let named = all.map(|it| (&*it.name, format!("{}/{}", it.group, it.name), it));
                let (page, next) = listing.page(named);
                let page: Vec<_> = page.iter().map(|it| shape::summary(it, home)).collect();
                json!({"Schedules": page, "NextToken": next})
            }
            Self::CreateGroup(name, tags) => {
                let created = control.create_schedule_group(&name, tags);
                json!({"ScheduleGroupArn": created.await?.arn(home)})
            }
            Self::GetGroup(name) => shape::group(&control.schedule_group(&name).await?, home),
            Self::DeleteGroup(name) => {
                control.delete_schedule_group(&name).await?;
                json!({})
            }
            Self::ListGroups(listing) => {
                let all = control.schedule_groups().await?;
                let named = all.iter().map(|it| (&*it.name, it.name.clone(), it));
                let (page, next) = listing.page(named);
                let page: Vec<_> = page.iter().map(|it| shape::group(it, home)).collect();
                json!({"ScheduleGroups": page, "NextToken": next})
            }
            Self::ListTags(name) => {
                let tags = control.schedule_group(&name).await?.tags;
                let tags = tags
                    .iter()
                    .map(|(key, value)| json!({"Key": key, "Value": value}));
                json!({"Tags": tags.collect::<Vec<_>>()})
            }
        })
    }
}

impl Listing {
    fn of(parts: &Parts) -> Result<Self, Fault> {
        let limit = match query(parts, "MaxResults") {
            None => PAGE_MAX,
            Some(text) => {
                let limit = text.parse().ok().filter(|it| (1..=PAGE_MAX).contains(it));
                let text = format!("MaxResults must be from 1 to {PAGE_MAX}.");
                limit.ok_or_else(|| Fault::invalid(text))?
            }
        };
        Ok(Self {
            group: query(parts, "ScheduleGroup"),
            prefix: query(parts, "NamePrefix").unwrap_or_default(),
            state: query(parts, "State"),
            after: query(parts, "NextToken"),
            limit,
        })
    }

    fn has_state(&self, is_disabled: bool) -> bool {
        let own = if is_disabled { "DISABLED" } else { "ENABLED" };
        self.state.as_deref().is_none_or(|it| it == own)
    }

    /// Entries of this page, and the token of the next one.
    fn page<'a, T>(
        &self,
        all: impl Iterator<Item = (&'a str, String, &'a T)>,
    ) -> (Vec<&'a T>, Option<String>) {
        let after = self.after.as_deref();
        let is_wanted = |(name, id, _): &(&str, String, &T)| {
            name.starts_with(&self.prefix) && after.is_none_or(|after| id.as_str() > after)
        };
        let mut wanted = all.filter(is_wanted).peekable();
        let (mut page, mut last) = (Vec::new(), None);
        while page.len() < self.limit
            && let Some((_, id, entry)) = wanted.next()
        {
            page.push(entry);
            last = Some(id);
        }
        let next = wanted.peek().and(last);
        (page, next)
    }
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Fault> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(members),
        _ if body.is_empty() => Ok(Map::new()),
        _ => Err(Fault::invalid("The body must be a JSON object.")),
    }
}

fn query(parts: &Parts, name: &str) -> Option<String> {
    let query = parts.uri.query().unwrap_or_default().split('&');
    let mut values = query.filter_map(|it| it.strip_prefix(name)?.strip_prefix('='));
    let value = percent_decode_str(values.next()?).decode_utf8().ok()?;
    Some(value.into_owned())
}
