use std::fs::OpenOptions;

use super::*;
use crate::sandbox::budget::Resource;

fn unbounded() -> Grant {
    Grant::of(Resource::Scratch, u64::MAX)
}

/// A file of its own, in a quota of `mib`.
fn file(mib: u32) -> (Arc<Quota>, Arc<File>, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let mut options = OpenOptions::new();
    let options = options.create(true).truncate(true).read(true).write(true);
    let file = Arc::new(options.open(dir.path().join("f")).unwrap());
    (Arc::new(Quota::new(Mib::new(mib), unbounded())), file, dir)
}

fn is_full(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::NOSPC.raw_os_error())
}

#[test]
fn a_file_grows_to_the_last_byte_and_no_further() {
    let (quota, file, _dir) = file(1);
    quota.directory(1, 4_096);
    let chunk = vec![7; 300_000];
    let mut written = 0;
    let error = loop {
        match quota.write(&file, &chunk, None) {
            Ok(more) => written += more,
            Err(error) => break error,
        }
    };
    assert!(is_full(&error), "{error}");
    assert_eq!(written, 1 << 20);
    assert_eq!(file.metadata().unwrap().len(), 1 << 20);
    assert_eq!(
        quota.write(&file, &chunk, Some(0)).unwrap(),
        chunk.len(),
        "what is there"
    );
    assert_eq!(quota.write(&file, b"", None).unwrap(), 0);
    quota.resize(&file, 1 << 19).unwrap();
    assert_eq!(quota.write(&file, &chunk, None).unwrap(), chunk.len());
}

#[test]
fn holes_count_as_if_they_were_full() {
    let (quota, file, _dir) = file(1);
    quota.directory(1, 4_096);
    assert!(is_full(&quota.resize(&file, (1 << 20) + 1).unwrap_err()));
    assert!(is_full(&quota.resize(&file, u64::MAX).unwrap_err()));
    assert!(is_full(
        &quota.write(&file, b"x", Some(1 << 20)).unwrap_err()
    ));
    assert!(is_full(
        &quota.write(&file, b"x", Some(u64::MAX)).unwrap_err()
    ));
    assert_eq!(quota.used().1, 1);
    quota.write(&file, b"x", Some((1 << 20) - 1)).unwrap();
    assert_eq!(quota.used().1, 257);
}

#[test]
fn what_has_no_name_counts_until_it_is_closed() {
    let (quota, file, dir) = file(1);
    quota.named(0);
    quota.opened(&file, 5).unwrap();
    quota.write(&file, &[7; 8_192], None).unwrap();
    std::fs::remove_file(dir.path().join("f")).unwrap();
    quota.gone(5, 8_192);
    assert_eq!(quota.used(), (1, 2));
    quota.write(&file, &[7; 8_192], None).unwrap();
    let other = Arc::clone(&file);
    drop(file);
    assert_eq!(quota.used(), (1, 4), "a stream still has it");
    quota.room(0, 254).unwrap_err();
    drop(other);
    quota.room(0, 257).unwrap();
    assert_eq!(quota.used(), (0, 0));
    assert!(quota.is_as_new());
}

#[test]
fn an_inode_that_is_used_again_is_another_file() {
    let (quota, file, dir) = file(1);
    quota.named(1);
    quota.opened(&file, 5).unwrap();
    std::fs::remove_file(dir.path().join("f")).unwrap();
    quota.gone(5, 4_096);
    drop(file);
    let again = Arc::new(File::create(dir.path().join("g")).unwrap());
    quota.named(0);
    quota.opened(&again, 5).unwrap();
    assert_eq!(quota.used(), (1, 0));
}

#[test]
fn names_are_bounded_and_directories_count_as_they_are() {
    let quota = Quota::new(Mib::new(512), unbounded());
    for _ in 0..NAMES_MAX {
        quota.room(1, 0).unwrap();
        quota.named(0);
    }
    quota.room(1, 0).unwrap_err();
    quota.unnamed();
    quota.room(1, 0).unwrap();
    quota.directory(9, 1 << 20);
    quota.directory(9, 8_192);
    assert_eq!(quota.used(), (NAMES_MAX - 1, 2));
    // Only what was counted for it is given back, whatever it has become.
    quota.gone(9, 1 << 30);
    assert_eq!(quota.used(), (NAMES_MAX - 2, 0));
}

#[test]
fn files_that_were_closed_are_forgotten() {
    let (quota, _file, dir) = file(1);
    for identity in 0..10_000 {
        let file = Arc::new(File::open(dir.path().join("f")).unwrap());
        quota.opened(&file, identity).unwrap();
    }
    assert!(quota.lock().opened.len() <= OPENED_MIN + 1);
}

#[test]
fn host_space_bounds_a_file_to_the_last_block() {
    const BLOCKS: u64 = 32;
    let (_, file, _dir) = file(1);
    let grant = Grant::of(Resource::Scratch, BLOCKS * BLOCK_BYTES);
    let quota = Quota::new(Mib::new(512), grant);
    let bytes = vec![1; 200_000];
    assert_eq!(quota.write(&file, &[], Some(1 << 30)).unwrap(), 0);
    assert!(!quota.grant().is_refused());
    let written = quota.write(&file, &bytes, None).unwrap() as u64;
    // The last one is for those that need few.
    assert_eq!(written, (BLOCKS - 1) * BLOCK_BYTES);
    assert!(quota.write(&file, b"x", None).is_err() && quota.grant().is_refused());
    assert!(quota.room_at(&file, None).is_err() && quota.resize(&file, 1 << 20).is_err());
    assert_eq!(quota.grant().bytes(), (BLOCKS - 1) * BLOCK_BYTES);
    quota.resize(&file, 1).unwrap();
    assert_eq!(quota.grant().bytes(), BLOCK_BYTES);
}
