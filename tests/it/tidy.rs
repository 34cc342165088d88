//! Tidiness of the source tree: layering, one module per dependency, file sizes, wording.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::root;

mod circles;
mod comments;
mod documents;

/// Directories of authored Rust code.
const AUTHORED: [&str; 7] = [
    "host/src",
    "host/build",
    "sdk-guest/src",
    "tests/it",
    "benches",
    "examples",
    "tests/guests",
];

/// Rust files below a directory.
fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir)
            .expect("the folder is there")
            .filter_map(Result::ok)
        {
            let path = entry.path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn host() -> Vec<(String, String)> {
    let src = root().join("host/src");
    let read = |path: PathBuf| {
        let name = path
            .strip_prefix(&src)
            .expect("inside")
            .to_string_lossy()
            .into_owned();
        (name, fs::read_to_string(&path).expect("it can be read"))
    };
    sources(&src).into_iter().map(read).collect()
}

/// Layers from the top down; each may use only those after it. `control` uses the data plane through the types
/// that `invoke` and `sandbox` export to it.
const LAYERS: [&[&str]; 12] = [
    &["cli"],
    &["host"],
    &["server"],
    &["api"],
    &["event_source"],
    &["events"],
    &["control"],
    &["invoke"],
    &["library"],
    &["sandbox", "store", "config"],
    &["outbound"],
    &[
        "telemetry",
        "policy",
        "payload",
        "names",
        "units",
        "clock",
        "disk",
    ],
];

fn height(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

#[test]
fn layer_uses_only_layers_below() {
    for (name, text) in host() {
        let module = name.split(['/', '.']).next().unwrap_or_default();
        let Some(own) = height(module) else { continue };
        for (number, line) in text.lines().enumerate() {
            let named = line.split("crate::").skip(1).filter_map(|rest| {
                rest.split(|it: char| !it.is_ascii_lowercase() && it != '_')
                    .next()
            });
            for other in named.filter(|other| *other != module) {
                let Some(theirs) = height(other) else {
                    continue;
                };
                // `config` names types of the layers it configures.
                let configures = module == "config" && other == "sandbox";
                let lowest = own + 1 == LAYERS.len() && theirs == own;
                assert!(
                    theirs > own || configures || lowest,
                    "{name}:{}: {module} names {other}",
                    number + 1
                );
            }
        }
    }
}

#[test]
fn dependency_is_used_in_its_own_module_only() {
    let doors: [(&str, &[&str]); 13] = [
        ("wasmtime", &["sandbox"]),
        ("wasmparser", &["sandbox"]),
        ("rusqlite", &["store"]),
        ("aws_sigv4", &["outbound"]),
        ("redis::aio", &["outbound"]),
        ("hyper_util::client", &["outbound", "cli"]),
        ("anyhow", &["cli"]),
        ("clap::", &["cli"]),
        ("SystemTime::now", &["clock"]),
        // Of tokio, whose time tests pause and turn, outside `clock`.
        ("Instant::now", &["clock", "server", "api/body"]),
        (
            "tokio::time",
            &[
                "clock",
                "server",
                "api/body",
                "cli",
                "sandbox/compile",
                "sandbox/environment",
            ],
        ),
        // The thread that ticks.
        ("thread::sleep", &["sandbox/deadline"]),
        ("std::env::var(", &["cli", "control/simulation"]),
    ];
    for (name, text) in host() {
        // The oracle of a fuzz check may be what only another module uses.
        if name.contains("tests.rs") || name.ends_with("/fuzz.rs") {
            continue;
        }
        for (what, doors) in doors {
            let code = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            let leaks = code.into_iter().any(|line| line.contains(what));
            assert!(
                !leaks || doors.iter().any(|door| name.starts_with(door)),
                "{name} names {what}"
            );
        }
    }
}

/// Calls that create files and directories or set their modes.
const CREATIONS: [&str; 12] = [
    "DirBuilder",
    "File::create",
    "File::options",
    "OpenOptions::new",
    "Permissions::from_mode",
    "fs::copy(",
    "fs::create_dir",
    "fs::set_permissions",
    "fs::write(",
    "set_permissions(",
    "tokio::fs::OpenOptions",
    ".mode(0o",
];

/// `cli` writes projects of its users; cap-std creates the files of guests.
#[test]
fn disk_alone_creates_files_and_sets_modes() {
    let elsewhere = |(name, _): &(String, String)| {
        let is_test = ["tests.rs", "/tests/", "simulation/", "fuzz"]
            .iter()
            .any(|it| name.contains(it));
        name != "disk.rs" && !is_test && !name.starts_with("cli")
    };
    for (name, text) in host().into_iter().filter(elsewhere) {
        let code = text.split("\n#[cfg(test)]\n").next().unwrap_or_default();
        for creation in CREATIONS {
            assert!(!code.contains(creation), "{name} uses {creation}");
        }
    }
}

/// Conversions that replace undecodable values by placeholders.
const STAND_INS: [&str; 4] = [
    "from_utf8_lossy",
    "decode_utf8_lossy",
    "to_string_lossy",
    "unwrap_or(\"?\")",
];

#[test]
fn api_replaces_no_request_value() {
    let of_api = |(name, _): &(String, String)| {
        (name.starts_with("api") || name.starts_with("names")) && !name.contains("tests.rs")
    };
    for (name, text) in host().into_iter().filter(of_api) {
        for conversion in STAND_INS {
            assert!(!text.contains(conversion), "{name} uses {conversion}");
        }
    }
}

#[test]
fn file_is_small_and_has_a_module_comment() {
    let made = |path: &PathBuf| !path.components().any(|part| part.as_os_str() == "target");
    for path in AUTHORED
        .iter()
        .flat_map(|dir| sources(&root().join(dir)))
        .filter(made)
    {
        let name = path.display();
        let is_bindings =
            path.ends_with("hello-component/src/bindings.rs") || path.ends_with("tests.rs");
        let text = fs::read_to_string(&path).expect("it can be read");
        assert!(
            text.starts_with("//!") || is_bindings,
            "{name} does not say what it is"
        );
        assert!(
            text.lines().count() <= 600 || is_bindings,
            "{name} is too long"
        );
        assert!(
            !["utils", "common", "helpers", "types", "mod"]
                .iter()
                .any(|it| path.ends_with(format!("{it}.rs"))),
            "{name}"
        );
        assert!(!text.contains(concat!("TO", "DO")), "{name} puts work off");
    }
}

#[test]
fn top_level_has_only_known_directories() {
    let agreed = [
        "benches",
        "examples",
        "host",
        "layers",
        "sdk-guest",
        "tests",
        "wit",
    ];
    for entry in fs::read_dir(root())
        .expect("the root")
        .filter_map(Result::ok)
    {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_dir = entry.file_type().is_ok_and(|it| it.is_dir());
        let made = name == "target" || name.starts_with('.');
        assert!(!is_dir || made || agreed.contains(&name.as_str()), "{name}");
    }
}

/// Programs that tests may run: those of the README, of a minimal Debian, and of `tests/run`.
const PROGRAMS: [&str; 14] = [
    "bash",
    "cargo",
    "chromium",
    "curl",
    "docker-registry",
    "git",
    "ip",
    "mount",
    "python3",
    "redis-server",
    "rustup",
    "sh",
    "skopeo",
    "umount",
];

#[test]
fn tests_run_only_programs_of_a_minimal_machine() {
    for (folder, calls) in [
        ("tests/it", &["Command::new(\"", "run(\""][..]),
        ("host/src", &["Command::new(\""]),
    ] {
        for path in sources(&root().join(folder)) {
            let text = fs::read_to_string(&path).expect("it can be read");
            for named in calls.iter().flat_map(|call| text.split(call).skip(1)) {
                let program = named.split(['"', ' ']).next().unwrap_or_default();
                let is_known = PROGRAMS.contains(&program);
                assert!(is_known, "{} runs {program}", path.display());
            }
        }
    }
    let installed = fs::read_to_string(root().join("tests/run")).expect("it is there");
    // A minimal Debian has no `ip`, and tests that lack it are skipped.
    for program in ["ip", "docker-registry"] {
        let looked = format!("command -v {program}");
        assert!(installed.contains(&looked), "tests/run installs {program}");
    }
}

#[test]
fn promised_numbers_name_their_tests() {
    let specification = fs::read_to_string(root().join("SPECIFICATION.md")).expect("it is there");
    let tests: String = sources(&root().join("tests/it"))
        .into_iter()
        .chain(sources(&root().join("host/src")))
        .map(|path| fs::read_to_string(path).expect("it can be read"))
        .collect();
    let rows = specification
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains('`'));
    for row in rows {
        let held_by = row.rsplit('|').nth(1).unwrap_or_default();
        for name in held_by
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|name| !name.starts_with("benches"))
        {
            assert!(
                tests.contains(&format!("fn {name}(")),
                "SPECIFICATION.md names {name}"
            );
        }
    }
}

/// The README's first command is a bare `cargo run`.
#[test]
fn bare_cargo_run_starts_lamina() {
    let output = std::process::Command::new("cargo")
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    let list = |value: &serde_json::Value| value.as_array().expect("a list").clone();
    let members = list(&found["workspace_default_members"]);
    let packages = list(&found["packages"]);
    let run = packages.iter().filter(|it| members.contains(&it["id"]));
    let targets = run.flat_map(|package| list(&package["targets"]));
    let programs = targets.filter(|target| list(&target["kind"]).contains(&"bin".into()));
    let names: Vec<_> = programs.map(|target| target["name"].clone()).collect();
    assert_eq!(names, ["lamina"]);
}
