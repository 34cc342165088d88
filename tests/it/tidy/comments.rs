//! Wording of comments: each opens with the noun or verb of its subject.

use std::fs;

use super::{AUTHORED, sources};
use crate::harness::root;

/// Openings that describe around a subject instead of naming it, so that the reader has to search the
/// sentence for the term of the field.
const INDIRECT_OPENINGS: [&str; 11] = [
    "What", "Whatever", "Who", "Whoever", "Whom", "Whose", "Whether", "Which", "How", "Why",
    "Those",
];

/// Text of a comment line, without its marker.
fn comment(line: &str) -> Option<&str> {
    let text = line.trim_start().strip_prefix("//")?;
    Some(text.trim_start_matches(['/', '!']).trim_start())
}

#[test]
fn comment_opens_with_its_subject() {
    let mut found = Vec::new();
    for path in AUTHORED.iter().flat_map(|dir| sources(&root().join(dir))) {
        let is_made = path.components().any(|part| part.as_os_str() == "target");
        if is_made || path.ends_with("bindings.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("it can be read");
        for (at, line) in text.lines().enumerate() {
            let first = comment(line).and_then(|it| it.split_whitespace().next());
            if first.is_some_and(|it| INDIRECT_OPENINGS.contains(&it)) {
                found.push(format!("{}:{}: {}", path.display(), at + 1, line.trim()));
            }
        }
    }
    assert!(
        found.is_empty(),
        "comments open indirectly:\n{}",
        found.join("\n")
    );
}
