//! Tracing header `X-Amzn-Trace-Id`. Its `Lineage` counts the invocations of each function in a chain, by which loops
//! are found: `Root=…;Parent=…;Sampled=0;Lineage=a87bd80c:1|68fd508a:5`.

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

/// The trace with one invocation more of a function.
///
/// # Errors
/// If the function was invoked [`HOPS_MAX`] times before in this chain.
pub fn advance(trace: &str, function_arn: &str) -> Result<String, Loop> {
    let own = key(function_arn);
    let fields = trace.split(';').map(str::trim).filter(|it| !it.is_empty());
    let (lineage, others): (Vec<&str>, Vec<&str>) = fields.partition(|it| it.starts_with(LINEAGE));
    let mut hops: Vec<(String, u32)> = lineage
        .first()
        .map(|it| it[LINEAGE.len()..].split('|').filter_map(hop).collect())
        .unwrap_or_default();
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
    let cut = hops.len().saturating_sub(FUNCTIONS_MAX);
    let hops: Vec<String> = hops[cut..]
        .iter()
        .map(|(name, count)| format!("{name}:{count}"))
        .collect();
    let mut text = others.join(";");
    if !text.is_empty() {
        text.push(';');
    }
    text.push_str(LINEAGE);
    text.push_str(&hops.join("|"));
    Ok(text)
}

/// Function and count of one entry; earlier forms have a field before them.
fn hop(entry: &str) -> Option<(String, u32)> {
    let mut parts = entry.rsplit(':');
    let count = parts.next()?.parse().ok()?;
    let name = parts.next()?;
    let is_key = name.len() == KEY_CHARS && name.bytes().all(|it| it.is_ascii_hexdigit());
    is_key.then(|| (name.to_owned(), count))
}

const KEY_CHARS: usize = 8;

/// Short name of a function.
fn key(function_arn: &str) -> String {
    let digest = digest::digest(&digest::SHA256, function_arn.as_bytes());
    hex(&digest.as_ref()[..KEY_CHARS / 2])
}

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
            trace = advance(&trace, "arn:f").unwrap();
            // Another function in the chain has its own count.
            trace = advance(&trace, "arn:g").unwrap();
        }
        assert_eq!(advance(&trace, "arn:f"), Err(Loop));
        assert!(advance(&trace, "arn:h").is_ok());
        assert!(trace.starts_with(&root), "{trace}");
        assert_eq!(trace.matches(LINEAGE).count(), 1);
    }

    #[test]
    fn lineage_of_other_forms_is_kept_or_passed_over() {
        let own = key("arn:f");
        for (given, expected) in [
            ("Root=1-a-b", format!("Root=1-a-b;Lineage={own}:1")),
            ("", format!("Lineage={own}:1")),
            (
                "Lineage=a87bd80c:1|25:68fd508a:5|x|y:z;Self=1",
                format!("Self=1;Lineage=a87bd80c:1|68fd508a:5|{own}:1"),
            ),
            (&format!("Lineage={own}:4294967295"), String::new()),
        ] {
            let advanced = advance(given, "arn:f").unwrap_or_default();
            assert_eq!(advanced, expected, "{given}");
        }
    }

    #[test]
    fn long_lineage_is_cut() {
        let mut trace = String::new();
        for number in 0..100 {
            trace = advance(&trace, &format!("arn:{number}")).unwrap();
        }
        assert_eq!(trace.matches('|').count(), FUNCTIONS_MAX - 1);
    }
}
