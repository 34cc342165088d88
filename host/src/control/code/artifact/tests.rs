//! What is compiled for which machines, and what becomes of it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Cursor, Write};

use bytes::Bytes;
use futures_util::FutureExt;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;
use crate::control::code::{Arrival, Library, Used};
use crate::control::configuration::Configuration;

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

fn package(component: &[u8]) -> Bytes {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default();
    zip.start_file("bootstrap.wasm", options).unwrap();
    zip.write_all(component).unwrap();
    zip.finish().unwrap().into_inner().into()
}

fn configuration() -> Configuration {
    Configuration::new("role".into(), "bootstrap".into(), "provided.al2023".into())
}

async fn checked_in(library: &Library, architecture: Architecture) -> Arrival {
    let mut configuration = configuration();
    configuration.architecture = architecture;
    let package = package(&component());
    let arrival = library.check_in(package, &configuration).await;
    arrival.unwrap()
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
    let entries = fs::read_dir(&library.0.artifacts).unwrap().flatten();
    entries.map(|it| machine_of(&it.path())).collect()
}

async fn found(library: &Library, component: &ComponentRef, target: Target) -> Option<Artifact> {
    library.0.find(component, target).await.unwrap()
}

fn collect(library: &Library, used: &[(&CodeRef, Architecture)]) {
    let mut named = Used::default();
    for (code, architecture) in used {
        named.code(code, *architecture);
    }
    library.begin_collection().unwrap().finish(&named).unwrap();
}

#[tokio::test]
async fn code_is_compiled_for_what_runs_it_and_for_what_was_asked() {
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

    // What is for this machine is what is run.
    let runnable = library.0.runnable(&code, foreign()).await.unwrap();
    assert_eq!(runnable, found(&library, &component, Target::Here).await);
    library.load(&code, foreign(), &[]).await.unwrap();

    // What is lost is made again.
    fs::remove_file(&elsewhere).unwrap();
    library.refresh(&code, own()).await.unwrap();
    assert_eq!(machines(&library), here);
    library.refresh(&code, foreign()).await.unwrap();
    assert_eq!(machines(&library), both);
}

#[tokio::test]
async fn code_for_other_machines_is_kept_while_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::for_test(dir.path());
    let both = BTreeSet::from([62, 183]);
    let arrival = checked_in(&library, foreign()).await;
    let code = arrival.code.clone();
    // In no record yet.
    collect(&library, &[]);
    assert_eq!(machines(&library), both);
    drop(arrival);
    collect(&library, &[(&code, foreign()), (&code, own())]);
    assert_eq!(machines(&library), both);
    collect(&library, &[(&code, own())]);
    assert_eq!(machines(&library), BTreeSet::from([number(own())]));
    collect(&library, &[]);
    assert_eq!(machines(&library), BTreeSet::new());
}

#[tokio::test]
async fn what_another_machine_compiled_for_this_one_runs() {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::for_test(dir.path());
    let code = checked_in(&library, own()).await.code;
    let component = code.component.clone().unwrap();
    let target = Target::from_elsewhere().unwrap();
    let here = found(&library, &component, Target::Here).await.unwrap();
    fs::remove_file(&here.path).unwrap();
    let given = library.0.made(&code, &component, target).await.unwrap();
    assert_eq!(
        found(&library, &component, target).await.as_ref(),
        Some(&given)
    );
    let runnable = library.0.runnable(&code, own()).await.unwrap();
    assert_eq!(runnable, Some(given));
    library.load(&code, own(), &[]).await.unwrap();
    assert!(!here.path.exists());
    // The code that uses all of this machine's processor comes with the next start.
    library.refresh(&code, own()).await.unwrap();
    let runnable = library.0.runnable(&code, own()).await.unwrap();
    assert_eq!(runnable, Some(here));
}

#[tokio::test]
async fn what_is_compiled_for_one_engine_the_other_does_not_load() {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::for_test(dir.path());
    let code = checked_in(&library, own()).await.code;
    let component = code.component.clone().unwrap();
    let copied = found(&library, &component, Target::Here).await.unwrap();
    assert_eq!(copied.image, MemoryImage::Copied);
    let name = library
        .0
        .name(&component, Target::Here, MemoryImage::Mapped);
    let mapped = library.0.artifacts.join(name);
    assert_ne!(copied.path, mapped);
    fs::rename(&copied.path, &mapped).unwrap();
    let refused = library.load(&code, own(), &[]).await.unwrap_err();
    let cause = std::error::Error::source(&refused).unwrap().to_string();
    assert!(cause.contains("could not be loaded"), "{cause}");
}

#[tokio::test]
async fn what_was_refused_is_there_for_a_collection_soon() {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::for_test(dir.path());
    checked_in(&library, own()).await;
    assert!(library.left_over().now_or_never().is_none());
    let junk = package(b"not a component");
    library.check_in(junk, &configuration()).await.unwrap_err();
    assert!(library.left_over().now_or_never().is_some());
    assert_eq!(library.0.trees.list().unwrap().len(), 2);
    collect(&library, &[]);
    assert!(library.0.trees.list().unwrap().is_empty());
}
