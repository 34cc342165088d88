//! Extension that prints the events it gets, and does what the variable `EXTENSION` of its function says: at one of
//! `init`, `invoke` and `shutdown`, one of `sleep`, `spin`, `exit`, `trap`, `report`, `flood` and `allocate`, such as
//! `invoke:spin`. Other texts in the variable change nothing.

use lambda::extension::lifecycle::{self, Event, EventKind};
use lambda::extension::telemetry::{self, TelemetryType};

wit_bindgen::generate!({ path: "../../../wit/extension", world: "extension" });

fn main() {
    let wish = std::env::var("EXTENSION").unwrap_or_default();
    let (phase, act) = wish.split_once(':').unwrap_or_default();
    if phase == "init" {
        perform(act, lifecycle::init_error);
    }
    let registration =
        lifecycle::register(&[EventKind::Invoke, EventKind::Shutdown]).expect("once");
    println!("registered with {}", registration.function_name);
    let kinds = [TelemetryType::Platform, TelemetryType::Function];
    telemetry::subscribe(&kinds, None).expect("in time");
    loop {
        match lifecycle::next() {
            Event::Invoke(invocation) => {
                println!("invoke {}", invocation.request_id);
                if phase == "invoke" {
                    perform(act, lifecycle::exit_error);
                }
            }
            Event::Telemetry(batch) => println!("telemetry {batch}"),
            Event::Shutdown(ending) => {
                println!("shutdown {:?}", ending.reason);
                if phase == "shutdown" {
                    perform(act, lifecycle::exit_error);
                }
                return;
            }
        }
    }
}

fn perform(act: &str, report: fn(&str, &str)) {
    match act {
        "sleep" => std::thread::sleep(std::time::Duration::from_secs(600)),
        "nap" => std::thread::sleep(std::time::Duration::from_millis(300)),
        "spin" => loop {
            std::hint::spin_loop();
        },
        "exit" => std::process::exit(3),
        "trap" => core::arch::wasm32::unreachable(),
        "report" => {
            report("Test.Reported", "the variable asked for it");
            std::process::exit(1);
        }
        "flood" => {
            let line = "x".repeat(1 << 10);
            (0..20_000).for_each(|_| println!("{line}"));
        }
        "allocate" => std::mem::forget(std::hint::black_box(vec![1_u8; 150 << 20])),
        _ => {}
    }
}
