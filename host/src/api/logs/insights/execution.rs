//! Execution of a query on its thread: reads the events, runs the commands, and keeps the results as JSON.

use std::sync::Arc;

use serde::Serialize;

use super::budget::{Budget, Stop};
use super::execute::{self, Table};
use super::row::Row;
use super::syntax::Command;
use crate::api::logs::queries::{Outcome, Running, Status};
use crate::clock::{Clock, Timestamp};
use crate::sandbox::lower_priority;
use crate::telemetry::log::{Direction, Filter, Logs};

/// Events read at once.
const PAGE_EVENTS: usize = 10_000;
/// Results of one query.
const RESULTS_BYTES_MAX: usize = 16 << 20;

/// A query to execute.
#[derive(Debug)]
pub(super) struct Execution {
    pub(super) logs: Logs,
    pub(super) clock: Clock,
    pub(super) groups: Vec<String>,
    pub(super) commands: Vec<Command>,
    pub(super) start: Timestamp,
    /// Exclusive.
    pub(super) end: Timestamp,
    /// Rows of the results.
    pub(super) limit: usize,
    pub(super) running: Running,
}

/// A field of a row in the results.
#[derive(Serialize)]
struct Cell<'a> {
    field: &'a str,
    value: &'a str,
}

impl Execution {
    /// Runs the query to its end.
    pub(super) fn run(self) {
        lower_priority();
        let budget = Budget::new(&self.clock, self.running.stopped());
        let outcome = self.outcome(&budget).unwrap_or_else(|stop| {
            tracing::info!(reason = %stop, "a log query ended without results");
            Outcome::without_results(match stop {
                Stop::Cancelled => Status::Cancelled,
                Stop::Memory => Status::Failed,
                Stop::Time => Status::Timeout,
            })
        });
        self.running.end(outcome);
    }

    fn outcome(&self, budget: &Budget<'_>) -> Result<Outcome, Stop> {
        let mut rows = Vec::new();
        let mut bytes_scanned = 0;
        for group in &self.groups {
            bytes_scanned += self.read(group, &mut rows, budget)?;
        }
        let scanned = rows.len();
        let mut table = execute::run(&self.commands, rows, budget)?;
        table.rows.truncate(self.limit);
        Ok(Outcome {
            status: Status::Complete,
            results: json(&table, budget)?,
            matched: table.matched,
            scanned,
            bytes_scanned,
        })
    }

    /// Adds the events of a group in the time of the query, and returns the bytes of their messages.
    fn read(&self, group: &str, rows: &mut Vec<Row>, budget: &Budget<'_>) -> Result<usize, Stop> {
        let name: Arc<str> = group.into();
        let mut filter = Filter {
            start: Some(self.start),
            end: Some(self.end),
            limit: PAGE_EVENTS,
            ..Filter::default()
        };
        let mut bytes = 0;
        loop {
            budget.check()?;
            // A group that was deleted meanwhile has no events.
            let Some(page) = self.logs.filter(group, &filter) else {
                return Ok(bytes);
            };
            for event in page.events {
                budget.charge(Row::bytes_of_event(&event))?;
                bytes += event.message.len();
                rows.push(Row::of_event(Arc::clone(&name), event));
            }
            match page.next {
                Some(next) => filter.direction = Direction::Forward(next),
                None => return Ok(bytes),
            }
        }
    }
}

/// Rows of a table as a JSON array. Missing fields are left out.
fn json(table: &Table, budget: &Budget<'_>) -> Result<String, Stop> {
    let mut json = String::from("[");
    for (at, row) in table.rows.iter().enumerate() {
        json.push_str(if at == 0 { "[" } else { ",[" });
        let pointer = row.is_event().then_some("@ptr");
        let fields = table.fields.iter().map(|it| &**it).chain(pointer);
        let mut is_first = true;
        for field in fields {
            let value = row.get(field, budget)?;
            let Some(text) = value.text() else { continue };
            let cell = Cell {
                field,
                value: &text,
            };
            let cell = serde_json::to_string(&cell).expect("texts are JSON");
            if !std::mem::take(&mut is_first) {
                json.push(',');
            }
            budget.charge(cell.len())?;
            json.push_str(&cell);
            if json.len() > RESULTS_BYTES_MAX {
                return Err(Stop::Memory);
            }
        }
        json.push(']');
    }
    json.push(']');
    json.shrink_to_fit();
    Ok(json)
}
