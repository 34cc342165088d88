//! Tracing header `X-Amzn-Trace-Id`. Its `Lineage` counts the invocations of each function in a chain, by which loops
//! are found: `Root=…;Parent=…;Sampled=0;Lineage=a87bd80c:1|68fd508a:5`.

use std::fmt::Write;

use aws_lc_rs::digest;

use crate::clock::{Clock, Timestamp};
use crate::names::hex;

/// Invocations of one function in a chain, after which it is a loop.
pub const HOPS_MAX: u32 = 16;

const LINEAGE: &str = "Lineage=";

/// Functions in a lineage; a longer one is cut at its front.
const FUNCTIONS_MAX: usize = 16;

/// A loop.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Loop;

/// New trace, not sampled.
pub fn new(clock: &Clock, now: Timestamp) -> String {
    let (root, parent) = (hex(&clock.random::<12>()), hex(&clock.random::<8>()));
    let seconds = now.secs();
    format!("Root=1-{seconds:08x}-{root};Parent={parent};Sampled=0")
}

/// Name of a function in lineages: eight hexadecimal digits. Made once a function, since every request to a function URL
/// needs it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Key(Box<str>);

impl Key {
    /// Key of the function with this ARN.
    pub fn of(function_arn: &str) -> Self {
        let digest = digest::digest(&digest::SHA256, function_arn.as_bytes());
        Self(hex(&digest.as_ref()[..KEY_CHARS / 2]).into())
    }
}

/// The trace with one invocation more of a function.
///
/// # Errors
/// If the function was invoked [`HOPS_MAX`] times before in this chain.
pub fn advance(trace: &str, function: &Key) -> Result<String, Loop> {
    let own = &*function.0;
    let mut text = String::with_capacity(trace.len() + LINEAGE.len() + ENTRY_CHARS);
    let mut lineage = None;
    for field in trace.split(';').map(str::trim).filter(|it| !it.is_empty()) {
        match field.strip_prefix(LINEAGE) {
            Some(found) => lineage = lineage.or(Some(found)),
            None => {
                text.push_str(field);
                text.push(';');
            }
        }
    }
    let hops = lineage.into_iter().flat_map(|it| it.split('|'));
    let mut hops: Vec<(&str, u32)> = hops.filter_map(hop).collect();
    let count = match hops.iter_mut().find(|(name, _)| *name == own) {
        Some((_, count)) => {
            *count = count.saturating_add(1);
            *count
        }
        None => {
            hops.push((own, 1));
            1
        }
    };
    if count > HOPS_MAX {
        return Err(Loop);
    }
    text.push_str(LINEAGE);
    let cut = hops.len().saturating_sub(FUNCTIONS_MAX);
    for (index, (name, count)) in hops[cut..].iter().enumerate() {
        let separator = if index == 0 { "" } else { "|" };
        let _infallible = write!(text, "{separator}{name}:{count}");
    }
    Ok(text)
}

/// Function and count of one entry; earlier forms have a field before them.
fn hop(entry: &str) -> Option<(&str, u32)> {
    let mut parts = entry.rsplit(':');
    let count = parts.next()?.parse().ok()?;
    let name = parts.next()?;
    let is_key = name.len() == KEY_CHARS && name.bytes().all(|it| it.is_ascii_hexdigit());
    is_key.then_some((name, count))
}

const KEY_CHARS: usize = 8;
/// Entry of a function, with the separator before the field.
const ENTRY_CHARS: usize = KEY_CHARS + 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn function_is_a_loop_after_sixteen_invocations() {
        let clock = Clock::system();
        let mut trace = new(&clock, Timestamp::from_millis(1_767_225_600_000));
        assert!(trace.starts_with("Root=1-6955b900-") && trace.ends_with(";Sampled=0"));
        let root = trace.split(';').next().unwrap().to_owned();
        for _ in 0..HOPS_MAX {
            trace = advance(&trace, &Key::of("arn:f")).unwrap();
            // Another function in the chain has its own count.
            trace = advance(&trace, &Key::of("arn:g")).unwrap();
        }
        assert_eq!(advance(&trace, &Key::of("arn:f")), Err(Loop));
        assert!(advance(&trace, &Key::of("arn:h")).is_ok());
        assert!(trace.starts_with(&root), "{trace}");
        assert_eq!(trace.matches(LINEAGE).count(), 1);
    }

    #[test]
    fn lineage_of_other_forms_is_kept_or_passed_over() {
        let function = Key::of("arn:f");
        let own = &function.0;
        for (given, expected) in [
            ("Root=1-a-b", format!("Root=1-a-b;Lineage={own}:1")),
            ("", format!("Lineage={own}:1")),
            (
                "Lineage=a87bd80c:1|25:68fd508a:5|x|y:z;Self=1",
                format!("Self=1;Lineage=a87bd80c:1|68fd508a:5|{own}:1"),
            ),
            (&format!("Lineage={own}:4294967295"), String::new()),
        ] {
            let advanced = advance(given, &function).unwrap_or_default();
            assert_eq!(advanced, expected, "{given}");
        }
    }

    #[test]
    fn long_lineage_is_cut() {
        let mut trace = String::new();
        for number in 0..100 {
            trace = advance(&trace, &Key::of(&format!("arn:{number}"))).unwrap();
        }
        assert_eq!(trace.matches('|').count(), FUNCTIONS_MAX - 1);
    }
}
