use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use proptest::prelude::*;
use wasmtime_wasi::filesystem::WasiFilesystemCtx;
use wasmtime_wasi::p2::StreamError;
use wasmtime_wasi::p2::bindings::filesystem::preopens::Host as _;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, Host as _, HostDescriptor as Descriptors, OpenFlags,
};
use wasmtime_wasi::{ResourceTable, WasiCtxBuilder};

use super::*;
use crate::sandbox::budget::{self, Grant};
use crate::sandbox::descriptors::Descriptors as Bounds;
use crate::units::Mib;

type Fd = Resource<Descriptor>;

struct Tmp {
    dir: tempfile::TempDir,
    ctx: WasiFilesystemCtx,
    table: ResourceTable,
    quota: Arc<Quota>,
    descriptors: Held,
    root: u32,
}

impl Tmp {
    fn new(mib: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut wasi = WasiCtxBuilder::new();
        wasi.allow_blocking_current_thread(true);
        wasi.preopened_dir(dir.path(), "/tmp", FsPerms::ReadWrite)
            .unwrap();
        let mut tmp = Self {
            dir,
            ctx: wasi.build().filesystem().clone(),
            table: ResourceTable::new(),
            quota: Arc::new(Quota::new(
                Mib::new(mib),
                Grant::of(budget::Resource::Scratch, u64::MAX),
            )),
            descriptors: Held::new(Arc::new(Bounds::of_this_process())),
            root: 0,
        };
        tmp.root = tmp.fs().wasi.get_directories().unwrap()[0].0.rep();
        tmp
    }

    fn fs(&mut self) -> Counted<'_> {
        Counted {
            wasi: WasiFilesystemCtxView {
                ctx: &mut self.ctx,
                table: &mut self.table,
            },
            quota: &self.quota,
            descriptors: &mut self.descriptors,
            mounted: None,
        }
    }

    fn root(&self) -> Fd {
        Resource::new_borrow(self.root)
    }

    async fn open(&mut self, path: &str, flags: OpenFlags) -> FsResult<Fd> {
        let (root, write) = (self.root(), DescriptorFlags::READ | DescriptorFlags::WRITE);
        let follow = PathFlags::SYMLINK_FOLLOW;
        self.fs()
            .open_at(root, follow, path.into(), flags, write)
            .await
    }

    async fn put(&mut self, path: &str, bytes: usize) -> FsResult<Fd> {
        let fd = self.open(path, OpenFlags::CREATE).await?;
        let stream = self.fs().append_via_stream(same(&fd))?;
        let write = self
            .table
            .get_mut(&stream)
            .unwrap()
            .write(vec![7; bytes].into());
        self.table.delete(stream).unwrap();
        write
            .map(|()| fd)
            .map_err(|_| ErrorCode::InsufficientSpace.into())
    }

    fn close(&mut self, fd: Fd) {
        Descriptors::drop(&mut self.fs(), Resource::new_own(fd.rep())).unwrap();
    }

    fn code<T>(&mut self, result: FsResult<T>) -> Option<ErrorCode> {
        let error = result.err()?;
        Some(self.fs().convert_error_code(error).unwrap())
    }
}

/// Names, and blocks of all inodes, as on disk.
fn on_disk(dir: &Path) -> (u64, u64) {
    fn visit(dir: &Path, names: &mut u64, inodes: &mut HashSet<(u64, u64)>) {
        inodes.insert((
            fs::metadata(dir).unwrap().ino(),
            fs::metadata(dir).unwrap().len(),
        ));
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            *names += 1;
            inodes.insert((metadata.ino(), metadata.len()));
            if metadata.is_dir() {
                visit(&path, names, inodes);
            }
        }
    }
    let (mut names, mut inodes) = (0, HashSet::new());
    visit(dir, &mut names, &mut inodes);
    let blocks = inodes
        .iter()
        .map(|(_, bytes)| super::super::quota::blocks(*bytes));
    (names, blocks.sum())
}

#[derive(Clone, Debug)]
enum Step {
    Put(usize, usize),
    Truncate(usize),
    Resize(usize, u64),
    MakeDir(usize),
    Link(usize, usize),
    Symlink(usize, usize),
    Rename(usize, usize),
    Unlink(usize),
    RemoveDir(usize),
    Hold(usize),
    Release,
}

/// Few names, so that steps collide; with directories, paths into them and detours.
const NAMES: [&str; 8] = ["a", "b", "c", "d/a", "d/b", "d", "./d/../c", "d/"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let name = || 0..NAMES.len();
    let step = prop_oneof![
        4 => (name(), 0..20_000_usize).prop_map(|(at, bytes)| Step::Put(at, bytes)),
        1 => name().prop_map(Step::Truncate),
        2 => (name(), 0..40_000_u64).prop_map(|(at, bytes)| Step::Resize(at, bytes)),
        2 => name().prop_map(Step::MakeDir),
        2 => (name(), name()).prop_map(|(from, to)| Step::Link(from, to)),
        1 => (name(), name()).prop_map(|(from, to)| Step::Symlink(from, to)),
        3 => (name(), name()).prop_map(|(from, to)| Step::Rename(from, to)),
        3 => name().prop_map(Step::Unlink),
        1 => name().prop_map(Step::RemoveDir),
        2 => name().prop_map(Step::Hold),
        1 => Just(Step::Release),
    ];
    prop::collection::vec(step, 1..60)
}

async fn take(tmp: &mut Tmp, step: &Step, held: &mut Vec<Fd>) {
    let name = |at: &usize| NAMES[*at].to_owned();
    let (root, flags) = (tmp.root(), PathFlags::empty());
    match step {
        Step::Put(at, bytes) => {
            if let Ok(fd) = tmp.put(NAMES[*at], *bytes).await {
                tmp.close(fd);
            }
        }
        Step::Truncate(at) => {
            let opened = tmp.open(NAMES[*at], OpenFlags::TRUNCATE).await;
            if let Ok(fd) = opened {
                tmp.close(fd);
            }
        }
        Step::Resize(at, bytes) => {
            if let Ok(fd) = tmp.open(NAMES[*at], OpenFlags::empty()).await {
                let _ = tmp.fs().set_size(same(&fd), *bytes).await;
                tmp.close(fd);
            }
        }
        Step::MakeDir(at) => drop(tmp.fs().create_directory_at(root, name(at)).await),
        Step::Link(from, to) => {
            let linked = tmp
                .fs()
                .link_at(same(&root), flags, name(from), root, name(to))
                .await;
            drop(linked);
        }
        Step::Symlink(from, to) => drop(tmp.fs().symlink_at(root, name(from), name(to)).await),
        Step::Rename(from, to) => {
            drop(
                tmp.fs()
                    .rename_at(same(&root), name(from), root, name(to))
                    .await,
            );
        }
        Step::Unlink(at) => drop(tmp.fs().unlink_file_at(root, name(at)).await),
        Step::RemoveDir(at) => drop(tmp.fs().remove_directory_at(root, name(at)).await),
        Step::Hold(at) => held.extend(tmp.open(NAMES[*at], OpenFlags::empty()).await.ok()),
        Step::Release => held.drain(..).for_each(|fd| tmp.close(fd)),
    }
    // Held files may have lost their names, and must count all the same.
    for fd in held.iter().map(same).collect::<Vec<_>>() {
        if let Ok(stream) = tmp.fs().append_via_stream(fd) {
            let _ = tmp
                .table
                .get_mut(&stream)
                .unwrap()
                .write(vec![7; 3_000].into());
            tmp.table.delete(stream).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn quota_equals_disk_usage(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut tmp = Tmp::new(1);
            let (mut held, mut names_max) = (Vec::new(), 0);
            let fd = tmp.put("first", 1).await.unwrap();
            tmp.close(fd);
            for step in &steps {
                take(&mut tmp, step, &mut held).await;
                let (names, blocks) = on_disk(tmp.dir.path());
                let used = tmp.quota.used();
                names_max = names_max.max(names);
                prop_assert!(used.0 >= names && used.1 >= blocks, "{step:?}: {used:?} {names} {blocks}");
                prop_assert!(used.1 <= 257, "{step:?}: {used:?}");
            }
            held.drain(..).for_each(|fd| tmp.close(fd));
            prop_assert_eq!(tmp.quota.used(), on_disk(tmp.dir.path()));
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn full_tmp_refuses_only_allocations() {
    let mut tmp = Tmp::new(1);
    let fd = tmp.put("full", 1 << 20).await.unwrap();
    let full = Some(ErrorCode::InsufficientSpace);
    let (root, flags) = (tmp.root(), PathFlags::empty());
    let more = tmp.put("more", 1).await;
    assert_eq!(tmp.code(more), full);
    let made = tmp.fs().create_directory_at(same(&root), "d".into()).await;
    assert_eq!(tmp.code(made), full);
    let linked = tmp
        .fs()
        .symlink_at(same(&root), "full".into(), "s".into())
        .await;
    assert_eq!(tmp.code(linked), full);
    let grown = tmp.fs().write(same(&fd), vec![7; 10], 1 << 20).await;
    assert_eq!(tmp.code(grown), full);
    let read = tmp.fs().read(same(&fd), 3, 0).await.unwrap();
    assert_eq!(read.0, [7, 7, 7]);
    let (from, to) = (same(&root), same(&root));
    tmp.fs()
        .rename_at(from, "full".into(), to, "other".into())
        .await
        .unwrap();
    tmp.fs()
        .link_at(
            same(&root),
            flags,
            "other".into(),
            same(&root),
            "again".into(),
        )
        .await
        .unwrap();
    tmp.fs()
        .unlink_file_at(same(&root), "other".into())
        .await
        .unwrap();
    let more = tmp.put("more", 1).await;
    assert_eq!(tmp.code(more), full, "it has another name");
    tmp.fs()
        .unlink_file_at(same(&root), "again".into())
        .await
        .unwrap();
    let more = tmp.put("more", 1).await;
    assert_eq!(tmp.code(more), full, "it is open");
    tmp.close(fd);
    tmp.put("more", 1_000_000).await.unwrap();
}

#[tokio::test]
async fn failed_stream_is_closed_with_reason() {
    let mut tmp = Tmp::new(1);
    let fd = tmp.open("f", OpenFlags::CREATE).await.unwrap();
    let none = tmp.fs().write_via_stream(same(&fd), 1 << 20);
    assert_eq!(tmp.code(none), Some(ErrorCode::InsufficientSpace));
    let stream = tmp.fs().write_via_stream(same(&fd), (1 << 20) - 1).unwrap();
    let output = tmp.table.get_mut(&stream).unwrap();
    assert_eq!(output.check_write().unwrap(), 64 << 10);
    output.write(b"x"[..].into()).unwrap();
    let failed = output.write(b"x"[..].into()).unwrap_err();
    let StreamError::LastOperationFailed(error) = failed else {
        panic!("{failed}")
    };
    assert!(matches!(output.check_write(), Err(StreamError::Closed)));
    assert!(matches!(
        output.write(b"x"[..].into()),
        Err(StreamError::Closed)
    ));
    let error = tmp.table.push(error).unwrap();
    let code = tmp.fs().filesystem_error_code(error).unwrap();
    assert_eq!(code, Some(ErrorCode::InsufficientSpace));
    let none = tmp.fs().append_via_stream(fd);
    assert_eq!(tmp.code(none), Some(ErrorCode::InsufficientSpace));
}
