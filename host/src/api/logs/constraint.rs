//! Request constraints, and CloudWatch Logs' message that lists all violations.

use super::Fault;

/// AWS's limit of group and stream names.
const NAME_CHARS_MAX: usize = 512;

/// Violated constraints of a request.
#[derive(Debug, Default)]
pub(super) struct Constraints(Vec<String>);

impl Constraints {
    pub(super) fn group_name(&mut self, member: &str, name: &str) {
        let fits = |letter: char| letter.is_ascii_alphanumeric() || ".-_/#".contains(letter);
        self.name(member, name, fits, r"[\.\-_/#A-Za-z0-9]+");
    }

    pub(super) fn stream_name(&mut self, member: &str, name: Option<&str>) {
        let fits = |letter: char| letter != ':' && letter != '*';
        match name {
            Some(name) => self.name(member, name, fits, "[^:*]*"),
            None => self.null(member),
        }
    }

    /// Missing required member.
    pub(super) fn null(&mut self, member: &str) {
        self.broken(member, None, "not be null");
    }

    /// Number out of a set of days.
    pub(super) fn days(&mut self, member: &str, value: Option<i64>, set: &[u16]) -> u16 {
        let Some(value) = value else {
            self.null(member);
            return 0;
        };
        if let Some(days) = set.iter().find(|days| i64::from(**days) == value) {
            return *days;
        }
        let constraint = format!("satisfy enum value set: {set:?}");
        self.broken(member, Some(&value.to_string()), &constraint);
        0
    }

    fn name(&mut self, member: &str, name: &str, fits: fn(char) -> bool, pattern: &str) {
        let constraint = if name.is_empty() {
            "have length greater than or equal to 1".to_owned()
        } else if name.chars().count() > NAME_CHARS_MAX {
            format!("have length less than or equal to {NAME_CHARS_MAX}")
        } else if !name.chars().all(fits) {
            format!("satisfy regular expression pattern: {pattern}")
        } else {
            return;
        };
        self.broken(member, Some(name), &constraint);
    }

    /// Number within a range; `None` stands for the default.
    pub(super) fn range(&mut self, member: &str, value: Option<i64>, min: i64, max: i64) {
        let Some(value) = value else { return };
        let constraint = if value < min {
            format!("have value greater than or equal to {min}")
        } else if value > max {
            format!("have value less than or equal to {max}")
        } else {
            return;
        };
        self.broken(member, Some(&value.to_string()), &constraint);
    }

    pub(super) fn one_of(&mut self, member: &str, value: Option<&str>, values: &[&str]) {
        if let Some(value) = value.filter(|it| !values.contains(it)) {
            let constraint = format!("satisfy enum value set: [{}]", values.join(", "));
            self.broken(member, Some(value), &constraint);
        }
    }

    fn broken(&mut self, member: &str, value: Option<&str>, constraint: &str) {
        let value = value.map_or_else(|| "null".to_owned(), |value| format!("'{value}'"));
        self.0.push(format!(
            "Value {value} at '{member}' failed to satisfy constraint: Member must {constraint}"
        ));
    }

    /// Refuses the request if any constraint is violated.
    pub(super) fn met(self) -> Result<(), Fault> {
        match self.0.len() {
            0 => Ok(()),
            _ => Err(self.fault()),
        }
    }

    /// Error that lists the violations.
    pub(super) fn fault(&self) -> Fault {
        let count = self.0.len();
        let noun = if count == 1 { "error" } else { "errors" };
        let list = self.0.join("; ");
        Fault::invalid(format!("{count} validation {noun} detected: {list}"))
    }
}
