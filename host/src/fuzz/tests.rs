//! Runs every target over its corpus and over mutations of it.
//!
//! `LAMINA_FUZZ_SECONDS` makes each target run for so long instead of a number of mutations, and
//! `LAMINA_FUZZ_SEED` repeats a run. A failure prints both its seed and its input; put the input into the corpus.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use super::mutation::mutations;
use super::*;
use crate::clock::Clock;

/// Mutations that share a seed; the time is looked at between them.
const BATCH: u32 = 200;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz")
}

/// The files of a corpus, in the order of their names.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(directory().join(target)).expect("the target has a corpus");
    let files = files.map(|file| file.expect("it can be listed"));
    let mut files: Vec<_> = files
        .map(|file| {
            let content = fs::read(file.path()).expect("it can be read");
            (
                file.file_name().into_string().expect("it has a plain name"),
                content,
            )
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{target} has an empty corpus");
    files
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var_os(variable)?.into_string().ok()?;
    Some(text.parse().expect("the variable is a number"))
}

/// Message of a failed check.
fn failure(check: Check, input: &[u8]) -> Option<String> {
    let panic = catch_unwind(AssertUnwindSafe(|| check(input))).err()?;
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    Some(text.unwrap_or("it panicked").to_owned())
}

/// Checks the corpus of a target, and then `mutations` of it or as many as the time allows.
fn run(target: &str, mutations: u32) {
    let (_, check) = TARGETS.iter().find(|(name, _)| *name == target).unwrap();
    let files = corpus(target);
    for (name, content) in &files {
        if let Some(text) = failure(*check, content) {
            panic!("tests/fuzz/{target}/{name}: {text}");
        }
    }
    let files: Vec<Vec<u8>> = files.into_iter().map(|(_, content)| content).collect();
    let clock = Clock::system();
    let time = number("LAMINA_FUZZ_SECONDS").map(Duration::from_secs);
    // The short run is the same each time, so that it fails for a change alone.
    let first = number("LAMINA_FUZZ_SEED").unwrap_or_else(|| match time {
        Some(_) => u64::from_ne_bytes(clock.random()),
        None => 0,
    });
    let began = clock.instant();
    let is_over = |done: u32| match time {
        Some(time) => began.elapsed() >= time,
        None => done >= mutations,
    };
    let (mut seed, mut done) = (first, 0);
    while !is_over(done) {
        run_batch(target, *check, &files, seed, BATCH.min(mutations));
        seed = seed.wrapping_add(1);
        done = done.saturating_add(BATCH);
    }
    println!("{target}: {done} mutations from seed {first}");
}

fn run_batch(target: &str, check: Check, files: &[Vec<u8>], seed: u64, cases: u32) {
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let checked = runner.run(&mutations(), |mutation| {
        check(&mutation.apply(files));
        Ok(())
    });
    match checked {
        Ok(()) => {}
        Err(TestError::Abort(why)) => panic!("{target}: {why}"),
        Err(TestError::Fail(why, mutation)) => {
            let input = mutation.apply(files);
            let kept = std::env::temp_dir().join(format!("lamina-fuzz-{target}-{seed}"));
            fs::write(&kept, &input).expect("the input can be kept");
            panic!(
                "{target}: {why}\nLAMINA_FUZZ_SEED={seed}, the input is in {}: {}",
                kept.display(),
                input.escape_ascii()
            );
        }
    }
}

#[test]
fn name_that_is_parsed_prints_itself() {
    run("arn", 4_000);
}

#[test]
fn file_that_is_no_component_is_the_callers_fault() {
    run("component", 400);
}

#[test]
fn filter_pattern_agrees_with_a_reader_of_characters() {
    run("filter", 4_000);
}

#[test]
fn bytes_of_a_connection_have_one_meaning() {
    run("http1", 1_000);
}

#[test]
fn document_is_read_as_serde_json_reads_it() {
    run("json", 4_000);
}

#[test]
fn denial_or_doubt_allows_nothing_more() {
    run("policy", 2_000);
}

#[test]
fn request_that_aws_signs_is_accepted_until_it_changes() {
    run("signature", 1_000);
}

#[test]
fn package_is_unpacked_as_listed_and_inside_its_tree() {
    run("zip", 400);
}

#[test]
fn every_target_has_a_test() {
    let here = include_str!("tests.rs");
    for (name, _) in TARGETS {
        assert!(
            here.contains(&format!("run(\"{name}\", ")),
            "{name} has no test"
        );
    }
}
