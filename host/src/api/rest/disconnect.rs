//! Clients that leave: every operation that changes something, given up after each number of polls, leaves
//! the data plane as the store says and nothing under way.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use super::wire::Operation;
use crate::api::Front;
use crate::clock;
use crate::control::simulation::{HangUp, World, package, runtime};
use crate::events::{Events, Timeline};
use crate::outbound::aws::{self, Aws};
use crate::outbound::{Client, Trust};
use crate::store::object::Objects;
use crate::store::queue::memory::Memory;
use crate::telemetry::metrics::Metrics;

/// Operations that are not built yet.
const UNBUILT: &str = include_str!("../../../model/unbuilt.txt");

/// The most polls of one operation.
const POLLS_MAX: usize = 1_000;

const F: &str = "/2015-03-31/functions/f";
const LAYER: &str = "/2018-10-31/layers/l/versions";
const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:";

/// Names of prepared resources that the host has chosen.
#[derive(Default)]
struct Names {
    function: String,
    mapping: String,
    /// Code signing configurations: the function's, and another.
    signing: String,
    unused: String,
}

/// A method, a path with its query, and a body.
type Sent = (Method, String, Value);

fn post(path: impl Into<String>, body: Value) -> Sent {
    (Method::POST, path.into(), body)
}

fn put(path: impl Into<String>, body: Value) -> Sent {
    (Method::PUT, path.into(), body)
}

fn delete(path: impl Into<String>) -> Sent {
    (Method::DELETE, path.into(), Value::Null)
}

fn zip(number: usize) -> String {
    STANDARD.encode(package(number))
}

fn function(name: &str) -> Value {
    json!({"FunctionName": name, "Role": "arn:aws:iam::000000000000:role/r", "Runtime": "java21",
        "Handler": "index.handler", "Code": {"ZipFile": zip(0)}, "Publish": true})
}

fn profiles() -> Value {
    json!({"SigningProfileVersionArns": ["arn:aws:signer:us-east-1:000000000000:/signing-profiles/p/0123456789"]})
}

fn statement(id: &str) -> Value {
    json!({"StatementId": id, "Action": "lambda:InvokeFunction", "Principal": "111122223333"})
}

fn layer_statement(id: &str) -> Value {
    json!({"StatementId": id, "Action": "lambda:GetLayerVersion", "Principal": "*"})
}

/// Makes a function that has everything a function can have, a layer and a mapping.
async fn prepare(front: &Front, world: &World) -> Names {
    let mut names = Names::default();
    let signing = || {
        post(
            "/2020-04-22/code-signing-configs",
            json!({"AllowedPublishers": profiles()}),
        )
    };
    let mut done = Vec::new();
    for sent in [
        post("/2015-03-31/functions", function("f")),
        put(
            format!("{F}/code"),
            json!({"ZipFile": zip(1), "Publish": true}),
        ),
        put(format!("{F}/configuration"), json!({"Timeout": 9})),
        post(
            format!("{F}/aliases"),
            json!({"Name": "live", "FunctionVersion": "1"}),
        ),
        post(format!("{F}/policy?Qualifier=live"), statement("s")),
        post(
            "/2021-10-31/functions/f/url?Qualifier=live",
            json!({"AuthType": "NONE"}),
        ),
        put(
            "/2017-10-31/functions/f/concurrency",
            json!({"ReservedConcurrentExecutions": 20}),
        ),
        put(
            "/2019-09-30/functions/f/provisioned-concurrency?Qualifier=live",
            json!({"ProvisionedConcurrentExecutions": 1}),
        ),
        put(
            "/2019-09-25/functions/f/event-invoke-config",
            json!({"MaximumRetryAttempts": 1}),
        ),
        post(LAYER, json!({"Content": {"ZipFile": zip(0)}})),
        post(format!("{LAYER}/1/policy"), layer_statement("s")),
        signing(),
        signing(),
        post(
            "/2015-03-31/event-source-mappings",
            json!({"FunctionName": "f", "EventSourceArn": format!("{QUEUE}q")}),
        ),
    ] {
        let text = format!("{sent:?}");
        let answer = send(front, sent).await;
        done.push(answer.unwrap_or_else(|error| panic!("{text}: {error}")));
        // The next change waits until this one is complete.
        world.pass_time().await;
    }
    let text = |value: &Value| value.as_str().expect("it is a text").to_owned();
    names.function = text(&done[0]["FunctionArn"])
        .trim_end_matches(":1")
        .to_owned();
    names.signing = text(&done[11]["CodeSigningConfig"]["CodeSigningConfigArn"]);
    names.unused = text(&done[12]["CodeSigningConfig"]["CodeSigningConfigArn"]);
    names.mapping = text(&done[13]["UUID"]);
    let attached = attaching(&names.signing);
    send(front, attached)
        .await
        .expect("there is such a configuration");
    world.pass_time().await;
    names
}

fn attaching(config: &str) -> Sent {
    let path = "/2020-06-30/functions/f/code-signing-config";
    put(path, json!({"CodeSigningConfigArn": config}))
}

/// A request of an operation that the prepared host grants.
#[expect(clippy::too_many_lines, reason = "a table of all operations")]
fn request(operation: Operation, names: &Names) -> Option<Sent> {
    let url = "/2021-10-31/functions/f/url";
    let events = "/2019-09-25/functions/f/event-invoke-config";
    let provisioned = "/2019-09-30/functions/f/provisioned-concurrency?Qualifier=live";
    let policy = format!("/2026-07-09/resource-policy/{}:live", names.function);
    let tags = format!("/2017-03-31/tags/{}", names.function);
    let mapping = format!("/2015-03-31/event-source-mappings/{}", names.mapping);
    let signing = "/2020-04-22/code-signing-configs";
    Some(match operation {
        Operation::AddLayerVersionPermission => {
            post(format!("{LAYER}/1/policy"), layer_statement("t"))
        }
        Operation::AddPermission => post(format!("{F}/policy?Qualifier=live"), statement("t")),
        Operation::CreateAlias => post(
            format!("{F}/aliases"),
            json!({"Name": "next", "FunctionVersion": "2"}),
        ),
        Operation::CreateCodeSigningConfig => {
            post(signing, json!({"AllowedPublishers": profiles()}))
        }
        Operation::CreateEventSourceMapping => post(
            "/2015-03-31/event-source-mappings",
            json!({"FunctionName": "f", "EventSourceArn": format!("{QUEUE}r")}),
        ),
        Operation::CreateFunction => post("/2015-03-31/functions", function("g")),
        Operation::CreateFunctionUrlConfig => post(url, json!({"AuthType": "NONE"})),
        Operation::DeleteAlias => delete(format!("{F}/aliases/live")),
        Operation::DeleteCodeSigningConfig => delete(format!("{signing}/{}", names.unused)),
        Operation::DeleteEventSourceMapping => delete(mapping),
        Operation::DeleteFunction => delete(F),
        Operation::DeleteFunctionCodeSigningConfig => {
            delete("/2020-06-30/functions/f/code-signing-config")
        }
        Operation::DeleteFunctionConcurrency => delete("/2017-10-31/functions/f/concurrency"),
        Operation::DeleteFunctionEventInvokeConfig => delete(events),
        Operation::DeleteFunctionUrlConfig => delete(format!("{url}?Qualifier=live")),
        Operation::DeleteLayerVersion => delete(format!("{LAYER}/1")),
        Operation::DeleteProvisionedConcurrencyConfig => delete(provisioned),
        Operation::DeleteResourcePolicy => delete(policy),
        Operation::Invoke => post(format!("{F}/invocations"), json!({"ms": 100})),
        Operation::InvokeAsync => post("/2014-11-13/functions/f/invoke-async", json!({})),
        Operation::InvokeWithResponseStream => post(
            "/2021-11-15/functions/f/response-streaming-invocations",
            json!({"ms": 100}),
        ),
        Operation::PublishLayerVersion => post(LAYER, json!({"Content": {"ZipFile": zip(1)}})),
        Operation::PublishVersion => post(format!("{F}/versions"), json!({})),
        Operation::PutFunctionCodeSigningConfig => attaching(&names.unused),
        Operation::PutFunctionConcurrency => put(
            "/2017-10-31/functions/f/concurrency",
            json!({"ReservedConcurrentExecutions": 10}),
        ),
        Operation::PutFunctionEventInvokeConfig => put(events, json!({"MaximumRetryAttempts": 0})),
        Operation::PutFunctionRecursionConfig => put(
            "/2024-08-31/functions/f/recursion-config",
            json!({"RecursiveLoop": "Allow"}),
        ),
        Operation::PutProvisionedConcurrencyConfig => {
            put(provisioned, json!({"ProvisionedConcurrentExecutions": 2}))
        }
        Operation::PutResourcePolicy => put(policy, json!({"Policy": document(&names.function)})),
        Operation::PutRuntimeManagementConfig => put(
            "/2021-07-20/functions/f/runtime-management-config",
            json!({"UpdateRuntimeOn": "FunctionUpdate"}),
        ),
        Operation::RemoveLayerVersionPermission => delete(format!("{LAYER}/1/policy/s")),
        Operation::RemovePermission => delete(format!("{F}/policy/s?Qualifier=live")),
        Operation::TagResource => post(tags, json!({"Tags": {"team": "a"}})),
        Operation::UntagResource => delete(format!("{tags}?tagKeys=team")),
        Operation::UpdateAlias => put(format!("{F}/aliases/live"), json!({"FunctionVersion": "2"})),
        Operation::UpdateCodeSigningConfig => put(
            format!("{signing}/{}", names.signing),
            json!({"Description": "d"}),
        ),
        Operation::UpdateEventSourceMapping => put(mapping, json!({"Enabled": false})),
        Operation::UpdateFunctionCode => put(
            format!("{F}/code"),
            json!({"ZipFile": zip(2), "Publish": true}),
        ),
        Operation::UpdateFunctionConfiguration => {
            put(format!("{F}/configuration"), json!({"Timeout": 5}))
        }
        Operation::UpdateFunctionEventInvokeConfig => {
            post(events, json!({"MaximumRetryAttempts": 2}))
        }
        Operation::UpdateFunctionUrlConfig => put(
            format!("{url}?Qualifier=live"),
            json!({"AuthType": "AWS_IAM"}),
        ),
        _ => return None,
    })
}

fn document(function: &str) -> String {
    let statement = json!({"Sid": "t", "Effect": "Allow", "Principal": {"AWS": "111122223333"},
        "Action": "lambda:InvokeFunction", "Resource": format!("{function}:live")});
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

/// Sends a request; an answer that is no success is an error.
async fn send(front: &Front, (method, path, body): Sent) -> Result<Value, String> {
    let body = match body {
        Value::Null => Bytes::new(),
        body => body.to_string().into(),
    };
    let request = Request::builder().method(method).uri(path);
    let request = request.header("host", "localhost").body(Full::new(body));
    let reply = front.handle(request.expect("it is a request")).await;
    let status = reply.status();
    let body = reply
        .into_body()
        .collect()
        .await
        .expect("it is whole")
        .to_bytes();
    match status.is_success() {
        true => Ok(serde_json::from_slice(&body).unwrap_or_default()),
        false => Err(format!("{status} {body:?}")),
    }
}

fn front_of(world: &World) -> Front {
    let (control, invoker, logs, clock) = world.parts();
    let (metrics, queue) = (Metrics::default(), Arc::new(Memory::default()));
    let services = (
        Aws::new(
            Client::new(Trust::default(), clock.clone()),
            aws::Config::default(),
        ),
        Objects::none(),
    );
    let triggers = crate::api::Triggers::new(&[], services.0.clone());
    let same = invoker.clone();
    let events = Events::new(
        queue,
        same,
        services,
        metrics,
        10,
        Timeline::new(clock.clone()),
    );
    let running = (invoker, events);
    let urls = crate::api::UrlNames::new(&crate::config::Urls::default());
    Front::new(
        control,
        running,
        logs,
        Default::default(),
        None,
        (urls, triggers),
        clock,
    )
}

#[test]
fn operation_cut_off_at_any_poll_leaves_the_data_plane_as_the_store_says() {
    clock::run_inline();
    let (memory, names) = runtime().block_on(async {
        let mut world = World::new().await;
        let names = prepare(&front_of(&world), &world).await;
        world.come_to_rest().await;
        world.check_rest().await;
        (world.memory(), names)
    });
    for operation in Operation::ALL {
        let name = operation.name();
        let is_read = name.starts_with("Get") || name.starts_with("List");
        let Some(sent) = request(operation, &names) else {
            let is_built = !UNBUILT.lines().any(|line| line == name);
            assert!(is_read || !is_built, "{name} is not tried");
            continue;
        };
        let polls = (0..POLLS_MAX).find(|polls| {
            let work = cut_off(memory.copy(), sent.clone(), *polls);
            let ended = runtime().block_on(work);
            ended.is_some_and(|it| it.map_err(|error| panic!("{name}: {error}")).is_ok())
        });
        let polls = polls.unwrap_or_else(|| panic!("{name} never ends"));
        assert!(polls > 1, "{name} waits for nothing");
    }
}

/// Sends a request to a host with these records, and gives it up after so many polls. `None` where it had
/// no answer before.
async fn cut_off(
    memory: crate::store::memory::Memory,
    sent: Sent,
    polls: usize,
) -> Option<Result<Value, String>> {
    let mut world = World::over(memory).await;
    let front = front_of(&world);
    let ended = HangUp::new(send(&front, sent), polls).await;
    world.come_to_rest().await;
    world.check_rest().await;
    ended
}
