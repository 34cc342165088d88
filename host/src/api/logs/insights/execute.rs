//! Execution of a query: each command changes the rows that the one before it left.

use std::collections::BTreeMap;

use super::expression::Expression;
use super::row::Row;
use super::syntax::{Command, Named, ROWS_MAX};
use super::value::Value;

/// Rows of a query with its fields in order.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) fields: Vec<String>,
    pub(super) rows: Vec<Row>,
    /// Events that the filters let through.
    pub(super) matched: usize,
}

/// Runs commands on the events of log groups.
pub(super) fn run(commands: &[Command], rows: Vec<Row>) -> Table {
    let matched = rows.len();
    let mut table = Table {
        fields: Vec::new(),
        rows,
        matched,
    };
    let is_sorted = |it: &Command| matches!(it, Command::Sort(_) | Command::Stats { .. });
    if !commands.iter().any(is_sorted) {
        // AWS's default: newest first.
        table
            .rows
            .sort_by_key(|row| std::cmp::Reverse(row.arrival()));
    }
    let mut limit = ROWS_MAX;
    for command in commands {
        match command {
            Command::Limit(number) => {
                limit = *number;
                table.rows.truncate(limit);
            }
            command => table.apply(command),
        }
    }
    table.rows.truncate(limit);
    if table.fields.is_empty() {
        table.fields = ["@timestamp", "@message"].map(str::to_owned).to_vec();
    }
    table
}

impl Table {
    fn apply(&mut self, command: &Command) {
        match command {
            Command::Fields(all) => {
                self.compute(all);
                for Named { name, .. } in all {
                    if !self.fields.contains(name) {
                        self.fields.push(name.clone());
                    }
                }
            }
            Command::Display(all) => {
                self.compute(all);
                self.fields = all.iter().map(|it| it.name.clone()).collect();
            }
            Command::Filter(condition) => {
                self.rows.retain(|row| condition.of_row(row).is_true());
                if self.rows.first().is_none_or(Row::is_event) {
                    self.matched = self.rows.len();
                }
            }
            Command::Parse {
                field,
                regex,
                names,
            } => self.rows.iter_mut().for_each(|row| {
                let text = field.of_row(row).text().unwrap_or_default();
                let Ok(Some(found)) = regex.captures(&text) else {
                    return;
                };
                for (at, name) in names.iter().enumerate() {
                    let part = found.name(name).or_else(|| found.get(at + 1));
                    if let Some(part) = part {
                        row.set(name.clone(), Value::Text(part.as_str().to_owned()));
                    }
                }
            }),
            Command::Stats { results, by } => self.summarize(results, by),
            Command::Sort(keys) => self.sort(keys),
            Command::Dedup(all) => {
                let mut seen = std::collections::HashSet::new();
                let key = |row: &Row| {
                    let values = all.iter().map(|it| it.expression.of_row(row).text());
                    values.collect::<Vec<_>>()
                };
                self.rows.retain(|row| seen.insert(key(row)));
            }
            Command::Limit(number) => self.rows.truncate(*number),
        }
    }

    /// Adds fields that are more than the name of another.
    fn compute(&mut self, all: &[Named]) {
        for Named { expression, name } in all {
            if matches!(expression, Expression::Field(field) if field == name) {
                continue;
            }
            for row in &mut self.rows {
                let value = expression.of_row(row);
                row.set(name.clone(), value);
            }
        }
    }

    fn summarize(&mut self, results: &[Named], by: &[Named]) {
        let mut groups: BTreeMap<Vec<Option<String>>, (Row, Vec<Row>)> = BTreeMap::new();
        for row in std::mem::take(&mut self.rows) {
            let values: Vec<_> = by.iter().map(|it| it.expression.of_row(&row)).collect();
            let key = values.iter().map(Value::text).collect();
            let (named, rows) = groups.entry(key).or_default();
            for (by, value) in by.iter().zip(values) {
                named.set(by.name.clone(), value);
            }
            rows.push(row);
        }
        if groups.is_empty() && by.is_empty() {
            groups.insert(Vec::new(), Default::default());
        }
        let summary = |(mut named, rows): (Row, Vec<Row>)| {
            for result in results {
                let value = result.expression.of_group(&named, &rows);
                named.set(result.name.clone(), value);
            }
            named
        };
        self.rows = groups.into_values().map(summary).collect();
        let names = by.iter().chain(results).map(|it| it.name.clone());
        self.fields = names.collect();
    }

    fn sort(&mut self, keys: &[(Expression, bool)]) {
        self.rows.sort_by(|one, other| {
            let orders = keys.iter().map(|(key, is_descending)| {
                let order = key.of_row(one).compare(&key.of_row(other));
                match is_descending {
                    true => order.reverse(),
                    false => order,
                }
            });
            let mut orders = orders.filter(|it| it.is_ne());
            orders.next().unwrap_or(std::cmp::Ordering::Equal)
        });
    }
}
