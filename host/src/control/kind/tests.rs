//! The list of kinds below a function is complete, and deletions cover it.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;

/// Kinds of records that outlive a function, each for the reason beside it.
const KINDS_APART: [&str; 12] = [
    // The function itself, deleted by its own write.
    "function",
    // AWS keeps a mapping whose function is deleted, and what it reads stays taken.
    "event_source",
    "event_source_claim",
    // Of the account; `code_signing::uses` gives up the use of a function that is deleted.
    "code-signing-config",
    "code-signing-use",
    "layer",
    "layer-version",
    "ledger",
    // AWS keeps a schedule whose function is deleted; its runs go to its dead-letter queue.
    "schedule",
    "schedule_group",
    "schedule_run",
    "vault",
];

/// Kinds that the sources of a directory name: constants of a text, and keys with a literal kind.
fn kinds_in(dir: &Path, kinds: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            kinds_in(&path, kinds);
        } else if !path.ends_with("tests.rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests {").next();
            let lines = code.unwrap_or_default().lines().map(str::trim);
            kinds.extend(lines.filter_map(|line| {
                let names_key = line.starts_with("kind: \"");
                let constants = ["KIND: &str", "USES: &str", "LAYERS: &str", "VERSIONS: &str"];
                let names_kind = line.contains("const ")
                    && (path.ends_with("control/kind.rs") && line.contains(": &str")
                        || constants.iter().any(|constant| line.contains(constant)));
                let literal = line.split('"').nth(1)?;
                (names_key || names_kind).then(|| literal.to_owned())
            }));
        }
    }
}

#[test]
fn kinds_of_records_are_below_a_function_or_apart() {
    let mut found = BTreeSet::new();
    let control = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/control");
    kinds_in(&control, &mut found);
    let listed = BELOW_FUNCTION.into_iter().chain(KINDS_APART);
    let listed: BTreeSet<String> = listed.map(str::to_owned).collect();
    assert_eq!(found, listed);
}

#[test]
fn deletion_of_an_alias_or_a_version_covers_every_kind() {
    let name = FunctionName::parse("f").unwrap();
    let ids = |qualifier| -> Vec<(&str, String)> {
        let writes = deletions(&name, &qualifier);
        let keys = writes.iter().map(Write::key);
        keys.map(|key| (key.kind, key.id.clone())).collect()
    };
    let alias = crate::names::AliasName::parse("live").unwrap();
    let of_alias = ids(Qualifier::Alias(alias));
    let of_version = ids(Qualifier::Version(3));
    for kind in BELOW_FUNCTION {
        assert!(of_alias.contains(&(kind, "f/live".into())), "{kind}");
        let id = match kind {
            VERSION => "f/0000000003",
            _ => "f/3",
        };
        assert!(of_version.contains(&(kind, id.into())), "{kind}");
    }
}
