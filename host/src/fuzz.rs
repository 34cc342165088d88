//! Fuzz targets: one check for each reader of what callers and functions send. A check panics where a property
//! of its reader does not hold. The tests run it over the corpus in `tests/fuzz` and over mutations of that
//! corpus; `tests/fuzz` is a package of cargo-fuzz as well, which finds more where there is a nightly compiler.

#[cfg(test)]
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

/// Checks one input of a target.
///
/// # Panics
/// Where a property does not hold, and where there is no such target.
pub fn check(target: &str, input: &[u8]) {
    let found = TARGETS.iter().find(|(name, _)| *name == target);
    let (_, check) = found.expect("the target is in the list");
    check(input);
}
