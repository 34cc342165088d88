//! Event sources and schedules that a manifest declares.

use serde_json::{Value, json};

use super::{Project, command, lamina, ran};
use crate::harness::Lamina;

const MAPPINGS: &str = "/2015-03-31/event-source-mappings";

fn arn(name: &str) -> String {
    format!("arn:aws:sqs:us-east-1:000000000000:{name}")
}

fn source(name: &str, more: &str) -> String {
    format!("[[sources]]\narn = \"{}\"\n{more}\n", arn(name))
}

fn schedule(name: &str, expression: &str) -> String {
    format!("[[schedules]]\nname = \"{name}\"\nexpression = \"{expression}\"\n")
}

fn manifest(triggers: &str) -> String {
    format!("name = \"f\"\ntimeout = 7\n{triggers}\n[build]\nartifact = \"app.wasm\"\n")
}

/// Queues and batch sizes of the function's mappings.
async fn mappings(host: &Lamina) -> Vec<(Value, Value)> {
    let path = format!("{MAPPINGS}?FunctionName=f");
    let shown = host.lambda("GET", &path, &Value::Null).await.json();
    let all = shown["EventSourceMappings"].as_array().expect("a list");
    let all = all.iter().filter(|it| it["State"] != "Deleting");
    let mut all: Vec<_> = all
        .map(|it| (it["EventSourceArn"].clone(), it["BatchSize"].clone()))
        .collect();
    all.sort_by_key(|(arn, _)| arn.to_string());
    all
}

/// Names and expressions of all schedules.
async fn schedules(host: &Lamina) -> Vec<(String, Value)> {
    let listed = host.lambda("GET", "/schedules", &Value::Null).await.json();
    let mut all = Vec::new();
    for listed in listed["Schedules"].as_array().expect("a list") {
        let text = |name: &str| listed[name].as_str().expect("a text").to_owned();
        let path = format!(
            "/schedules/{}?groupName={}",
            text("Name"),
            text("GroupName")
        );
        let shown = host.lambda("GET", &path, &Value::Null).await.json();
        all.push((text("Name"), shown["ScheduleExpression"].clone()));
    }
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    all
}

/// Deploys a manifest; returns the notes.
fn deploy(host: &Lamina, project: &Project, triggers: &str) -> String {
    project.write("lamina.toml", manifest(triggers));
    let mut command = command(project.path(), &["deploy"]);
    let (code, _, notes) = ran(command.env("LAMINA_LISTEN", host.address.to_string()));
    assert_eq!(code, Some(0), "{notes}");
    notes
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_of_the_manifest_become_mappings() {
    let host = Lamina::start();
    let project = Project::new("");
    let two = source("a", "batch_size = 3\npartial_failures = true") + &source("b", "");
    deploy(&host, &project, &two);
    let both = [(json!(arn("a")), json!(3)), (json!(arn("b")), json!(10))];
    assert_eq!(mappings(&host).await, both);
    let notes = deploy(&host, &project, &two);
    assert!(notes.contains("unchanged"), "{notes}");
    // A setting that the manifest lost has its default again.
    let without = source("a", "partial_failures = true") + &source("b", "");
    deploy(&host, &project, &without);
    let both = [(json!(arn("a")), json!(10)), (json!(arn("b")), json!(10))];
    assert_eq!(mappings(&host).await, both);
    let notes = deploy(&host, &project, &without);
    assert!(notes.contains("unchanged"), "{notes}");
    // Made by hand: it stays.
    let by_hand = json!({"FunctionName": "f", "EventSourceArn": arn("c")});
    let made = host.lambda("POST", MAPPINGS, &by_hand).await;
    assert_eq!(made.status, 202, "{}", made.text());
    let notes = deploy(&host, &project, &source("a", "batch_size = 4"));
    assert!(notes.contains("sources"), "{notes}");
    let expected = [(json!(arn("a")), json!(4)), (json!(arn("c")), json!(10))];
    assert_eq!(mappings(&host).await, expected);
    deploy(&host, &project, "");
    assert_eq!(mappings(&host).await, [(json!(arn("c")), json!(10))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_of_the_manifest_are_made_changed_and_deleted() {
    let host = Lamina::start();
    let project = Project::new("");
    // Made by hand, with a name that begins with the function's.
    let target = json!({"Arn": "arn:aws:lambda:us-east-1:000000000000:function:f",
        "RoleArn": "arn:aws:iam::000000000000:role/r"});
    let by_hand = json!({"ScheduleExpression": "rate(7 days)", "Target": target,
        "FlexibleTimeWindow": {"Mode": "OFF"}});
    host.lambda("POST", "/schedules/f.own", &by_hand).await;
    let own = ("f.own".to_owned(), json!("rate(7 days)"));
    let night = schedule("night", "cron(0 3 * * ? *)");
    let two = format!(
        "{night}timezone = \"Europe/Vienna\"\ninput = '{{\"a\": 1}}'\nflexible_minutes = 5\n{}",
        schedule("often", "rate(1 hour)")
    );
    deploy(&host, &project, &two);
    let expected = [
        ("f.night".to_owned(), json!("cron(0 3 * * ? *)")),
        ("f.often".to_owned(), json!("rate(1 hour)")),
        own.clone(),
    ];
    assert_eq!(schedules(&host).await, expected);
    let path = "/schedules/f.night?groupName=lamina";
    let shown = host.lambda("GET", path, &Value::Null).await.json();
    assert_eq!(shown["Target"]["Input"], "{\"a\": 1}", "{shown}");
    assert_eq!(shown["ScheduleExpressionTimezone"], "Europe/Vienna");
    assert_eq!(shown["FlexibleTimeWindow"]["MaximumWindowInMinutes"], 5);
    let notes = deploy(&host, &project, &two);
    assert!(notes.contains("unchanged"), "{notes}");
    let notes = deploy(&host, &project, &schedule("often", "rate(2 hours)"));
    assert!(notes.contains("schedules"), "{notes}");
    let changed = ("f.often".to_owned(), json!("rate(2 hours)"));
    assert_eq!(schedules(&host).await, [changed, own.clone()]);
    deploy(&host, &project, "");
    assert_eq!(schedules(&host).await, [own]);
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_schedule_is_refused_by_its_name() {
    let host = Lamina::start();
    let project = Project::new(&manifest(&schedule("bad", "every day")));
    let mut command = command(project.path(), &["deploy"]);
    let (code, _, notes) = ran(command.env("LAMINA_LISTEN", host.address.to_string()));
    assert_ne!(code, Some(0));
    assert!(notes.contains("schedule bad"), "{notes}");
    project.write("lamina.toml", manifest(""));
    lamina(&host, project.path(), &["deploy"]);
}
