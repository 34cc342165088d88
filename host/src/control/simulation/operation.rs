//! Changes of a history: operations of the control plane on one function.

use std::collections::BTreeMap;

use super::dice::Dice;
use super::subjects::{PACKAGES, Qualified, Subjects};
use crate::control::alias::AliasPatch;
use crate::control::configuration::Patch;
use crate::control::event_invoke::Choice;
use crate::control::function::Create;
use crate::control::permission::Grant;
use crate::control::tags::Tagged;
use crate::control::update::UpdateCode;
use crate::control::url::{Auth, UrlPatch};
use crate::control::version::Publish;
use crate::control::{Control, Error};
use crate::invoke::Target;
use crate::names::Qualifier;

/// A change of one function.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) function: usize,
    pub(super) change: Change,
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    Create { package: usize, publish: bool },
    Update { package: usize, publish: bool },
    Configure { seconds: u32 },
    Publish,
    Delete,
    DeleteVersion(u64),
    CreateAlias(Route),
    UpdateAlias(Route),
    DeleteAlias,
    Reserve(u32),
    Unreserve,
    Provision(Qualified, u32),
    Unprovision(Qualified),
    Permit { of_alias: bool },
    Forbid { of_alias: bool },
    ForbidAll { of_alias: bool },
    CreateUrl { of_alias: bool },
    UpdateUrl { of_alias: bool },
    DeleteUrl { of_alias: bool },
    Tag,
    Untag,
    Retry(Qualified),
    RetryNoMore(Qualified),
}

/// Versions that an alias leads to: one, and a second for half of its invocations.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    pub(super) version: u64,
    pub(super) second: Option<u64>,
}

impl Operation {
    pub(super) fn draw(dice: &Dice, subjects: &Subjects) -> Self {
        Self {
            function: dice.below(subjects.functions().len()),
            change: Change::draw(dice),
        }
    }

    #[expect(clippy::too_many_lines, reason = "a table of all changes")]
    pub(super) async fn run(self, control: Control, subjects: Subjects) -> Result<(), Error> {
        let name = subjects.name(self.function);
        let target = |of_alias: bool| Target {
            name: name.clone(),
            qualifier: subjects.alias(of_alias).map(Qualifier::Alias),
        };
        let alias = subjects.the_alias();
        let qualifier = |of: Qualified| subjects.qualifier(of);
        let at = |of: Qualified| subjects.target(self.function, of);
        let tagged = Tagged::Function(name.clone());
        let control = &control;
        match self.change {
            Change::Create { package, publish } => {
                let create = create(&subjects, self.function, package, publish);
                control.create_function(create).await.map(drop)
            }
            Change::Update { package, publish } => {
                let update = update(&subjects, package, publish);
                let updated = control.update_function_code(name, update);
                updated.await.map(drop)
            }
            Change::Configure { seconds } => {
                let (taking, requester) = (taking(seconds), subjects.requester());
                let updated =
                    control.update_function_configuration(name, taking, None, None, &requester);
                updated.await.map(drop)
            }
            Change::Publish => {
                let published = control.publish_version(name, Publish::default());
                published.await.map(drop)
            }
            Change::Delete => control.delete_function(name).await,
            Change::DeleteVersion(version) => control.delete_version(name, version).await,
            Change::CreateAlias(route) => {
                let made = control.create_alias(name, alias.clone(), route.patch());
                made.await.map(drop)
            }
            Change::UpdateAlias(route) => {
                let updated = control.update_alias(name, alias, route.patch());
                updated.await.map(drop)
            }
            Change::DeleteAlias => control.delete_alias(name, alias).await,
            Change::Reserve(reserved) => control.reserve(name, reserved).await,
            Change::Unreserve => control.unreserve(name).await,
            Change::Provision(of, environments) => {
                let asked = control.provision(name, qualifier(of), environments);
                asked.await.map(drop)
            }
            Change::Unprovision(of) => control.unprovision(name, &qualifier(of)).await,
            Change::Permit { of_alias } => {
                let (target, grant) = (target(of_alias), grant());
                let added = control.add_permission(&target, &grant, None);
                added.await.map(drop)
            }
            Change::Forbid { of_alias } => {
                control
                    .remove_permission(&target(of_alias), "s", None)
                    .await
            }
            Change::ForbidAll { of_alias } => control
                .delete_policy(&target(of_alias), None)
                .await
                .map(drop),
            Change::CreateUrl { of_alias } => {
                let alias = subjects.alias(of_alias);
                let made = control.create_url(name, alias, Auth::None, UrlPatch::default());
                made.await.map(drop)
            }
            Change::UpdateUrl { of_alias } => {
                let (alias, patch) = (subjects.alias(of_alias), closed());
                let updated = control.update_url(name, alias.as_ref(), patch);
                updated.await.map(drop)
            }
            Change::DeleteUrl { of_alias } => {
                let alias = subjects.alias(of_alias);
                control.delete_url(name, alias.as_ref()).await
            }
            Change::Tag => control.tag(&tagged, &tags()).await,
            Change::Untag => {
                let keys: Vec<String> = tags().into_keys().collect();
                control.untag(&tagged, &keys).await
            }
            Change::Retry(of) => {
                let choice = Choice {
                    retry_attempts_max: Some(1),
                    ..Choice::default()
                };
                control.put_event_invoke(at(of), choice).await.map(drop)
            }
            Change::RetryNoMore(of) => control.delete_event_invoke(&at(of)).await,
        }
    }
}

impl Change {
    fn draw(dice: &Dice) -> Self {
        let version = 1 + dice.below(3) as u64;
        let of = dice.pick(&[
            Qualified::Latest,
            Qualified::Version(version),
            Qualified::Alias,
        ]);
        let route = Route {
            version,
            second: dice.one_in(4).then_some(1 + version % 3),
        };
        let (package, of_alias) = (dice.below(PACKAGES), dice.one_in(2));
        let few = 1 + dice.few(4);
        match dice.below(40) {
            0..6 => Self::Create {
                package,
                publish: of_alias,
            },
            6..9 => Self::Update {
                package,
                publish: of_alias,
            },
            9 => Self::Configure { seconds: few },
            10..13 => Self::Publish,
            13..15 => Self::Delete,
            15 => Self::DeleteVersion(version),
            16..19 => Self::CreateAlias(route),
            19 => Self::UpdateAlias(route),
            20 => Self::DeleteAlias,
            21..24 => Self::Reserve(dice.pick(&[0, 2, 5, 10, 20, 60])),
            24 => Self::Unreserve,
            25..29 => Self::Provision(of, few),
            29 => Self::Unprovision(of),
            30 => Self::Permit { of_alias },
            31 => Self::Forbid { of_alias },
            32 => Self::ForbidAll { of_alias },
            33 => Self::CreateUrl { of_alias },
            34 => Self::UpdateUrl { of_alias },
            35 => Self::DeleteUrl { of_alias },
            36 => Self::Tag,
            37 => Self::Untag,
            38 => Self::Retry(of),
            _ => Self::RetryNoMore(of),
        }
    }
}

impl Route {
    fn patch(self) -> AliasPatch {
        let second = self.second.iter();
        AliasPatch {
            version: Some(Qualifier::Version(self.version)),
            weights: Some(second.map(|it| (it.to_string(), 0.5)).collect()),
            ..AliasPatch::default()
        }
    }
}

fn create(subjects: &Subjects, function: usize, package: usize, publish: bool) -> Create {
    Create {
        name: subjects.name(function).clone(),
        role: "arn:aws:iam::000000000000:role/r".into(),
        handler: "index.handler".into(),
        // Not one of this host's, so that nothing is compiled: the fake sandbox runs it.
        runtime: "java21".into(),
        choices: Patch::default(),
        layers: Vec::new(),
        package: subjects.package(package),
        tags: BTreeMap::new(),
        publish,
        code_signing: None,
    }
}

fn update(subjects: &Subjects, package: usize, publish: bool) -> UpdateCode {
    UpdateCode {
        package: subjects.package(package),
        architecture: None,
        revision: None,
        dry_run: false,
        publish,
    }
}

fn taking(seconds: u32) -> Patch {
    Patch {
        timeout_seconds: Some(seconds),
        ..Patch::default()
    }
}

fn grant() -> Grant {
    Grant {
        statement_id: "s".into(),
        action: "lambda:InvokeFunction".into(),
        principal: "111122223333".into(),
        ..Grant::default()
    }
}

fn closed() -> UrlPatch {
    UrlPatch {
        auth: Some(Auth::AwsIam),
        ..UrlPatch::default()
    }
}

fn tags() -> BTreeMap<String, String> {
    BTreeMap::from([("team".to_owned(), "a".to_owned())])
}
