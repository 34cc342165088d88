//! Components compiled for this machine and for others, and how artifacts come and go.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Cursor, Write};

use bytes::Bytes;
use futures_util::FutureExt;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;
use crate::library::{
    Arrival, CodeRef, ComponentRef, Delivery, Library, Origin, RequiredProgram, Requirements, Used,
};
use crate::telemetry::metrics::Queue;

/// A component that exports `wasi:cli/run`, of one function that answers ok.
fn component() -> Vec<u8> {
    let module: &[&[u8]] = &[
        b"\0asm\x01\0\0\0",
        b"\x01\x05\x01\x60\0\x01\x7f",
        b"\x03\x02\x01\0",
        b"\x07\x05\x01\x01f\0\0",
        b"\x0a\x06\x01\x04\0\x41\0\x0b",
    ];
    let module = module.concat();
    let module_bytes = [u8::try_from(module.len()).unwrap()];
    let sections: &[&[u8]] = &[
        b"\0asm\x0d\0\x01\0\x01",
        &module_bytes,
        &module,
        // Its instance, the function of that, the type `func() -> result`, and the function lifted to it.
        b"\x02\x04\x01\0\0\0",
        b"\x06\x07\x01\0\0\x01\0\x01f",
        b"\x07\x08\x02\x6a\0\0\x40\0\0\0",
        b"\x08\x06\x01\0\0\0\0\x01",
        b"\x05\x0a\x01\x01\x01\0\x03run\x01\0",
        b"\x0b\x18\x01\0\x12wasi:cli/run@0.2.0\x05\0\0",
    ];
    sections.concat()
}

fn of_host() -> Requester {
    Requester::of_host("f")
}

fn package(component: &[u8]) -> Bytes {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default();
    zip.start_file("bootstrap.wasm", options).unwrap();
    zip.write_all(component).unwrap();
    zip.finish().unwrap().into_inner().into()
}

async fn try_check_in(
    library: &Library,
    package: Bytes,
    architecture: Architecture,
) -> Result<Arrival, Error> {
    try_check_in_for(
        library,
        package,
        architecture,
        Requester::new("caller", "f"),
    )
    .await
}

async fn try_check_in_for(
    library: &Library,
    package: Bytes,
    architecture: Architecture,
    requester: Requester,
) -> Result<Arrival, Error> {
    let delivery = Delivery::new(Origin::Upload(package), requester);
    let stored = library.receive(delivery).await?;
    let program = RequiredProgram::Component {
        handler: "bootstrap".into(),
    };
    let requirements = Requirements {
        layers: Vec::new(),
        program,
        architecture,
    };
    library.check_in(&stored, requirements).await
}

async fn checked_in(library: &Library, architecture: Architecture) -> Arrival {
    let package = package(&component());
    try_check_in(library, package, architecture).await.unwrap()
}

fn own() -> Architecture {
    Architecture::of_this_machine().expect("tests run on a machine that functions can ask for")
}

fn foreign() -> Architecture {
    let others = Architecture::ALL.into_iter().filter(|it| *it != own());
    let [other] = others.collect::<Vec<_>>()[..] else {
        panic!("there are two");
    };
    other
}

/// The machine that a file of code is for, as ELF numbers them.
fn machine_of(artifact: &Path) -> u16 {
    let code = fs::read(artifact).unwrap();
    assert!(code.starts_with(b"\x7fELF"), "{}", artifact.display());
    u16::from_le_bytes([code[18], code[19]])
}

fn number(architecture: Architecture) -> u16 {
    match architecture {
        Architecture::X86_64 => 62,
        Architecture::Arm64 => 183,
    }
}

/// The machines that there is compiled code for.
fn machines(library: &Library) -> BTreeSet<u16> {
    let entries = fs::read_dir(&library.0.artifacts.dir).unwrap().flatten();
    entries.map(|it| machine_of(&it.path())).collect()
}

async fn found(library: &Library, component: &ComponentRef, target: Target) -> Option<Artifact> {
    library
        .0
        .artifacts
        .find(component.digest, target)
        .await
        .unwrap()
}

async fn collect(library: &Library, used: &[(&CodeRef, Architecture)]) -> usize {
    let mut named = Used::default();
    for (code, architecture) in used {
        named.code(code, *architecture, &[]);
    }
    let collection = library.begin_collection().await.unwrap();
    collection.finish(named).await.unwrap()
}

async fn runnable(library: &Library, code: &CodeRef, architecture: Architecture) -> Artifact {
    let component = code.component.as_ref().unwrap();
    let input = library.component_file(code, component);
    let artifacts = &library.0.artifacts;
    let requester = of_host();
    let found = artifacts.runnable(component.digest, architecture, input, &requester);
    found.await.unwrap()
}

#[tokio::test]
async fn code_is_compiled_for_this_machine_and_its_architecture() {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::for_test(dir.path());
    let here = BTreeSet::from([number(own())]);
    let both = BTreeSet::from([62, 183]);
    checked_in(&library, own()).await;
    assert_eq!(machines(&library), here);
    let code = checked_in(&library, foreign()).await.code;
    assert_eq!(machines(&library), both);
    let component = code.component.clone().unwrap();
    let elsewhere = found(&library, &component, Target::Any(foreign())).await;
    let elsewhere = elsewhere.unwrap().path;
    assert_eq!(machine_of(&elsewhere), number(foreign()));

    // The artifact for this machine runs.
    let runs = runnable(&library, &code, foreign()).await;
    assert_eq!(Some(runs), found(&library, &component, Target::Here).await);
    library
        .load(&code, foreign(), &[], &of_host())
        .await
        .unwrap();

    // A lost artifact is recompiled.
    fs::remove_file(&elsewhere).unwrap();
    library
        .refresh(&code, own(), &[], &of_host())
        .await
        .unwrap();
    assert_eq!(machines(&library), here);
    library
        .refresh(&code, foreign(), &[], &of_host())
        .await
        .unwrap();
    assert_eq!(machines(&library), both);
}

#[tokio::test]
async fn code_for_other_machines_is_kept_while_a_version_asks_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::for_test(dir.path());
    let both = BTreeSet::from([62, 183]);
    let arrival = checked_in(&library, foreign()).await;
    let code = arrival.code.clone();
    // In no record yet.
    collect(&library, &[]).await;
    assert_eq!(machines(&library), both);
    drop(arrival);
    collect(&library, &[(&code, foreign()), (&code, own())]).await;
    assert_eq!(machines(&library), both);
    collect(&library, &[(&code, own())]).await;
    assert_eq!(machines(&library), BTreeSet::from([number(own())]));
    collect(&library, &[]).await;
    assert_eq!(machines(&library), BTreeSet::new());
}

#[tokio::test]
async fn artifact_of_another_machine_runs_here() {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::for_test(dir.path());
    let code = checked_in(&library, own()).await.code;
    let component = code.component.clone().unwrap();
    let target = Target::from_elsewhere().unwrap();
    let here = found(&library, &component, Target::Here).await.unwrap();
    fs::remove_file(&here.path).unwrap();
    let input = library.component_file(&code, &component);
    let (artifacts, requester) = (&library.0.artifacts, Requester::new("caller", "f"));
    let made = artifacts.made(component.digest, &input, target, &requester);
    let given = made.await.unwrap();
    assert_eq!(
        found(&library, &component, target).await.as_ref(),
        Some(&given)
    );
    assert_eq!(runnable(&library, &code, own()).await, given);
    library.load(&code, own(), &[], &of_host()).await.unwrap();
    assert!(!here.path.exists());
    // The code that uses all of this machine's processor comes with the next start.
    library
        .refresh(&code, own(), &[], &of_host())
        .await
        .unwrap();
    assert_eq!(runnable(&library, &code, own()).await, here);
}

#[tokio::test]
async fn artifact_of_another_engine_is_not_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::for_test(dir.path());
    let code = checked_in(&library, own()).await.code;
    let component = code.component.clone().unwrap();
    let copied = found(&library, &component, Target::Here).await.unwrap();
    assert_eq!(copied.kind, EngineKind::Copied);
    let artifacts = &library.0.artifacts;
    let name = artifacts.name(component.digest, Target::Here, EngineKind::Mapped);
    let mapped = artifacts.dir.join(name);
    assert_ne!(copied.path, mapped);
    fs::rename(&copied.path, &mapped).unwrap();
    let refused = library
        .load(&code, own(), &[], &of_host())
        .await
        .unwrap_err();
    let text = refused.to_string();
    assert!(text.contains("could not be loaded"), "{text}");
}

#[tokio::test]
async fn refused_package_is_collected_soon() {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::for_test(dir.path());
    checked_in(&library, own()).await;
    assert!(library.refused().now_or_never().is_none());
    let junk = package(b"not a component");
    try_check_in(&library, junk, own()).await.unwrap_err();
    assert!(library.refused().now_or_never().is_some());
    assert_eq!(library.0.trees.list().unwrap().len(), 2);
    collect(&library, &[]).await;
    assert!(library.0.trees.list().unwrap().is_empty());
}

/// A compiler that never ends for components that say so, and refuses all others at once.
const ENDLESS: &str = r#"#!/bin/sh
grep -q endless "$2" && exec sleep 1000
echo '{"Err":{"Component":"it is refused"}}'
"#;

#[tokio::test]
async fn slow_compilations_of_one_caller_do_not_block_another() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("compiler");
    fs::write(&program, ENDLESS).unwrap();
    set_mode(&program, 0o700);
    let library = Library::compiled_by(dir.path(), compile::Compiler::Child { program });
    let saying = |text: &str| {
        let section = [
            &[0, u8::try_from(text.len() + 1).unwrap(), 0],
            text.as_bytes(),
        ];
        package(&[component(), section.concat()].concat())
    };
    let slow = (0..4).map(|n| {
        let requester = Requester::new("slow", &format!("f{n}"));
        try_check_in_for(&library, saying(&format!("endless {n}")), own(), requester).boxed()
    });
    let mut slow = futures_util::future::join_all(slow).boxed();
    let is_full = |queues: [Queue; 3]| (queues[2].running, queues[2].waiting) == (2, 2);
    while !is_full(library.queues()) {
        // It goes on with them until they all wait.
        let step = tokio::time::sleep(std::time::Duration::from_millis(5));
        futures_util::future::select(&mut slow, step.boxed()).await;
    }
    let requester = Requester::new("quick", "f0");
    let quick = try_check_in_for(&library, saying("quick"), own(), requester);
    let futures_util::future::Either::Left((quick, _)) =
        futures_util::future::select(quick.boxed(), slow).await
    else {
        panic!("the slow ones do not end");
    };
    assert_eq!(quick.unwrap_err().to_string(), "it is refused");
}

#[tokio::test]
async fn loaded_program_keeps_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::for_test(dir.path());
    let code = checked_in(&library, own()).await.code;
    let program = library.load(&code, own(), &[], &of_host()).await.unwrap();
    // In no record any more, as after an update or a deletion.
    collect(&library, &[]).await;
    assert!(library.0.trees.find(&code.package).is_some());
    assert_eq!(machines(&library), BTreeSet::from([number(own())]));
    drop(program);
    assert_eq!(collect(&library, &[]).await, 1);
    assert!(library.0.trees.find(&code.package).is_none());
    assert!(machines(&library).is_empty());
    let lost = library
        .load(&code, own(), &[], &of_host())
        .await
        .unwrap_err();
    assert!(matches!(lost, Error::Missing(_)), "{lost}");
}

#[tokio::test]
async fn versions_with_the_same_code_share_one_program() {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::for_test(dir.path());
    let code = checked_in(&library, own()).await.code;
    let first = library.load(&code, own(), &[], &of_host()).await.unwrap();
    let weak = first.downgrade();
    let second = library.load(&code, own(), &[], &of_host()).await.unwrap();
    drop(first);
    assert!(weak.is_loaded(), "the second is the first");
    drop(second);
    assert!(!weak.is_loaded(), "the library does not keep it");
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn artifact_that_others_could_have_written_is_not_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::for_test(dir.path());
    let code = checked_in(&library, own()).await.code;
    let artifact = runnable(&library, &code, own()).await.path;
    let directory = dir.path().join("artifacts");
    for (path, mode, good) in [(&artifact, 0o622, 0o600), (&directory, 0o777, 0o700)] {
        set_mode(path, mode);
        let refused = library
            .load(&code, own(), &[], &of_host())
            .await
            .unwrap_err();
        assert!(matches!(refused, Error::Untrusted(_)), "{refused}");
        set_mode(path, good);
    }
    library.load(&code, own(), &[], &of_host()).await.unwrap();
}

#[tokio::test]
async fn artifact_that_others_could_have_written_is_compiled_again() {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::for_test(dir.path());
    let code = checked_in(&library, own()).await.code;
    let artifact = runnable(&library, &code, own()).await.path;
    let directory = dir.path().join("artifacts");
    for (path, mode) in [(&artifact, 0o622), (&directory, 0o777)] {
        drop(library.load(&code, own(), &[], &of_host()).await.unwrap());
        set_mode(path, mode);
        let library = Library::for_test(dir.path());
        assert!(!artifact.exists(), "{}", path.display());
        library.load(&code, own(), &[], &of_host()).await.unwrap();
    }
}
