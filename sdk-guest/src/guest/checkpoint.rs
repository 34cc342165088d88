//! Prepares a component for a snapshot. Memory survives in the restored copies, the host's handles
//! do not. `wasi-libc` caches handles of the standard streams and preopened directories, and a copy
//! of the environment variables; using a stale handle would trap.

/// Closes `wasi-libc`'s cached handles and resets them for first use in the copy. Call after the
/// author's hook: printing or opening files before the snapshot would cache handles again.
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

/// Components adapted from `wasm32-wasip1` keep their handles in the adapter, which cannot drop
/// them.
#[cfg(not(target_env = "p2"))]
pub(super) fn release_handles() {}
