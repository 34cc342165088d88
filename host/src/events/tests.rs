//! Events through the pipeline, in simulated time, against the fake sandbox and the queue in memory.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::control::Control;
use crate::control::alias::AliasPatch;
use crate::control::configuration::Patch;
use crate::control::event_invoke::Choice;
use crate::control::function::Create;
use crate::control::simulation::{World, package, runtime};
use crate::control::update::UpdateCode;
use crate::invoke::snapshot::destination::{Destinations, End};
use crate::invoke::{Finished, Invoke, Target};
use crate::library::{Delivery, Origin, Requester};
use crate::names::{AliasName, FunctionName, Qualifier, RequestId};
use crate::outbound::aws;
use crate::outbound::{Client, Trust};
use crate::payload::Document;
use crate::sandbox::fake::{Begun, Guests};
use crate::store::queue::memory::Memory;
use crate::telemetry::metrics::Gauges;

/// A host with events.
struct Scene {
    world: World,
    events: Events,
    queue: Arc<Memory>,
    metrics: Metrics,
    dispatch: AbortOnDropHandle<()>,
}

fn target(text: &str) -> Target {
    let (name, qualifier) = match text.split_once(':') {
        Some((name, qualifier)) => (name, Some(qualifier)),
        None => (text, None),
    };
    Target {
        name: FunctionName::parse(name).unwrap(),
        qualifier: qualifier.map(|it| Qualifier::parse(it).unwrap()),
    }
}

fn delivery(number: usize) -> Delivery {
    let origin = Origin::Upload(package(number));
    Delivery::new(origin, Requester::new("caller", "function"))
}

fn run_events(events: &Events) -> AbortOnDropHandle<()> {
    let events = events.clone();
    AbortOnDropHandle::new(tokio::spawn(async move { events.run().await }))
}

impl Scene {
    async fn new(functions: &[&str]) -> Self {
        let world = World::new().await;
        let scene = Self::over(world, Memory::default());
        for name in functions {
            scene.create(name).await;
        }
        scene
    }

    fn over(world: World, queue: Memory) -> Self {
        let (queue, metrics) = (Arc::new(queue), Metrics::default());
        let (_, invoker, _, clock) = world.parts();
        let same = Arc::clone(&queue) as Arc<dyn Queue>;
        let aws = Aws::new(
            Client::new(Trust::default(), clock.clone()),
            aws::Config::default(),
        );
        let services = (aws, Objects::none());
        let timeline = Timeline::new(clock);
        let events = Events::new(same, invoker, services, metrics.clone(), 200, timeline);
        Self {
            dispatch: run_events(&events),
            world,
            events,
            queue,
            metrics,
        }
    }

    /// The same host after a `kill -9`.
    async fn restart(self) -> Self {
        drop(self.dispatch);
        let world = World::over(self.world.memory()).await;
        Self::over(world, self.queue.restart())
    }

    fn control(&self) -> Control {
        self.world.parts().0
    }

    fn guests(&self) -> Arc<Guests> {
        self.world.guests()
    }

    async fn create(&self, name: &str) {
        let create = Create {
            name: FunctionName::parse(name).unwrap(),
            role: "arn:aws:iam::000000000000:role/r".into(),
            handler: "index.handler".into(),
            // The fake sandbox runs it.
            runtime: "java21".into(),
            choices: Patch {
                timeout_seconds: Some(900),
                ..Patch::default()
            },
            layers: Vec::new(),
            package: delivery(0),
            tags: BTreeMap::new(),
            publish: true,
            code_signing: None,
        };
        self.control().create_function(create).await.unwrap();
        self.world.pass_time().await;
    }

    fn invoke(&self, to: &str, event: &Value) -> Invoke {
        let event = Document::from(event.clone());
        let (.., clock) = self.world.parts();
        Invoke::new(RequestId::random(&clock), target(to), Event::Json(event))
    }

    /// Sends an event; returns its request id.
    async fn send(&self, to: &str, event: Value) -> RequestId {
        self.try_send(to, &event).await.unwrap()
    }

    async fn try_send(&self, to: &str, event: &Value) -> Result<RequestId, Error> {
        let invoke = self.invoke(to, event);
        let id = invoke.request_id;
        let invoker = self.world.parts().1;
        let resolved = invoker.resolve(invoke).await.expect("it is there");
        self.events.accept(resolved).await?;
        Ok(id)
    }

    /// Invokes synchronously, on a task.
    fn call(&self, to: &str, event: Value) -> JoinHandle<Finished> {
        let (invoker, invoke) = (self.world.parts().1, self.invoke(to, &event));
        tokio::spawn(async move { invoker.invoke(invoke).await.expect("it can run") })
    }

    async fn wait(&self, seconds: u64) {
        let (.., clock) = self.world.parts();
        clock.sleep(Duration::from_secs(seconds)).await;
    }

    /// Invocations that began since the last call.
    fn begun(&self) -> Vec<Begun> {
        std::mem::take(&mut self.guests().counts().begun)
    }

    /// Seconds since the first of the invocations, of each.
    fn seconds(begun: &[Begun]) -> Vec<u64> {
        let first = begun.first().map_or(0, |it| it.at.millis());
        begun
            .iter()
            .map(|it| (it.at.millis() - first + 500) / 1_000)
            .collect()
    }

    fn queued(&self) -> u64 {
        self.events.depths().iter().map(|(_, depth)| depth).sum()
    }

    /// Value of a metric of a function.
    fn metric(&self, name: &str, function: &str) -> u64 {
        let page = self.metrics.page(Gauges::default());
        let series = format!("lamina_{name}{{function=\"{function}\"}} ");
        let line = page.lines().find_map(|line| line.strip_prefix(&*series));
        line.map_or(0, |value| value.parse().unwrap())
    }

    async fn choose(&self, to: &str, retries: Option<u32>, age_seconds: Option<u32>) {
        let choice = Choice {
            retry_attempts_max: retries,
            event_age_max_seconds: age_seconds,
            destinations: None,
        };
        let control = self.control();
        let chosen = control.put_event_invoke(target(to), choice);
        chosen.await.unwrap();
    }

    async fn reserve(&self, name: &str, reserved: u32) {
        let name = FunctionName::parse(name).unwrap();
        self.control().reserve(&name, reserved).await.unwrap();
    }
}

fn trap() -> Value {
    json!({"trap": true})
}

/// Runs a test in simulated time.
fn simulate(test: impl Future<Output = ()>) {
    crate::clock::run_inline();
    runtime().block_on(test);
}

#[test]
fn event_runs_at_once_and_leaves_the_queue() {
    simulate(async {
        let scene = Scene::new(&["f"]).await;
        let id = scene.send("f", json!({})).await;
        scene.wait(1).await;
        let begun = scene.begun();
        assert_eq!(begun.len(), 1);
        assert_eq!(begun[0].request_id, id);
        assert_eq!((scene.queued(), scene.events.in_flight()), (0, 0));
        assert_eq!(scene.metric("async_events_received_total", "f"), 1);
        assert_eq!(scene.metric("async_events_dropped_total", "f"), 0);
        assert_eq!(scene.metric("async_event_age_seconds_count", "f"), 1);
    });
}

#[test]
fn failing_event_is_retried_after_one_and_two_minutes_with_its_id() {
    simulate(async {
        let scene = Scene::new(&["f"]).await;
        let id = scene.send("f", trap()).await;
        scene.wait(170).await;
        assert_eq!(scene.queued(), 1);
        scene.wait(3_600).await;
        let begun = scene.begun();
        assert_eq!(Scene::seconds(&begun), [0, 60, 180]);
        assert!(begun.iter().all(|it| it.request_id == id));
        assert_eq!(scene.queued(), 0);
        assert_eq!(scene.metric("async_events_dropped_total", "f"), 1);
    });
}

#[test]
fn retries_and_age_are_those_of_the_qualifier() {
    simulate(async {
        let scene = Scene::new(&["f"]).await;
        let alias = AliasName::parse("live").unwrap();
        let patch = AliasPatch {
            version: Some(Qualifier::Version(1)),
            ..AliasPatch::default()
        };
        let name = FunctionName::parse("f").unwrap();
        let control = scene.control();
        let made = control.create_alias(&name, alias, patch);
        made.await.unwrap();
        scene.choose("f:live", Some(0), None).await;
        scene.choose("f:1", Some(1), None).await;
        scene.choose("f", None, Some(100)).await;
        for (to, expected) in [
            ("f:live", vec![0]),
            ("f:1", vec![0, 60]),
            // The second retry would come at 180 s: the event is given up at 60 s.
            ("f", vec![0, 60]),
        ] {
            scene.send(to, trap()).await;
            scene.wait(61).await;
            let is_given_up = scene.queued() == 0;
            assert!(is_given_up, "{to}");
            scene.wait(3_600).await;
            assert_eq!(Scene::seconds(&scene.begun()), expected, "{to}");
        }
    });
}

#[test]
fn throttled_function_with_many_events_delays_no_other() {
    simulate(async {
        let scene = Scene::new(&["f", "g"]).await;
        scene.reserve("f", 1).await;
        // It has all the concurrency of the function.
        let long = scene.call("f", json!({"ms": 600_000}));
        scene.wait(1).await;
        for _ in 0..500 {
            scene.send("f", json!({"ms": 10})).await;
        }
        scene.wait(10).await;
        scene.begun();
        scene.send("g", json!({})).await;
        scene.wait(1).await;
        let names: Vec<_> = scene.begun().into_iter().map(|it| it.function).collect();
        assert_eq!(names, ["g"]);
        assert_eq!(scene.queued(), 500);
        assert!(long.await.unwrap().outcome.is_ok());
        // The pause of the lane is at most five minutes. Its events then run one at a time.
        scene.wait(310).await;
        assert_eq!(scene.queued(), 0);
        let begun = scene.begun();
        assert_eq!(begun.len(), 500);
        assert!(begun.iter().all(|it| it.running["f"] == 1));
        assert_eq!(scene.metric("async_events_dropped_total", "f"), 0);
    });
}

#[test]
fn throttled_event_that_would_be_too_old_is_dropped() {
    simulate(async {
        let scene = Scene::new(&["f"]).await;
        scene.choose("f", None, Some(60)).await;
        scene.reserve("f", 1).await;
        let long = scene.call("f", json!({"ms": 800_000}));
        scene.wait(1).await;
        scene.send("f", json!({})).await;
        // Refused after 0, 1, 3, 7, 15 and 31 s. The next attempt would be at 63 s.
        scene.wait(30).await;
        assert_eq!(scene.queued(), 1);
        scene.wait(2).await;
        assert_eq!(scene.queued(), 0);
        assert_eq!(scene.metric("async_events_dropped_total", "f"), 1);
        drop(long);
    });
}

#[test]
fn event_runs_on_the_code_that_is_current_when_it_is_taken() {
    simulate(async {
        let scene = Scene::new(&["f"]).await;
        scene.send("f", trap()).await;
        scene.wait(1).await;
        let update = UpdateCode {
            package: delivery(1),
            architecture: None,
            revision: None,
            dry_run: false,
            publish: false,
        };
        let name = FunctionName::parse("f").unwrap();
        let control = scene.control();
        let updated = control.update_function_code(&name, update);
        updated.await.unwrap();
        scene.wait(120).await;
        let begun = scene.begun();
        assert_eq!(Scene::seconds(&begun), [0, 60]);
        assert_ne!(begun[0].package, begun[1].package);
    });
}

#[test]
fn function_without_concurrency_drops_its_events() {
    simulate(async {
        let scene = Scene::new(&["f"]).await;
        scene.reserve("f", 0).await;
        scene.send("f", json!({})).await;
        scene.wait(1).await;
        assert_eq!(scene.queued(), 0);
        assert!(scene.begun().is_empty());
        assert_eq!(scene.metric("async_events_dropped_total", "f"), 1);
    });
}

#[test]
fn deleted_function_loses_its_events() {
    simulate(async {
        let scene = Scene::new(&["f", "g"]).await;
        for _ in 0..3 {
            scene.send("f", trap()).await;
            scene.send("g", trap()).await;
        }
        scene.wait(1).await;
        assert_eq!(scene.queued(), 6);
        let name = FunctionName::parse("f").unwrap();
        scene.control().delete_function(&name).await.unwrap();
        // Not after the minute that they wait for.
        scene.wait(1).await;
        assert_eq!(scene.events.depths(), [("g".to_owned(), 3)]);
        assert_eq!(scene.metric("async_events_dropped_total", "f"), 3);
        // A function of the same name gets none of them.
        scene.create("f").await;
        scene.begun();
        scene.wait(600).await;
        assert!(scene.begun().iter().all(|it| it.function == "g"));
    });
}

#[test]
fn throttled_function_loses_its_events_when_it_is_deleted() {
    simulate(async {
        let scene = Scene::new(&["f"]).await;
        scene.reserve("f", 1).await;
        let long = scene.call("f", json!({"ms": 600_000}));
        scene.wait(1).await;
        for _ in 0..50 {
            scene.send("f", json!({})).await;
        }
        // The lane pauses, for 32 seconds by now.
        scene.wait(40).await;
        assert_eq!(scene.queued(), 50);
        let name = FunctionName::parse("f").unwrap();
        scene.control().delete_function(&name).await.unwrap();
        scene.wait(1).await;
        assert_eq!(scene.queued(), 0);
        assert_eq!(scene.metric("async_events_dropped_total", "f"), 50);
        scene.create("f").await;
        scene.begun();
        scene.wait(600).await;
        assert!(scene.begun().is_empty());
        drop(long);
    });
}

#[test]
fn event_in_work_at_a_crash_runs_again() {
    simulate(async {
        let scene = Scene::new(&["f"]).await;
        let id = scene.send("f", json!({"ms": 5_000})).await;
        let later = scene.send("f", trap()).await;
        scene.wait(2).await;
        assert_eq!(scene.events.in_flight(), 1);
        let scene = scene.restart().await;
        scene.wait(300).await;
        let ids: Vec<_> = scene.begun().into_iter().map(|it| it.request_id).collect();
        // The first attempt of the other one was before the crash.
        assert_eq!(ids, [id, later, later]);
        assert_eq!(scene.queued(), 0);
    });
}

#[test]
fn events_run_at_once_after_a_restart_with_an_earlier_clock() {
    simulate(async {
        let scene = Scene::new(&["f"]).await;
        scene.wait(3_600).await;
        let (.., clock) = scene.world.parts();
        for _ in 0..10 {
            scene.send("f", trap()).await;
            clock.sleep(Duration::from_millis(5)).await;
        }
        scene.wait(1).await;
        assert_eq!(scene.queued(), 10);
        // The clock of the restarted host begins anew: the retries are due in an hour.
        let scene = scene.restart().await;
        scene.wait(2).await;
        assert_eq!(scene.begun().len(), 10);
        scene.wait(200).await;
        assert_eq!(scene.queued(), 0);
    });
}

#[test]
fn event_that_cannot_be_read_delays_no_other_of_its_function() {
    simulate(async {
        let scene = Scene::new(&["f"]).await;
        scene.queue.set_damaged(Some("damaged"));
        let damaged = scene.send("f", json!({"damaged": true})).await;
        for second in 0..20 {
            scene.wait(1).await;
            scene.send("f", json!({})).await;
            scene.wait(1).await;
            assert_eq!(scene.begun().len(), 1, "{second}");
        }
        assert_eq!(scene.queued(), 1);
        scene.queue.set_damaged(None);
        scene.wait(300).await;
        assert_eq!(scene.begun()[0].request_id, damaged);
        assert_eq!(scene.queued(), 0);
        assert_eq!(scene.metric("async_events_dropped_total", "f"), 0);
    });
}

fn large(ms: u64) -> Value {
    json!({"ms": ms, "pad": "x".repeat(20_000)})
}

#[test]
fn large_events_that_run_long_hold_up_no_other() {
    simulate(async {
        let scene = Scene::new(&["f"]).await;
        for _ in 0..3 {
            scene.send("f", large(600_000)).await;
        }
        scene.wait(5).await;
        assert_eq!(scene.begun().len(), 3);
        assert_eq!(scene.events.0.large.available_permits(), LARGE_MAX);
    });
}

#[test]
fn event_that_is_too_old_when_it_is_read_does_not_run() {
    simulate(async {
        let scene = Scene::new(&["f"]).await;
        scene.choose("f", None, Some(60)).await;
        let count = u32::try_from(LARGE_MAX).unwrap();
        let turns = scene.events.0.large.acquire_many(count).await.unwrap();
        scene.send("f", large(0)).await;
        scene.wait(61).await;
        drop(turns);
        scene.wait(1).await;
        assert!(scene.begun().is_empty());
        assert_eq!(scene.queued(), 0);
        assert_eq!(scene.metric("async_events_dropped_total", "f"), 1);
    });
}

#[test]
fn item_with_damaged_head_is_deleted() {
    simulate(async {
        let scene = Scene::new(&["f"]).await;
        for lane in [
            lane::invoke(&target("f")),
            lane::deliver("arn:aws:sqs:us-east-1:0:q"),
        ] {
            let item = NewItem {
                lane,
                due: scene.events.0.timeline.now(),
                head: "no JSON".into(),
                body: "{}".into(),
            };
            scene.queue.change(vec![Change::Add(item)]).await.unwrap();
        }
        scene.wait(1).await;
        assert_eq!(scene.queue.depths(), []);
    });
}

#[test]
fn stop_waits_for_events_in_work_and_begins_no_other() {
    simulate(async {
        let scene = Scene::new(&["f"]).await;
        scene.send("f", json!({"ms": 5_000})).await;
        scene.wait(1).await;
        scene.events.stop();
        scene.send("f", json!({})).await;
        scene.events.stopped(Duration::from_secs(30)).await;
        assert_eq!(scene.events.in_flight(), 0);
        assert_eq!(scene.queued(), 1);
        assert_eq!(scene.begun().len(), 1);
    });
}

#[test]
fn event_that_outlasts_the_drain_time_is_cut_and_runs_again() {
    simulate(async {
        let scene = Scene::new(&["f"]).await;
        let id = scene.send("f", json!({"ms": 60_000})).await;
        scene.wait(1).await;
        let (.., clock) = scene.world.parts();
        let began = clock.now();
        scene.events.stop();
        scene.events.stopped(Duration::from_secs(30)).await;
        assert_eq!(clock.now(), began.after(Duration::from_secs(30)));
        assert_eq!((scene.queued(), scene.events.in_flight()), (1, 1));
        let scene = scene.restart().await;
        scene.wait(120).await;
        let ids: Vec<_> = scene.begun().into_iter().map(|it| it.request_id).collect();
        assert_eq!((ids, scene.queued()), (vec![id], 0));
    });
}

#[test]
fn full_disk_refuses_events_and_keeps_those_it_has() {
    simulate(async {
        let scene = Scene::new(&["f"]).await;
        scene.send("f", trap()).await;
        scene.wait(1).await;
        scene.queue.set_full(true);
        let refused = scene.try_send("f", &json!({})).await;
        assert!(matches!(refused, Err(Error::Store(store::Error::Full))));
        let ran = scene.call("f", json!({})).await;
        assert!(ran.unwrap().outcome.is_ok());
        assert_eq!(scene.queued(), 1);
        scene.wait(600).await;
        assert_eq!(scene.queued(), 0);
    });
}

#[test]
fn failed_delivery_is_repeated_and_counted() {
    simulate(async {
        let scene = Scene::new(&["f"]).await;
        let destinations = Destinations {
            on_success: Some(End {
                // No service of AWS is configured.
                destination: Some("arn:aws:sqs:us-east-1:000000000000:q".into()),
            }),
            on_failure: None,
        };
        let choice = Choice {
            destinations: Some(destinations),
            ..Choice::default()
        };
        let control = scene.control();
        let chosen = control.put_event_invoke(target("f"), choice);
        chosen.await.unwrap();
        scene.send("f", json!({})).await;
        scene.wait(8).await;
        // At 0, 1, 3 and 7 s.
        let failures = "destination_delivery_failures_total";
        assert_eq!(scene.metric(failures, "f"), 4);
        // The event itself has ended.
        assert_eq!((scene.queued(), scene.queue.depths().len()), (0, 1));
        let scene = scene.restart().await;
        scene.wait(7 * 3_600).await;
        assert_eq!(scene.queue.depths().len(), 0);
        let count = scene.metric(failures, "f");
        assert!((60..90).contains(&count), "{count}");
    });
}

#[test]
fn event_in_a_loop_is_dropped() {
    simulate(async {
        let scene = Scene::new(&["f"]).await;
        let mut trace = "Root=1-0-0".to_owned();
        for hop in 0..17 {
            let mut invoke = scene.invoke("f", &json!({}));
            invoke.mode = crate::invoke::Mode::Event;
            invoke.trace_id = Some(trace.clone());
            let invoker = scene.world.parts().1;
            let resolved = invoker.resolve(invoke).await.expect("it is there");
            scene.events.accept(resolved).await.unwrap();
            scene.wait(1).await;
            let (dropped, ran) = match hop {
                16 => (1, 16),
                hop => (0, hop + 1),
            };
            assert_eq!(
                scene.metric("recursive_invocations_dropped_total", "f"),
                dropped
            );
            assert_eq!(scene.guests().counts().begun.len(), ran);
            let arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
            trace = trace::advance(&trace, &trace::Key::of(arn)).unwrap_or(trace);
        }
        // A synchronous call in the loop is refused.
        let mut invoke = scene.invoke("f", &json!({}));
        invoke.trace_id = Some(trace);
        let refused = scene.world.parts().1.invoke(invoke).await.unwrap_err();
        assert!(refused.to_string().contains("recursive loop"), "{refused}");
    });
}

#[test]
fn lanes_share_the_slots_of_slow_functions() {
    simulate(async {
        let scene = Scene::new(&["f", "g"]).await;
        // More than the environments of this host, so that some are refused.
        for _ in 0..100 {
            scene.send("f", json!({"ms": 60_000})).await;
        }
        scene.wait(5).await;
        scene.begun();
        assert!(scene.events.in_flight() > 0);
        scene.send("g", json!({})).await;
        // The first of them end after a minute, and an environment goes to the other function.
        scene.wait(60).await;
        let names: Vec<_> = scene.begun().into_iter().map(|it| it.function).collect();
        assert!(names.iter().any(|it| it == "g"), "{names:?}");
        scene.wait(3_600).await;
        assert_eq!(scene.queued(), 0);
        assert_eq!(scene.metric("async_events_dropped_total", "f"), 0);
    });
}
