//! Makes a component fit to be snapshotted. Memory survives in the copies; the host's handles
//! behind it do not. `wasi-libc` keeps such handles for the standard streams and the preopened
//! directories, and with them a copy of the environment variables; each use of one would trap in
//! the copy.

/// Drops what `wasi-libc` holds and sets it up anew for its first use in the copy. The author's
/// hook must have run before: nothing may print or open files between this and the snapshot.
#[cfg(target_env = "p2")]
pub(super) fn release_handles() {
    unsafe extern "C" {
        fn close(fd: i32) -> i32;
        fn __wasilibc_init_stdio() -> i32;
        fn __wasilibc_reset_preopens();
        fn __wasilibc_deinitialize_environ();
    }
    // SAFETY: functions of the wasi-libc that this target always links, with its signatures. No
    // other thread exists that could use a descriptor meanwhile, and the standard streams, whose
    // numbers Rust's library takes for granted, are open again when this returns.
    unsafe {
        for standard_stream in 0..3 {
            close(standard_stream);
        }
        __wasilibc_init_stdio();
        __wasilibc_reset_preopens();
        __wasilibc_deinitialize_environ();
    }
}

/// A component made by an adapter from `wasm32-wasip1` keeps its handles in the adapter, which
/// has no way to drop them.
#[cfg(not(target_env = "p2"))]
pub(super) fn release_handles() {}
