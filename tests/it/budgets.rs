//! Budgets of the host: memory and scratch space of all functions together, and the descriptors of directories that
//! it keeps open for them. Idle environments are evicted, and invocations that do not fit are throttled.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{ApiResponse, Lamina, guest, log_of};
use crate::metrics::{reaches, sample};

const MIB: u64 = 1 << 20;
const MEMORY: &str = "lamina_guest_bytes resource=memory";
const SCRATCH: &str = "lamina_guest_bytes resource=scratch";

/// A host with these limits and so many functions `f0`, `f1`, ...
async fn host(limits: &str, functions: usize, more: Value) -> Arc<Lamina> {
    let host = Lamina::configured(limits);
    for number in 0..functions {
        host.create(&format!("f{number}"), &guest("hostile"), more.clone())
            .await;
    }
    Arc::new(host)
}

fn hold(mib: u64) -> Value {
    json!({"do": "hold", "bytes": mib * MIB})
}

fn write(mib: u64) -> Value {
    json!({"do": "write", "path": "/tmp/x", "bytes": mib * MIB})
}

fn spawn(host: &Arc<Lamina>, function: &str, event: Value) -> tokio::task::JoinHandle<ApiResponse> {
    let (host, function) = (Arc::clone(host), function.to_owned());
    tokio::spawn(async move { host.invoke(&function, &event).await })
}

fn is_throttled(answer: &ApiResponse) -> bool {
    let (name, _) = answer.error();
    let is_throttled = (answer.status.as_u16(), &*name) == (429, "TooManyRequestsException");
    if is_throttled {
        assert_eq!(answer.json()["Reason"], "ConcurrentInvocationLimitExceeded");
    }
    is_throttled
}

/// Waits until a number of the page of metrics is at most this.
async fn falls_to(host: &Lamina, series: &str, expected: f64) {
    for _ in 0..2_000 {
        if sample(host, series).await <= expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{series} stays at {}", sample(host, series).await);
}

#[tokio::test]
async fn functions_together_stay_within_the_memory_budget() {
    let more = json!({"MemorySize": 128, "Timeout": 20});
    let host = host("guest_memory_bytes = 268_435_456", 12, more).await;
    let before = host.resident_kib();
    // Concurrently: calls that do not fit are throttled, or refused while they grow, and reported
    // as the host's limit.
    let calls: Vec<_> = (0..12)
        .map(|at| spawn(&host, &format!("f{at}"), hold(60)))
        .collect();
    let mut held = 0;
    for call in calls {
        let answer = call.await.expect("it ends");
        if answer.status == 200 && answer.header("x-amz-function-error").is_empty() {
            held += 1;
        } else if answer.status == 200 {
            assert_eq!(
                answer.json()["errorType"],
                "Runtime.OutOfMemory",
                "{}",
                answer.text()
            );
            assert!(
                answer.text().contains("limits.guest_memory_bytes"),
                "{}",
                answer.text()
            );
            assert!(log_of(&answer).contains("limits.guest_memory_bytes"));
        } else {
            assert!(is_throttled(&answer), "{}", answer.text());
        }
        assert!(sample(&host, MEMORY).await <= 256.0 * MIB as f64);
    }
    assert!(held >= 3, "{held}");
    // Sequentially, all of them: idle environments are evicted.
    for at in 0..12 {
        let answer = host.invoke(&format!("f{at}"), &json!({"do": "trap"})).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer = host.invoke(&format!("f{at}"), &hold(60)).await;
        assert_eq!(
            answer.header("x-amz-function-error"),
            "",
            "{}",
            answer.text()
        );
        assert!(sample(&host, MEMORY).await <= 256.0 * MIB as f64);
    }
    assert!(sample(&host, "lamina_evictions_total reason=memory").await >= 8.0);
    assert_eq!(
        sample(&host, "lamina_guest_bytes_limit resource=memory").await,
        268_435_456.0
    );
    let grown = host.peak_kib() - before;
    // Guests use more of the host than their memories: stacks, batches of memory that wait to be given back.
    assert!(grown < 400 << 10, "{grown} KiB");
}

#[tokio::test]
async fn stacks_of_suspended_guests_count_in_the_memory_budget() {
    let more = json!({"MemorySize": 128, "Timeout": 60});
    let host = host("guest_memory_bytes = 67_108_864", 1, more).await;
    let before = host.resident_kib();
    // Some 4 MiB each, all at once.
    let deep = json!({"do": "deep", "levels": 80_000, "ms": 4_000});
    let mut calls: Vec<_> = (0..24).map(|_| spawn(&host, "f0", deep.clone())).collect();
    let (mut held, mut held_max) = (0, 0.0_f64);
    while let Some(call) = calls.pop() {
        while !call.is_finished() {
            let bytes = sample(&host, MEMORY).await;
            assert!(bytes <= 64.0 * MIB as f64, "{bytes}");
            held_max = held_max.max(bytes);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let answer = call.await.expect("it ends");
        if answer.status == 200 && answer.header("x-amz-function-error").is_empty() {
            held += 1;
        } else if answer.status == 200 {
            assert!(
                answer.text().contains("limits.guest_memory_bytes"),
                "{}",
                answer.text()
            );
        } else {
            assert!(is_throttled(&answer), "{}", answer.text());
        }
    }
    assert!(
        (4..20).contains(&held),
        "{held} of 24 had stacks of 4 MiB in 64 MiB"
    );
    assert!(held_max > 40.0 * MIB as f64, "{held_max}");
    let grown = host.peak_kib() - before;
    assert!(grown < 200 << 10, "{grown} KiB");
    // The stacks went with the calls.
    falls_to(&host, MEMORY, 48.0 * MIB as f64).await;
}

#[tokio::test]
async fn provisioned_environments_leave_memory_to_others() {
    let more = json!({"MemorySize": 128, "Publish": true});
    let host = host("guest_memory_bytes = 67_108_864", 2, more).await;
    let path = "/2019-09-30/functions/f0/provisioned-concurrency?Qualifier=1";
    let request = json!({"ProvisionedConcurrentExecutions": 200});
    assert_eq!(host.lambda("PUT", path, &request).await.status, 202);
    let shown = loop {
        let shown = host.lambda("GET", path, &json!({})).await.json();
        if shown["Status"] != "IN_PROGRESS" {
            break shown;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(shown["Status"], "FAILED", "{shown}");
    let reason = shown["StatusReason"].as_str().unwrap_or_default();
    assert!(reason.starts_with("INSUFFICIENT_CAPACITY: "), "{reason}");
    assert!(reason.contains("three quarters of its memory"), "{reason}");
    let allocated = shown["AllocatedProvisionedConcurrentExecutions"].as_u64();
    assert!((5..200).contains(&allocated.unwrap_or_default()), "{shown}");
    let held = sample(&host, MEMORY).await;
    assert!(held <= 48.0 * MIB as f64, "{held}");
    // The other function has the rest: nothing provisioned is evicted for it, and nothing has to be.
    let answer = host.invoke("f1", &hold(8)).await;
    assert_eq!(
        answer.header("x-amz-function-error"),
        "",
        "{}",
        answer.text()
    );
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(
        sample(&host, "lamina_evictions_total reason=memory").await,
        0.0
    );
    // One that grows in its call is given up after it, so that the share is kept.
    let grown = host.invoke("f0:1", &hold(6)).await;
    assert_eq!(grown.header("x-amz-function-error"), "", "{}", grown.text());
    falls_to(&host, MEMORY, 60.0 * MIB as f64).await;
    let shown = host.lambda("GET", path, &json!({})).await.json();
    let now = shown["AllocatedProvisionedConcurrentExecutions"].as_u64();
    assert!(now < allocated, "{shown}");
}

#[tokio::test]
async fn environment_without_memory_for_it_is_throttled() {
    let more = json!({"MemorySize": 128, "Timeout": 60});
    let host = host("guest_memory_bytes = 268_435_456", 4, more).await;
    // Three environments hold 78 MiB each, and are busy with them.
    let mut busy = Vec::new();
    for at in 0..3 {
        let function = format!("f{at}");
        assert_eq!(host.invoke(&function, &hold(77)).await.status, 200);
        busy.push(spawn(
            &host,
            &function,
            json!({"do": "sleep", "ms": 40_000}),
        ));
    }
    reaches(&host, "lamina_environments state=busy", 3.0).await;
    let throttled = host.invoke("f3", &json!({"do": "echo"})).await;
    assert!(is_throttled(&throttled), "{}", throttled.text());
    assert_eq!(
        sample(&host, "lamina_throttles_total reason=memory").await,
        1.0
    );
    // When they are idle, their memory makes way.
    for call in busy {
        assert_eq!(call.await.expect("it ends").status, 200);
    }
    let answer = host.invoke("f3", &hold(75)).await;
    assert_eq!(
        answer.header("x-amz-function-error"),
        "",
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn idle_memory_is_given_back() {
    let limits = "idle_large_seconds = 1";
    let host = host(limits, 4, json!({"MemorySize": 256, "Timeout": 20})).await;
    let small = host.invoke("f0", &json!({"do": "echo"})).await;
    assert_eq!(small.status, 200);
    let before = host.resident_kib();
    let calls: Vec<_> = (0..4)
        .map(|at| spawn(&host, &format!("f{at}"), hold(100)))
        .collect();
    for call in calls {
        let answer = call.await.expect("it ends");
        assert_eq!(
            answer.header("x-amz-function-error"),
            "",
            "{}",
            answer.text()
        );
    }
    falls_to(&host, MEMORY, 8.0 * MIB as f64).await;
    assert!(sample(&host, "lamina_evictions_total reason=idle").await >= 1.0);
    host.requires_growth_below(before, 64 << 10).await;
}

#[tokio::test]
async fn functions_together_stay_within_the_scratch_budget() {
    let more = json!({"MemorySize": 128, "Timeout": 60, "EphemeralStorage": {"Size": 512}});
    let host = host("scratch_bytes = 67_108_864", 6, more).await;
    let limit = 64.0 * MIB as f64;
    // Sequentially, 20 MiB each of 64: idle environments are evicted.
    for at in 0..6 {
        let answer = host.invoke(&format!("f{at}"), &write(20)).await;
        assert_eq!(
            answer.header("x-amz-function-error"),
            "",
            "{}",
            answer.text()
        );
        assert!(sample(&host, SCRATCH).await <= limit);
    }
    assert!(sample(&host, "lamina_evictions_total reason=scratch").await >= 3.0);
    // A guest alone gets all there is, and no more.
    let fill = json!({"do": "fill", "path": "/tmp/y"});
    let filled = host.invoke("f5", &fill).await;
    let bytes = filled.json()["bytes"].as_u64().expect("a number");
    assert_eq!(filled.json()["error"], "StorageFull", "{}", filled.text());
    assert!((30 * MIB..64 * MIB).contains(&bytes), "{bytes}");
    assert!(
        log_of(&filled).contains("limits.scratch_bytes"),
        "{}",
        log_of(&filled)
    );
    assert!(disk_bytes(&host.dir.path().join("data/scratch")) <= 64 * MIB);
    // While it is busy, no other environment is opened; when it is idle, it makes way.
    let sleep = spawn(&host, "f5", json!({"do": "sleep", "ms": 3_000}));
    reaches(&host, "lamina_environments state=busy", 1.0).await;
    let throttled = host.invoke("f0", &json!({"do": "echo"})).await;
    assert!(is_throttled(&throttled), "{}", throttled.text());
    assert_eq!(
        sample(&host, "lamina_throttles_total reason=scratch").await,
        1.0
    );
    assert_eq!(sleep.await.expect("it ends").status, 200);
    let answer = host.invoke("f0", &write(20)).await;
    assert_eq!(
        answer.header("x-amz-function-error"),
        "",
        "{}",
        answer.text()
    );
    assert_eq!(
        sample(&host, "lamina_guest_bytes_limit resource=scratch").await,
        limit
    );
}

/// Bytes of the files below a directory.
fn disk_bytes(dir: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(dir).expect("it is there");
    let sizes = entries.map(|entry| {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            disk_bytes(&path)
        } else {
            path.metadata().map_or(0, |it| it.len())
        }
    });
    sizes.sum()
}

/// Descriptors that the host has open.
fn open_files(host: &Lamina) -> usize {
    let dir = format!("/proc/{}/fd", host.pid());
    std::fs::read_dir(dir).expect("the host runs").count()
}

#[tokio::test]
async fn kept_directories_of_many_functions_are_bounded() {
    let limits = "environments = 64\nidle_seconds = 1\nconnections_per_address = 500";
    let host = Arc::new(Lamina::limited("-n 1024", limits));
    let functions = 40;
    let more = json!({"Timeout": 20});
    for number in 0..functions {
        host.create(&format!("f{number}"), &guest("hostile"), more.clone())
            .await;
    }
    let before = open_files(&host);
    for number in 0..functions {
        let nap = json!({"do": "sleep", "ms": 300});
        let calls: Vec<_> = (0..64)
            .map(|_| spawn(&host, &format!("f{number}"), nap.clone()))
            .collect();
        for call in calls {
            let answer = call.await.expect("it ends");
            assert_eq!(answer.status, 200, "f{number}: {}", answer.text());
        }
    }
    // Idle directories are closed; 64 connections of this test stay.
    for _ in 0..3_000 {
        if open_files(&host) <= before + 64 + 8 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!(
        "{} descriptors are open, {before} before",
        open_files(&host)
    );
}
