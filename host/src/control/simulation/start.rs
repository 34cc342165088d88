//! Starts of environments whose `init` fails, in virtual time.

use std::time::Duration;

use super::operation::{Change, Operation};
use super::runtime;
use super::subjects::Qualified;
use super::world::World;
use crate::clock;
use crate::invoke::{Finished, Invoke};
use crate::names::RequestId;
use crate::payload::{Document, Event};

/// Time of one `init` of a simulated program.
const INIT: Duration = Duration::from_millis(200);

/// Invokes a new function whose next so many inits fail.
async fn invoked(failing: u32) -> (Finished, String) {
    let mut world = World::new().await;
    invoked_in(&mut world, failing).await
}

async fn invoked_in(world: &mut World, failing: u32) -> (Finished, String) {
    let (package, publish) = (0, false);
    let change = Change::Create { package, publish };
    let function = 0;
    world.change(Operation { function, change }, usize::MAX);
    world.come_to_rest().await;
    world.guests().counts().failing = failing;
    let (_, invoker, _, clock) = world.parts();
    let event = Document::parse(r#"{"ms": 50}"#.into()).expect("it is JSON");
    let target = world.subjects.target(function, Qualified::Latest);
    let id = RequestId::random(&clock);
    let invoke = Invoke {
        log_tail: true,
        ..Invoke::new(id, target, Event::Json(event))
    };
    let finished = invoker.invoke(invoke).await.expect("it runs");
    let tail = finished.log_tail.clone().unwrap_or_default();
    let tail = String::from_utf8(tail.into()).expect("it is text");
    (finished, tail)
}

#[test]
fn init_that_fails_once_is_repeated_within_the_invocation() {
    clock::run_inline();
    runtime().block_on(async {
        let (finished, tail) = invoked(0).await;
        assert_eq!(finished.usage.init, Some(INIT), "{tail}");
        assert_eq!(finished.usage.duration, Duration::from_millis(50));

        let (finished, tail) = invoked(1).await;
        assert!(finished.outcome.is_ok(), "{:?}", finished.outcome);
        assert_eq!(finished.usage.init, None, "{tail}");
        assert_eq!(finished.usage.duration, INIT + Duration::from_millis(50));
        assert!(tail.contains("\tBilled Duration: 250 ms"), "{tail}");
    });
}

#[test]
fn init_that_fails_twice_fails_the_invocation() {
    clock::run_inline();
    runtime().block_on(async {
        let (finished, tail) = invoked(2).await;
        let failure = finished.outcome.expect_err("nothing could run");
        assert_eq!(failure.error_type, "InitError");
        assert_eq!(finished.usage.duration, INIT);
        assert!(tail.contains("\tBilled Duration: 200 ms"), "{tail}");
        assert!(tail.contains("Error Type: InitError"), "{tail}");
    });
}

#[test]
fn idle_environment_is_evicted_after_its_time() {
    clock::run_inline();
    runtime().block_on(async {
        let mut world = World::new().await;
        let (finished, _) = invoked_in(&mut world, 0).await;
        assert!(finished.outcome.is_ok());
        let clock = world.parts().3;
        // The idle time is 60 s, and it is looked at every quarter of that.
        clock.sleep(Duration::from_secs(59)).await;
        assert_eq!(world.guests().counts().environments, 1);
        clock.sleep(Duration::from_secs(17)).await;
        assert_eq!(world.guests().counts().environments, 0);
    });
}
