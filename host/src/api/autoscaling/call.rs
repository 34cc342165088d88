//! Requests, parsed into the operation that they name and the one target that it is on.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::page::Page;
use super::request::{Request, invalid, name, required};
use super::shape;
use crate::api::aws_json::Fault;
use crate::control::Control;
use crate::control::autoscaling::{ActionChoice, Registration, ScalingRecord, TargetTracking};
use crate::invoke::Target;
use crate::names::Home;

/// Policies of a page, as in AWS.
const POLICIES_MAX: usize = 10;

/// A call of an operation.
#[derive(Debug)]
pub(super) enum Call {
    Register(Target, Registration),
    Deregister(Target),
    PutPolicy(Target, String, TargetTracking),
    DeletePolicy(Target, String),
    PutAction(Target, String, ActionChoice),
    DeleteAction(Target, String),
    Targets(Vec<String>, Page),
    Policies(Filter, Page),
    Actions(Filter, Page),
    Activities(Option<String>, Page),
    /// By the id in the ARN.
    Tags(String),
    Tag(String, BTreeMap<String, String>),
    Untag(String, Vec<String>),
}

/// Policies or scheduled actions to list.
#[derive(Debug)]
pub(super) struct Filter {
    resource: Option<String>,
    /// All, if there are none.
    names: Vec<String>,
}

impl Filter {
    fn has(&self, resource: &str, name: &str) -> bool {
        self.resource.as_deref().is_none_or(|it| it == resource)
            && (self.names.is_empty() || self.names.iter().any(|it| it == name))
    }
}

impl Call {
    pub(super) fn parse(operation: &str, body: &[u8], home: &Home) -> Result<Self, Fault> {
        let request = Request::parse(body)?;
        let policy = || name("policyName", request.policy_name.as_ref());
        let action = || {
            name(
                "scheduledActionName",
                request.scheduled_action_name.as_ref(),
            )
        };
        let filter = |names: &[String]| {
            request.require_listed()?;
            Ok::<_, Fault>(Filter {
                resource: request.resource_id.clone(),
                names: names.to_vec(),
            })
        };
        let page = || Page::parse(&request);
        Ok(match operation {
            "RegisterScalableTarget" => Self::Register(request.target()?, request.registration()?),
            "DeregisterScalableTarget" => Self::Deregister(request.target()?),
            "PutScalingPolicy" => {
                let target = request.target()?;
                let tracking = request.tracking(&target)?;
                Self::PutPolicy(target, policy()?, tracking)
            }
            "DeleteScalingPolicy" => Self::DeletePolicy(request.target()?, policy()?),
            "PutScheduledAction" => {
                Self::PutAction(request.target()?, action()?, request.action()?)
            }
            "DeleteScheduledAction" => Self::DeleteAction(request.target()?, action()?),
            "DescribeScalableTargets" => {
                request.require_lambda(false)?;
                Self::Targets(request.resource_ids.clone(), page()?)
            }
            "DescribeScalingPolicies" => {
                let page = Page::parse_within(&request, POLICIES_MAX)?;
                Self::Policies(filter(&request.policy_names)?, page)
            }
            "DescribeScheduledActions" => {
                Self::Actions(filter(&request.scheduled_action_names)?, page()?)
            }
            "DescribeScalingActivities" => {
                request.require_listed()?;
                request.require_scaled()?;
                Self::Activities(request.resource_id.clone(), page()?)
            }
            "ListTagsForResource" => Self::Tags(tagged(&request, home)?),
            "TagResource" => Self::Tag(tagged(&request, home)?, request.sound_tags()?),
            "UntagResource" => Self::Untag(tagged(&request, home)?, request.tag_keys.clone()),
            _ => {
                let text = format!("This host does not offer {operation} yet.");
                return Err(Fault::new("UnknownOperationException", text));
            }
        })
    }

    /// The scalable target that it is on.
    pub(super) fn target(&self) -> Option<&Target> {
        match self {
            Self::Register(target, _)
            | Self::Deregister(target)
            | Self::PutPolicy(target, ..)
            | Self::DeletePolicy(target, _)
            | Self::PutAction(target, ..)
            | Self::DeleteAction(target, _) => Some(target),
            Self::Targets(..)
            | Self::Policies(..)
            | Self::Actions(..)
            | Self::Activities(..)
            | Self::Tags(_)
            | Self::Tag(..)
            | Self::Untag(..) => None,
        }
    }

    pub(super) fn is_of_tags(&self) -> bool {
        matches!(self, Self::Tags(_) | Self::Tag(..) | Self::Untag(..))
    }

    /// The registered scalable target that it is on, if there is one.
    pub(super) async fn scalable_target(
        &self,
        control: &Control,
    ) -> Result<Option<ScalingRecord>, Fault> {
        match (self, self.target()) {
            (Self::Tags(id) | Self::Tag(id, _) | Self::Untag(id, _), _) => {
                let all = control.scalable_targets().await?;
                Ok(all.into_iter().find(|it| it.id == *id))
            }
            (_, Some(target)) => Ok(control.find_scalable_target(target).await?),
            (_, None) => Ok(None),
        }
    }

    /// ARN for authorization. Operations that list have none; before its registration, a target has no id.
    pub(super) fn resource(&self, home: &Home, found: Option<&ScalingRecord>) -> String {
        match (self, found) {
            (_, Some(record)) => shape::target_arn(home, &record.id),
            (Self::Tags(id) | Self::Tag(id, _) | Self::Untag(id, _), None) => {
                shape::target_arn(home, id)
            }
            (_, None) if self.target().is_some() => shape::target_arn(home, "*"),
            (_, None) => "*".to_owned(),
        }
    }

    pub(super) async fn run(self, control: &Control) -> Result<Value, Fault> {
        let home = control.home();
        match self {
            Self::Register(target, choice) => {
                let made = control.register_scalable_target(&target, choice).await?;
                Ok(json!({"ScalableTargetARN": shape::target_arn(home, &made.id)}))
            }
            Self::Deregister(target) => {
                control.deregister_scalable_target(&target).await?;
                Ok(json!({}))
            }
            Self::PutPolicy(target, name, tracking) => {
                let made = control.put_scaling_policy(&target, &name, tracking).await?;
                let resource = resource_of(&target);
                let arn = shape::policy_arn(home, &made.id, &resource, &name);
                // The host has no alarms: it measures itself.
                Ok(json!({"PolicyARN": arn, "Alarms": []}))
            }
            Self::DeletePolicy(target, name) => {
                control.delete_scaling_policy(&target, &name).await?;
                Ok(json!({}))
            }
            Self::PutAction(target, name, choice) => {
                control.put_scheduled_action(&target, &name, choice).await?;
                Ok(json!({}))
            }
            Self::DeleteAction(target, name) => {
                control.delete_scheduled_action(&target, &name).await?;
                Ok(json!({}))
            }
            Self::Tags(id) => Ok(json!({"Tags": control.scalable_target(&id).await?.tags})),
            Self::Tag(id, tags) => {
                control.tag_scalable_target(&id, tags, &[]).await?;
                Ok(json!({}))
            }
            Self::Untag(id, keys) => {
                let none = BTreeMap::new();
                control.tag_scalable_target(&id, none, &keys).await?;
                Ok(json!({}))
            }
            listing => {
                let records = control.scalable_targets().await?;
                Ok(listing.list(home, &records))
            }
        }
    }

    /// Answers of the operations that list.
    fn list(self, home: &Home, records: &[ScalingRecord]) -> Value {
        match self {
            Self::Targets(ids, page) => {
                let wanted =
                    |it: &&ScalingRecord| ids.is_empty() || ids.contains(&it.resource_id());
                let found = records.iter().filter(wanted);
                page.of("ScalableTargets", found.map(|it| shape::target(home, it)))
            }
            Self::Policies(filter, page) => {
                let all = records.iter().flat_map(|record| {
                    let policies = record.policies.iter();
                    policies.map(move |(name, policy)| (record, name, policy))
                });
                let found = all.filter(|(record, name, _)| filter.has(&record.resource_id(), name));
                let shown = found.map(|(record, name, it)| shape::policy(home, record, name, it));
                page.of("ScalingPolicies", shown)
            }
            Self::Actions(filter, page) => {
                let all = records.iter().flat_map(|record| {
                    let actions = record.actions.iter();
                    actions.map(move |(name, action)| (record, name, action))
                });
                let found = all.filter(|(record, name, _)| filter.has(&record.resource_id(), name));
                let shown = found.map(|(record, name, it)| shape::action(home, record, name, it));
                page.of("ScheduledActions", shown)
            }
            Self::Activities(resource, page) => {
                let wanted = |it: &&ScalingRecord| {
                    resource
                        .as_ref()
                        .is_none_or(|resource| it.resource_id() == *resource)
                };
                let found = records.iter().filter(wanted).flat_map(|record| {
                    let activities = record.activities.iter();
                    activities.map(move |activity| (record, activity))
                });
                let mut found: Vec<_> = found.collect();
                found.sort_by_key(|(_, activity)| Reverse(activity.start));
                let found = found.into_iter();
                let shown = found.map(|(record, it)| shape::activity(record, it));
                page.of("ScalingActivities", shown)
            }
            _ => Value::Null,
        }
    }
}

fn resource_of(target: &Target) -> String {
    let qualifier = target.qualifier.as_ref().map(ToString::to_string);
    format!("function:{}:{}", target.name, qualifier.unwrap_or_default())
}

/// The id in the ARN of a scalable target.
fn tagged(request: &Request, home: &Home) -> Result<String, Fault> {
    let arn = required("resourceARN", request.resource_arn.as_ref())?;
    let id = arn.strip_prefix(&shape::target_arn(home, ""));
    let id = id.map(str::to_owned);
    id.ok_or_else(|| {
        invalid(format!(
            "{arn} is not the ARN of a scalable target of this host"
        ))
    })
}
