//! Fuzz targets: one check for each reader of what callers and functions send. A check panics where a property
//! of its reader does not hold. The tests run it over the corpus in `tests/fuzz` and over mutations of that
//! corpus. proptest draws the mutations: cargo-fuzz needs a nightly compiler, which the toolchain of this repository is not.

mod mutation;
#[cfg(test)]
mod tests;

/// Checks one input; panics where a property does not hold.
pub type Check = fn(&[u8]);

/// All targets by their names. The corpus of each is `tests/fuzz/<name>/`.
pub const TARGETS: [(&str, Check); 8] = [
    ("arn", crate::names::fuzz::check),
    ("component", crate::sandbox::fuzz::check),
    ("filter", crate::api::logs::fuzz::check),
    ("http1", crate::server::fuzz::check),
    ("json", crate::payload::fuzz::check),
    ("policy", crate::policy::fuzz::check),
    ("signature", crate::api::rest::sigv4::fuzz::check),
    ("zip", crate::library::package::fuzz::check),
];
