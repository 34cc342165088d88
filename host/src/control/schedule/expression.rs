//! Schedule expressions: `at(…)`, `rate(…)` and `cron(…)` in a time zone. Pure. Cron patterns are matched by `croner`,
//! time zones are `jiff`'s.

use std::cmp::Ordering;
use std::str::FromStr as _;
use std::time::Duration;

use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use croner::{CivilDateTime, Cron, CronDateTime, Resolution, Weekday};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, tz};

use crate::clock::Timestamp;

/// Occurrences in the gap of a time change that are left out in a row.
const SKIPPED_MAX: usize = 1_000;

/// An expression that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    #[error("Invalid Schedule Expression {0}.")]
    Expression(String),
    #[error("The time zone {0} is not known.")]
    Zone(String),
}

/// Times of a schedule.
#[derive(Clone, Debug)]
pub struct Timing {
    expression: Expression,
    zone: TimeZone,
    /// Time from which a rate counts.
    anchor: Timestamp,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
}

#[derive(Clone, Debug)]
enum Expression {
    At(DateTime),
    Rate(Duration),
    Cron(Box<Cron>),
}

impl Timing {
    /// Times of an expression in a time zone, for a schedule made at `created` that is in force from `start` to `end`.
    ///
    /// # Errors
    /// If the expression cannot be read, or the time zone is not known.
    pub fn parse(
        text: &str,
        zone: Option<&str>,
        created: Timestamp,
        (start, end): (Option<Timestamp>, Option<Timestamp>),
    ) -> Result<Self, Invalid> {
        let zone = match zone {
            None | Some("UTC") => TimeZone::UTC,
            Some(name) => TimeZone::get(name).map_err(|_| Invalid::Zone(name.to_owned()))?,
        };
        let expression = parse(text).ok_or_else(|| Invalid::Expression(text.to_owned()))?;
        Ok(Self {
            expression,
            zone,
            anchor: start.unwrap_or(created),
            start,
            end,
        })
    }

    /// First time after this one.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let before_start =
            |start: Timestamp| Timestamp::from_millis(start.millis().saturating_sub(1));
        let next = match &self.expression {
            // Neither start nor end apply.
            Expression::At(at) => {
                let at = self.zone.to_timestamp(*at).ok()?;
                return of_jiff(at).filter(|it| *it > after);
            }
            Expression::Rate(rate) => self.next_of_rate(*rate, after),
            Expression::Cron(cron) => {
                let from = self.start.map_or(after, |it| after.max(before_start(it)));
                self.next_of_cron(cron, from)
            }
        };
        next.filter(|it| self.end.is_none_or(|end| *it <= end))
    }

    /// A rate with a start begins with it; one without begins one period after its creation.
    fn next_of_rate(&self, rate: Duration, after: Timestamp) -> Option<Timestamp> {
        let period = u64::try_from(rate.as_millis()).ok()?;
        let anchor = self.anchor.millis();
        let first = if self.start.is_some() { 0 } else { 1 };
        let passed = match after.millis().checked_sub(anchor) {
            Some(since) => since / period + 1,
            None => 0,
        };
        let count = passed.max(first);
        anchor
            .checked_add(period.checked_mul(count)?)
            .map(Timestamp::from_millis)
    }

    /// A local time that a change of the clock leaves out is skipped; of one that comes twice, the first counts.
    fn next_of_cron(&self, cron: &Cron, after: Timestamp) -> Option<Timestamp> {
        let local = self.zone.to_datetime(after.utc());
        // After the clock was set back, local times are found that were before: none of them is after.
        let mut from = Local(local);
        for _ in 0..SKIPPED_MAX {
            from = cron.find_next_occurrence(&from, false).ok()?;
            let found = self.zone.to_ambiguous_timestamp(from.0);
            if matches!(found.offset(), tz::AmbiguousOffset::Gap { .. }) {
                continue;
            }
            let at = of_jiff(found.earlier().ok()?)?;
            if at > after {
                return Some(at);
            }
        }
        None
    }
}

fn of_jiff(at: jiff::Timestamp) -> Option<Timestamp> {
    let millis = u64::try_from(at.as_millisecond()).ok()?;
    Some(Timestamp::from_millis(millis))
}

fn parse(text: &str) -> Option<Expression> {
    let (kind, rest) = text.split_once('(')?;
    let inner = rest.strip_suffix(')')?;
    match kind {
        "at" => Some(Expression::At(DateTime::from_str(inner).ok()?)),
        "rate" => rate(inner).map(Expression::Rate),
        "cron" => cron(inner).map(|it| Expression::Cron(Box::new(it))),
        _ => None,
    }
}

fn rate(inner: &str) -> Option<Duration> {
    let (value, unit) = inner.trim().split_once(' ')?;
    let value: u64 = value.parse().ok().filter(|it| *it > 0)?;
    let seconds = match unit.trim() {
        "minute" | "minutes" => 60,
        "hour" | "hours" => 3_600,
        "day" | "days" => 86_400,
        _ => return None,
    };
    value.checked_mul(seconds).map(Duration::from_secs)
}

/// Six fields; AWS wants `?` for the day of the month or the day of the week.
fn cron(inner: &str) -> Option<Cron> {
    let fields: Vec<&str> = inner.split_whitespace().collect();
    let [.., day, _, weekday, _] = fields.as_slice() else {
        return None;
    };
    if fields.len() != 6 || (*day == "?") == (*weekday == "?") {
        return None;
    }
    let parser = CronParser::builder()
        .seconds(Seconds::Required)
        .year(Year::Required)
        // Sunday is 1.
        .alternative_weekdays(true)
        .sloppy_ranges(true)
        .build();
    parser.parse(&format!("0 {inner}")).ok()
}

/// Local time, in which patterns are matched.
#[derive(Clone, Copy, Debug)]
struct Local(DateTime);

impl CronDateTime for Local {
    fn to_civil(&self) -> CivilDateTime {
        let at = self.0;
        let part = |it: i8| u32::try_from(it).unwrap_or_default();
        let civil = CivilDateTime::from_ymd_hms_opt(
            at.year().into(),
            part(at.month()),
            part(at.day()),
            part(at.hour()),
            part(at.minute()),
            part(at.second()),
        );
        civil.expect("a date of jiff is a date")
    }

    fn civil_weekday(&self) -> Weekday {
        let days = self.0.weekday().to_sunday_zero_offset();
        Weekday::from_days_from_sunday(u32::try_from(days).unwrap_or_default())
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let (date, time) = (civil.date(), civil.time());
        let part = |it: u32| i8::try_from(it).map_err(|_| CronError::InvalidDate);
        let year = i16::try_from(date.year()).map_err(|_| CronError::InvalidDate)?;
        let local = DateTime::new(
            year,
            part(date.month())?,
            part(date.day())?,
            part(time.hour())?,
            part(time.minute())?,
            part(time.second())?,
            0,
        );
        local
            .map(|it| Resolution::Single(Self(it)))
            .map_err(|_| CronError::InvalidDate)
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        let added = self.0.checked_add(SignedDuration::from_secs(seconds));
        added.ok().map(Self)
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        of_jiff(text.parse().unwrap()).unwrap()
    }

    /// Times of a schedule that was made at the beginning of a time.
    fn times(expression: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        let timing = Timing::parse(expression, Some(zone), at(after), (None, None)).unwrap();
        let mut times = Vec::new();
        let mut last = at(after);
        while times.len() < count
            && let Some(next) = timing.next(last)
        {
            times.push(next.utc().to_string());
            last = next;
        }
        times
    }

    #[test]
    fn cron_patterns_are_those_of_aws() {
        for (pattern, after, expected) in [
            // Every ten minutes of working hours.
            (
                "0/10 8-17 ? * MON-FRI *",
                "2026-11-27T17:45:00Z",
                ["2026-11-27T17:50:00Z", "2026-11-30T08:00:00Z"],
            ),
            (
                "15 12 * * ? *",
                "2026-01-01T12:15:00Z",
                ["2026-01-02T12:15:00Z", "2026-01-03T12:15:00Z"],
            ),
            (
                "0 18 L * ? *",
                "2026-02-01T00:00:00Z",
                ["2026-02-28T18:00:00Z", "2026-03-31T18:00:00Z"],
            ),
            (
                "0 9 ? * 2#1 *",
                "2026-11-01T00:00:00Z",
                ["2026-11-02T09:00:00Z", "2026-12-07T09:00:00Z"],
            ),
            (
                "0 9 ? * 6L *",
                "2026-11-01T00:00:00Z",
                ["2026-11-27T09:00:00Z", "2026-12-25T09:00:00Z"],
            ),
            (
                "0 0 1W * ? *",
                "2026-08-01T00:00:00Z",
                ["2026-08-03T00:00:00Z", "2026-09-01T00:00:00Z"],
            ),
            (
                "0 0 1 JAN ? 2027-2028",
                "2026-08-01T00:00:00Z",
                ["2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"],
            ),
            (
                "0 0 ? * 1 *",
                "2026-11-30T00:00:00Z",
                ["2026-12-06T00:00:00Z", "2026-12-13T00:00:00Z"],
            ),
        ] {
            let found = times(&format!("cron({pattern})"), "UTC", after, 2);
            assert_eq!(found, expected, "{pattern}");
        }
        let past = times("cron(0 0 1 1 ? 2020)", "UTC", "2026-01-01T00:00:00Z", 1);
        assert!(past.is_empty());
    }

    #[test]
    fn local_time_follows_its_zone_through_changes_of_the_clock() {
        let zone = "Europe/Berlin";
        let daily = times("cron(30 2 * * ? *)", zone, "2026-03-27T12:00:00Z", 3);
        // 02:30 does not exist on the 29th.
        let expected = [
            "2026-03-28T01:30:00Z",
            "2026-03-30T00:30:00Z",
            "2026-03-31T00:30:00Z",
        ];
        assert_eq!(daily, expected);
        // 02:30 comes twice on the 25th of October, and the schedule runs once.
        let daily = times("cron(30 2 * * ? *)", zone, "2026-10-24T12:00:00Z", 2);
        assert_eq!(daily, ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
        let once = times("at(2026-07-01T08:00:00)", zone, "2026-01-01T00:00:00Z", 2);
        assert_eq!(once, ["2026-07-01T06:00:00Z"]);
    }

    #[test]
    fn rate_counts_from_its_start_and_ends_with_its_end() {
        let found = times("rate(5 minutes)", "UTC", "2026-01-01T00:00:30Z", 2);
        assert_eq!(found, ["2026-01-01T00:05:30Z", "2026-01-01T00:10:30Z"]);
        let (start, end) = (at("2026-01-02T00:00:00Z"), at("2026-01-02T02:30:00Z"));
        let created = at("2026-01-01T00:00:00Z");
        let within = (Some(start), Some(end));
        let timing = Timing::parse("rate(1 hour)", None, created, within).unwrap();
        assert_eq!(timing.next(created), Some(start));
        let last = at("2026-01-02T02:00:00Z");
        assert_eq!(timing.next(at("2026-01-02T01:00:00Z")), Some(last));
        assert_eq!(timing.next(last), None);
        let cron = Timing::parse("cron(0 * * * ? *)", None, created, within).unwrap();
        assert_eq!(cron.next(created), Some(start));
        assert_eq!(cron.next(last), None);
    }

    #[test]
    fn expression_of_another_form_is_refused() {
        let created = Timestamp::from_millis(0);
        for text in [
            "",
            "rate",
            "rate()",
            "rate(5)",
            "rate(0 minutes)",
            "rate(-1 minutes)",
            "rate(5 weeks)",
            "rate(5 minutes",
            "at(tomorrow)",
            "at(2026-13-01T00:00:00)",
            "cron(* * * * *)",
            "cron(0 0 * * * *)",
            "cron(0 0 ? * ? *)",
            "cron(99 0 * * ? *)",
            "cron(0 0 0 * * ? *)",
            "every(5 minutes)",
        ] {
            let parsed = Timing::parse(text, None, created, (None, None));
            assert!(matches!(parsed, Err(Invalid::Expression(_))), "{text}");
        }
        let zone = Timing::parse("rate(1 day)", Some("Mars/Olympus"), created, (None, None));
        assert!(matches!(zone, Err(Invalid::Zone(_))));
    }
}
