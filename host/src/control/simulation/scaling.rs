//! Autoscaling in virtual time: the capacity follows load and schedules, and all of it survives a restart.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use super::operation::{Change, Operation};
use super::runtime;
use super::subjects::Qualified;
use super::world::World;
use crate::clock;
use crate::control::autoscaling::{
    ActionChoice, Activity, ActivityStatus, Registration, Statistic, TargetTracking,
};
use crate::invoke::{Invoke, Target};
use crate::names::RequestId;
use crate::payload::{Document, Event};

/// A world with one published version, and the task that scales.
struct Scene {
    world: World,
    target: Target,
    _scaling: Option<AbortOnDropHandle<()>>,
}

impl Scene {
    async fn new() -> Self {
        let mut world = World::new().await;
        let (package, publish) = (0, true);
        let change = Change::Create { package, publish };
        world.change(
            Operation {
                function: 0,
                change,
            },
            usize::MAX,
        );
        world.come_to_rest().await;
        Self {
            target: world.subjects.target(0, Qualified::Version(1)),
            _scaling: Some(scaling(&world)),
            world,
        }
    }

    /// Ends the process, and starts another after this time.
    async fn restart(&mut self, pause: Duration) {
        self._scaling = None;
        self.world.restart().await;
        self.pass(pause).await;
        self._scaling = Some(scaling(&self.world));
        self.pass(Duration::from_secs(2)).await;
    }

    async fn register(&self, min: u32, max: u32) {
        let choice = Registration {
            capacity_min: Some(min),
            capacity_max: Some(max),
            ..Registration::default()
        };
        let control = self.world.parts().0;
        let registered = control.register_scalable_target(&self.target, choice);
        registered.await.unwrap();
        // The task looks every second.
        self.pass(Duration::from_secs(2)).await;
    }

    async fn pass(&self, time: Duration) {
        self.world.parts().3.sleep(time).await;
    }

    async fn minutes(&self, minutes: u64) {
        self.pass(Duration::from_secs(60 * minutes)).await;
    }

    /// Provisioned concurrency.
    async fn capacity(&self) -> u32 {
        let qualifier = self.target.qualifier.as_ref().unwrap();
        let found = self.world.parts().0;
        let found = found.provisioned(&self.target.name, qualifier).await;
        found.map_or(0, |it| it.record.requested)
    }

    async fn activities(&self) -> Vec<Activity> {
        let targets = self.world.parts().0.scalable_targets().await.unwrap();
        targets[0].activities.iter().cloned().collect()
    }

    /// Callers that invoke without a pause, until this is dropped.
    fn callers(&self, count: usize) -> JoinSet<()> {
        let (_, invoker, _, clock) = self.world.parts();
        let mut callers = JoinSet::new();
        for _ in 0..count {
            let (invoker, clock, target) = (invoker.clone(), clock.clone(), self.target.clone());
            callers.spawn(async move {
                loop {
                    let event = Document::parse(r#"{"ms": 2500}"#.into()).unwrap();
                    let id = RequestId::random(&clock);
                    let invoke = Invoke::new(id, target.clone(), Event::Json(event));
                    let _answer = invoker.invoke(invoke).await;
                }
            });
        }
        callers
    }
}

fn scaling(world: &World) -> AbortOnDropHandle<()> {
    let control = world.parts().0;
    AbortOnDropHandle::new(tokio::spawn(async move { control.autoscale().await }))
}

fn tracking() -> TargetTracking {
    TargetTracking {
        target: 0.7,
        statistic: Statistic::Average,
        is_predefined: true,
        out_cooldown_seconds: None,
        in_cooldown_seconds: None,
        disable_scale_in: None,
    }
}

#[test]
fn provisioned_concurrency_follows_its_load() {
    clock::run_inline();
    runtime().block_on(async {
        let scene = Scene::new().await;
        scene.register(2, 6).await;
        assert_eq!(scene.capacity().await, 2);
        let control = scene.world.parts().0;
        let put = control.put_scaling_policy(&scene.target, "p", tracking());
        put.await.unwrap();
        let callers = scene.callers(2);
        scene.minutes(2).await;
        assert_eq!(scene.capacity().await, 2, "two minutes are too few");
        scene.minutes(4).await;
        assert_eq!(scene.capacity().await, 3, "two of three are below 70 %");
        let more = scene.callers(4);
        scene.minutes(8).await;
        assert_eq!(scene.capacity().await, 6);
        drop((callers, more));
        scene.minutes(14).await;
        assert_eq!(scene.capacity().await, 6);
        scene.minutes(4).await;
        assert_eq!(scene.capacity().await, 2);
        let activities = scene.activities().await;
        assert!(
            activities
                .iter()
                .all(|it| it.status == ActivityStatus::Successful)
        );
        let first = activities.last().unwrap();
        assert_eq!(first.cause, "minimum capacity was set to 2");
        assert_eq!(first.description, "Setting desired concurrency to 2.");
        assert!(activities[0].cause.contains("AlarmLow"), "{activities:?}");
    });
}

#[test]
fn frequent_changes_neither_stop_nor_repeat_scaling() {
    clock::run_inline();
    runtime().block_on(async {
        let scene = Scene::new().await;
        scene.register(2, 6).await;
        let control = scene.world.parts().0;
        let put = control.put_scaling_policy(&scene.target, "p", tracking());
        put.await.unwrap();
        let _callers = scene.callers(2);
        let found = control.find_scalable_target(&scene.target).await.unwrap();
        let id = found.expect("it is registered").id;
        let tags = [("at".to_owned(), "now".to_owned())];
        for _ in 0..1_000 {
            let tagged = control.tag_scalable_target(&id, tags.clone().into(), &[]);
            tagged.await.unwrap();
            scene.pass(Duration::from_millis(600)).await;
        }
        assert_eq!(scene.capacity().await, 3, "two of three are below 70 %");
    });
}

#[test]
fn scheduled_action_changes_bounds_once_over_a_restart() {
    clock::run_inline();
    runtime().block_on(async {
        let mut scene = Scene::new().await;
        scene.register(1, 2).await;
        let (control, .., clock) = scene.world.parts();
        let at = clock.now().after(Duration::from_secs(150)).utc();
        let choice = ActionChoice {
            schedule: Some(format!("at({})", at.strftime("%Y-%m-%dT%H:%M:%S"))),
            bounds: Some((Some(5), None)),
            ..ActionChoice::default()
        };
        let put = control.put_scheduled_action(&scene.target, "morning", choice);
        put.await.unwrap();
        drop(control);
        scene.minutes(2).await;
        assert_eq!(scene.capacity().await, 1);
        // It is due while no process runs the host.
        scene.restart(Duration::from_secs(60)).await;
        assert_eq!(scene.capacity().await, 5);
        // The registration is changed later, and the action does not come again.
        scene.register(1, 3).await;
        assert_eq!(scene.capacity().await, 3);
        scene.restart(Duration::ZERO).await;
        scene.minutes(3).await;
        assert_eq!(scene.capacity().await, 3);
    });
}

#[test]
fn refused_capacity_is_one_failed_activity() {
    clock::run_inline();
    runtime().block_on(async {
        let scene = Scene::new().await;
        // The host has twelve environments.
        scene.register(50, 60).await;
        scene.minutes(5).await;
        assert_eq!(scene.capacity().await, 0);
        let activities = scene.activities().await;
        let [failed] = &activities[..] else {
            panic!("{activities:?}")
        };
        assert_eq!(failed.status, ActivityStatus::Failed);
        assert!(
            failed
                .message
                .starts_with("Failed to set desired concurrency to 50. Reason: ")
        );
        assert!(failed.end > failed.start);
        scene.register(3, 60).await;
        assert_eq!(scene.capacity().await, 3);
    });
}

#[test]
fn deleted_function_has_no_scalable_targets() {
    clock::run_inline();
    runtime().block_on(async {
        let scene = Scene::new().await;
        scene.register(1, 2).await;
        let control = scene.world.parts().0;
        control.delete_function(&scene.target.name).await.unwrap();
        assert!(control.scalable_targets().await.unwrap().is_empty());
        scene.minutes(2).await;
    });
}
