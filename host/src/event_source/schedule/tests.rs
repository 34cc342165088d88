//! Schedules in simulated time, against the fake sandbox.

use std::collections::BTreeMap;

use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::control::configuration::Patch;
use crate::control::function::Create;
use crate::control::schedule::{Choice, DEFAULT_GROUP, ScheduleTarget};
use crate::control::simulation::{World, package, runtime};
use crate::events::Timeline;
use crate::library::{Delivery, Origin, Requester};
use crate::names::FunctionName;
use crate::outbound::aws::{self, Aws};
use crate::outbound::{Client, Trust};
use crate::store::object::Objects;
use crate::store::queue::Queue;
use crate::store::queue::memory::Memory;
use crate::telemetry::metrics::Metrics;

/// A host that runs schedules.
struct Scene {
    world: World,
    queue: Arc<Memory>,
    /// Goes on over restarts.
    clock: Clock,
    _tasks: [AbortOnDropHandle<()>; 2],
}

const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";

impl Scene {
    async fn new() -> Self {
        let world = World::new().await;
        let (.., clock) = world.parts();
        let scene = Self::over(world, Memory::default(), clock);
        let create = Create {
            name: FunctionName::parse("f").unwrap(),
            role: "arn:aws:iam::000000000000:role/r".into(),
            handler: "index.handler".into(),
            // The fake sandbox runs it.
            runtime: "nodejs22.x".into(),
            choices: Patch::default(),
            layers: Vec::new(),
            package: Delivery::new(
                Origin::Upload(package(0)),
                Requester::new("caller", "function"),
            ),
            tags: BTreeMap::new(),
            publish: false,
            code_signing: None,
        };
        scene.control().create_function(create).await.unwrap();
        scene.world.pass_time().await;
        scene
    }

    fn over(world: World, queue: Memory, clock: Clock) -> Self {
        let queue = Arc::new(queue);
        let (control, invoker, ..) = world.parts();
        let client = Client::new(Trust::default(), clock.clone());
        let events = Events::new(
            Arc::clone(&queue) as Arc<dyn Queue>,
            invoker.clone(),
            (Aws::new(client, aws::Config::default()), Objects::none()),
            Metrics::default(),
            200,
            Timeline::new(clock.clone()),
        );
        let schedules = Schedules::new(control, invoker, events.clone(), clock.clone());
        let dispatch = tokio::spawn(async move { events.run().await });
        let runner = tokio::spawn(async move { schedules.run().await });
        Self {
            world,
            queue,
            clock,
            _tasks: [dispatch, runner].map(AbortOnDropHandle::new),
        }
    }

    /// The same host after a `kill -9`, and so many seconds.
    async fn restart(self, seconds: u64) -> Self {
        let (memory, queue) = (self.world.memory(), self.queue.restart());
        let clock = self.clock.clone();
        drop(self);
        clock.sleep(Duration::from_secs(seconds)).await;
        Self::over(World::over(memory).await, queue, clock)
    }

    fn control(&self) -> Control {
        self.world.parts().0
    }

    async fn wait(&self, seconds: u64) {
        self.clock.sleep(Duration::from_secs(seconds)).await;
    }

    async fn schedule(&self, name: &str, expression: &str, change: impl Fn(&mut Choice)) {
        let mut choice = Choice {
            expression: expression.into(),
            target: ScheduleTarget {
                arn: ARN.into(),
                role: "arn:aws:iam::000000000000:role/r".into(),
                ..ScheduleTarget::default()
            },
            ..Choice::default()
        };
        change(&mut choice);
        let control = self.control();
        let created = control.create_schedule(DEFAULT_GROUP, name, choice);
        created.await.unwrap();
    }

    /// Minutes of the hour in which the function ran since the last call.
    fn ran(&self) -> Vec<u64> {
        let begun = std::mem::take(&mut self.world.guests().counts().begun);
        begun.iter().map(|it| it.at.secs() / 60 % 60).collect()
    }
}

fn simulate(test: impl Future<Output = ()>) {
    crate::clock::run_inline();
    runtime().block_on(test);
}

#[test]
fn schedule_runs_at_its_times_until_it_is_disabled() {
    simulate(async {
        let scene = Scene::new().await;
        // The simulation begins on the hour.
        scene.schedule("s", "cron(0/20 * * * ? *)", |_| {}).await;
        scene.wait(3_500).await;
        assert_eq!(scene.ran(), [20, 40]);
        let control = scene.control();
        let mut choice = control.schedule(DEFAULT_GROUP, "s").await.unwrap().choice;
        choice.is_disabled = true;
        let changed = control.update_schedule(DEFAULT_GROUP, "s", choice);
        changed.await.unwrap();
        scene.wait(7_200).await;
        assert_eq!(scene.ran(), [0; 0]);
    });
}

#[test]
fn schedule_that_is_over_is_deleted_if_it_asks_for_that() {
    simulate(async {
        let scene = Scene::new().await;
        let at = "at(2026-01-01T00:30:00)";
        scene.schedule("kept", at, |_| {}).await;
        scene
            .schedule("gone", at, |it| it.is_deleted_after = true)
            .await;
        scene.wait(7_200).await;
        assert_eq!(scene.ran(), [30, 30]);
        let left = scene.control().schedules(None).await.unwrap();
        let names: Vec<_> = left.into_iter().map(|it| it.name).collect();
        assert_eq!(names, ["kept"]);
    });
}

#[test]
fn runs_missed_by_a_host_that_was_down_are_made_up_for_once() {
    simulate(async {
        let scene = Scene::new().await;
        scene.schedule("s", "rate(10 minutes)", |_| {}).await;
        scene
            .schedule("once", "at(2026-01-01T00:45:00)", |_| {})
            .await;
        scene.wait(1_500).await;
        assert_eq!(scene.ran().len(), 2);
        // Down from 00:25 to 00:55: two runs of the rate, and the one at 00:45.
        let scene = scene.restart(1_800).await;
        scene.wait(60).await;
        assert_eq!(scene.ran().len(), 2);
        scene.wait(700).await;
        // The next one is that of 01:00.
        assert_eq!(scene.ran().len(), 1);
        // Nothing is made up for twice.
        let scene = scene.restart(10).await;
        scene.wait(60).await;
        assert_eq!(scene.ran(), [0; 0]);
    });
}

#[test]
fn flexible_run_begins_within_its_window() {
    simulate(async {
        let scene = Scene::new().await;
        let flexible = |it: &mut Choice| it.window_minutes = Some(15);
        scene
            .schedule("s", "at(2026-01-01T00:30:00)", flexible)
            .await;
        scene.wait(1_790).await;
        assert_eq!(scene.ran(), [0; 0]);
        scene.wait(20 * 60).await;
        let ran = scene.ran();
        assert!(ran.len() == 1 && (30..45).contains(&ran[0]), "{ran:?}");
    });
}

#[test]
fn run_of_a_missing_function_goes_to_the_dead_letter_queue() {
    simulate(async {
        let scene = Scene::new().await;
        let queue = "arn:aws:sqs:us-east-1:000000000000:q";
        let missing = |it: &mut Choice| {
            it.target.arn = format!("{ARN}2");
            it.target.dead_letter = Some(queue.into());
            it.target.input = Some(r#"{"at":"<aws.scheduler.scheduled-time>"}"#.into());
        };
        scene
            .schedule("s", "at(2026-01-01T00:30:00)", missing)
            .await;
        scene.wait(1_900).await;
        let lane = format!("deliver/{queue}").into();
        let letters = scene.queue.list(&lane, None, 9).await.unwrap();
        assert_eq!(letters.len(), 1);
        let body = scene.queue.body(&letters[0]).await.unwrap();
        assert_eq!(&body[..], br#"{"at":"2026-01-01T00:30:00Z"}"#);
        let head = String::from_utf8_lossy(&letters[0].head);
        assert!(head.contains("ResourceNotFoundException"), "{head}");
    });
}
