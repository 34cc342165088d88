//! Kinds of the records of functions and of what belongs to them, and the writes that follow from the kinds alone.

use crate::names::{FunctionName, Qualifier};
use crate::store::{Expect, Key, Write};

pub(super) const FUNCTION: &str = "function";
pub(super) const VERSION: &str = "version";
pub(super) const ALIAS: &str = "alias";
pub(super) const PROVISIONED: &str = "provisioned";
pub(super) const POLICY: &str = "policy";
pub(super) const URL: &str = "url";
pub(super) const EVENT_INVOKE: &str = "event_invoke";
pub(super) const SCALING: &str = "scaling";

/// Kinds of records that belong to one function: their ids are its name, a slash and the rest. Deletion,
/// publication and the list of functions that a batch touches all read this list; a test holds it complete.
pub(super) const BELOW_FUNCTION: [&str; 7] = [
    POLICY,
    URL,
    VERSION,
    ALIAS,
    PROVISIONED,
    EVENT_INVOKE,
    SCALING,
];

/// Key of a published version's record.
pub(super) fn version_key(name: &FunctionName, number: u64) -> Key {
    Key {
        kind: VERSION,
        id: format!("{name}/{number:010}"),
    }
}

/// Functions whose records, or records below them, a batch writes.
pub(super) fn functions_of(batch: &[Write]) -> Vec<FunctionName> {
    let keys = batch.iter().map(Write::key);
    let names = keys.filter(|key| key.kind == FUNCTION || BELOW_FUNCTION.contains(&key.kind));
    let names = names.filter_map(|key| key.id.split('/').next());
    let mut names: Vec<_> = names
        .filter_map(|it| FunctionName::parse(it).ok())
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Writes that delete a version or an alias with all records that belong to it.
pub(super) fn deletions(name: &FunctionName, qualifier: &Qualifier) -> Vec<Write> {
    let deletion = |kind| {
        let key = match qualifier {
            Qualifier::Version(number) if kind == VERSION => version_key(name, *number),
            _ => Key {
                kind,
                id: format!("{name}/{qualifier}"),
            },
        };
        let expect = Expect::Any;
        Write::Delete { key, expect }
    };
    BELOW_FUNCTION.map(deletion).into()
}

#[cfg(test)]
mod tests;
