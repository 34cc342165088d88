//! EventBridge Scheduler through the AWS CLI, and its schedules on a host that is killed.

use std::process::Command;

use serde_json::{Value, json};

use crate::clients::{client, json_of};
use crate::collector::{Collector, SETTINGS};
use crate::harness::{Lamina, ROLE, guest};

const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";

fn scheduler(host: &Lamina, arguments: &[&str]) -> Command {
    let mut command = client("venv/bin/aws", host);
    command.arg("scheduler").args(arguments);
    command
}

fn target(more: Value) -> String {
    let mut target = json!({"Arn": FUNCTION, "RoleArn": ROLE});
    for (name, value) in more.as_object().into_iter().flatten() {
        target[name] = value.clone();
    }
    target.to_string()
}

/// Local time in so many seconds, in UTC.
fn at(seconds: u64) -> String {
    let told = Command::new("sh")
        .args([
            "-c",
            &format!("date -u -d '+{seconds} seconds' +%Y-%m-%dT%H:%M:%S"),
        ])
        .output();
    let told = String::from_utf8(told.expect("it runs").stdout).expect("digits");
    format!("at({})", told.trim())
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one story, told from start to end")]
async fn aws_cli_manages_schedules_and_groups() {
    let host = Lamina::start();
    let run = |arguments: &[&str]| json_of(&mut scheduler(&host, arguments));
    let group = run(&["create-schedule-group", "--name", "g"]);
    let arn = "arn:aws:scheduler:us-east-1:000000000000:schedule-group/g";
    assert_eq!(group["ScheduleGroupArn"], arn);
    let names = run(&["list-schedule-groups", "--query", "ScheduleGroups[].Name"]);
    assert_eq!(names, json!(["default", "g"]));
    let create = |name: &str, group: &str, more: &[&str]| {
        let target = target(json!({"Input": "{}"}));
        let mut all = vec!["create-schedule", "--name", name, "--group-name", group];
        all.extend(["--target", &target, "--flexible-time-window", "Mode=OFF"]);
        all.extend(more);
        run(&all)
    };
    let cron = ["--schedule-expression", "cron(0 9 ? * MON-FRI *)"];
    let zone = ["--schedule-expression-timezone", "Europe/Berlin"];
    let made = create("s", "g", &[cron, zone].concat());
    let arn = "arn:aws:scheduler:us-east-1:000000000000:schedule/g/s";
    assert_eq!(made["ScheduleArn"], arn);
    create(
        "other",
        "default",
        &["--schedule-expression", "rate(1 day)"],
    );
    let shown = run(&["get-schedule", "--name", "s", "--group-name", "g"]);
    for (name, expected) in [
        ("ScheduleExpression", "cron(0 9 ? * MON-FRI *)"),
        ("ScheduleExpressionTimezone", "Europe/Berlin"),
        ("State", "ENABLED"),
        ("ActionAfterCompletion", "NONE"),
    ] {
        assert_eq!(shown[name], expected, "{shown}");
    }
    assert_eq!(shown["Target"]["RetryPolicy"]["MaximumRetryAttempts"], 185);
    let listed = run(&["list-schedules", "--query", "Schedules[].Name"]);
    assert_eq!(listed, json!(["other", "s"]));
    let target = target(json!({}));
    let update = [
        "update-schedule",
        "--name",
        "s",
        "--group-name",
        "g",
        "--state",
        "DISABLED",
    ];
    let flexible = "Mode=FLEXIBLE,MaximumWindowInMinutes=5";
    let more = [
        "--schedule-expression",
        "rate(2 hours)",
        "--target",
        &target,
    ];
    run(&[
        &update[..],
        &more[..],
        &["--flexible-time-window", flexible][..],
    ]
    .concat());
    let shown = run(&["get-schedule", "--name", "s", "--group-name", "g"]);
    assert_eq!(
        (&shown["State"], &shown["ScheduleExpression"]),
        (&json!("DISABLED"), &json!("rate(2 hours)"))
    );
    assert_eq!(shown["FlexibleTimeWindow"]["MaximumWindowInMinutes"], 5);
    run(&["delete-schedule-group", "--name", "g"]);
    let gone = scheduler(&host, &["get-schedule", "--name", "s", "--group-name", "g"]).output();
    let told = String::from_utf8_lossy(&gone.expect("it runs").stderr).into_owned();
    assert!(told.contains("ResourceNotFoundException"), "{told}");
    run(&["delete-schedule", "--name", "other"]);
    assert_eq!(run(&["list-schedules"])["Schedules"], json!([]));
    let bad = [
        "--schedule-expression",
        "rate(5 weeks)",
        "--flexible-time-window",
        "Mode=OFF",
    ];
    let bad = [
        &["create-schedule", "--name", "bad", "--target", &target][..],
        &bad[..],
    ]
    .concat();
    let told = scheduler(&host, &bad).output().expect("it runs").stderr;
    let told = String::from_utf8_lossy(&told).into_owned();
    assert!(
        told.contains("Invalid Schedule Expression rate(5 weeks)."),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn schedule_of_a_killed_host_runs_after_its_restart() {
    let collector = Collector::start().await;
    let host = Lamina::with(SETTINGS, "settle_millis = 20");
    host.create("f", &guest("hostile"), json!({"Timeout": 30}))
        .await;
    for (name, seconds) in [("first", 3), ("second", 7)] {
        let input = collector.event(name).to_string();
        let body = json!({
            "ScheduleExpression": at(seconds),
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "ActionAfterCompletion": "DELETE",
            "Target": {"Arn": FUNCTION, "RoleArn": ROLE, "Input": input},
        });
        let made = host
            .lambda("POST", &format!("/schedules/{name}"), &body)
            .await;
        assert_eq!(made.status, 200, "{}", made.text());
    }
    collector.until(|lines| lines.len() == 1).await;
    let dir = host.kill();
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let host = Lamina::in_dir_with(dir, SETTINGS);
    collector.until(|lines| lines.len() >= 2).await;
    assert_eq!(*collector.lines(), ["first", "second"]);
    for _ in 0..1_000 {
        let listed = host.lambda("GET", "/schedules", &Value::Null).await.json();
        if listed["Schedules"] == json!([]) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("schedules that are over are left");
}
