//! Repetition in documents: a merge of two branches may bring back lines that one of them has moved or rewritten.

use std::collections::BTreeSet;
use std::fs;

use crate::harness::root;

/// Lines that occur twice, by their `key`; lines without one may.
fn repeated(document: &str, key: impl Fn(&str) -> Option<&str>) -> Vec<String> {
    let text = fs::read_to_string(root().join(document)).expect("it is there");
    let mut seen = BTreeSet::new();
    let repeated = text.lines().filter_map(key);
    let repeated = repeated.filter(|key| !seen.insert((*key).to_owned()));
    repeated.map(str::to_owned).collect()
}

/// First cell of a table's row; none of a head.
fn subject(line: &str) -> Option<&str> {
    let cell = line.strip_prefix("| ")?.split('|').next()?.trim();
    Some(cell).filter(|it| !["limit", "promise"].contains(it))
}

/// A line, unless it is blank.
fn text(line: &str) -> Option<&str> {
    Some(line).filter(|it| !it.trim().is_empty())
}

#[test]
fn row_of_specification_is_not_repeated() {
    assert_eq!(repeated("SPECIFICATION.md", subject), Vec::<String>::new());
}

#[test]
fn line_of_changelog_is_not_repeated() {
    assert_eq!(repeated("CHANGELOG.md", text), Vec::<String>::new());
}
