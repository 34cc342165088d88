//! Execution of a query: each command changes the rows that the one before it left.

use std::cmp::Ordering;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::budget::{Budget, Stop};
use super::expression::Expression;
use super::pattern::Pattern;
use super::row::Row;
use super::syntax::{Command, Named, ROWS_MAX};
use super::value::Value;

/// Memory of a key of a row, beside its text.
const KEY_BYTES: usize = 64;
/// Memory of a row of `stats`, beside its fields.
const GROUP_BYTES: usize = 512;

/// Rows of a query with its fields in order.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) fields: Vec<Arc<str>>,
    pub(super) rows: Vec<Row>,
    /// Events that the filters let through.
    pub(super) matched: usize,
}

/// Runs commands on the events of log groups.
pub(super) fn run(
    commands: &[Command],
    rows: Vec<Row>,
    budget: &Budget<'_>,
) -> Result<Table, Stop> {
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
        budget.check()?;
        if let Command::Limit(number) = command {
            limit = *number;
        }
        table.apply(command, budget)?;
    }
    table.rows.truncate(limit);
    if table.fields.is_empty() {
        table.fields = ["@timestamp", "@message"].map(Arc::from).to_vec();
    }
    Ok(table)
}

impl Table {
    fn apply(&mut self, command: &Command, budget: &Budget<'_>) -> Result<(), Stop> {
        match command {
            Command::Fields(all) => {
                self.compute(all, budget)?;
                let mut known: HashSet<_> = self.fields.iter().cloned().collect();
                let names = all.iter().map(|it| Arc::clone(&it.name));
                let new = names.filter(|name| known.insert(Arc::clone(name)));
                self.fields.extend(new);
                Ok(())
            }
            Command::Display(all) => {
                self.compute(all, budget)?;
                self.fields = all.iter().map(|it| Arc::clone(&it.name)).collect();
                Ok(())
            }
            Command::Filter(condition) => {
                self.retain(|row| Ok(condition.of_row(row, budget)?.is_true()))?;
                if self.rows.first().is_none_or(Row::is_event) {
                    self.matched = self.rows.len();
                }
                Ok(())
            }
            Command::Parse {
                field,
                pattern,
                names,
            } => self.parse(field, pattern, names, budget),
            Command::Stats { results, by } => self.summarize(results, by, budget),
            Command::Sort(keys) => self.sort(keys, budget),
            Command::Dedup(all) => self.dedup(all, budget),
            Command::Limit(number) => {
                self.rows.truncate(*number);
                Ok(())
            }
        }
    }

    fn retain(&mut self, mut keep: impl FnMut(&Row) -> Result<bool, Stop>) -> Result<(), Stop> {
        let mut stopped = Ok(());
        self.rows.retain(|row| {
            let kept = stopped.and_then(|()| keep(row));
            stopped = kept.map(|_| ());
            kept.unwrap_or(false)
        });
        stopped
    }

    /// Adds fields that are more than the name of another.
    fn compute(&mut self, all: &[Named], budget: &Budget<'_>) -> Result<(), Stop> {
        for Named { expression, name } in all {
            if matches!(expression, Expression::Field(field) if **field == **name) {
                continue;
            }
            for row in &mut self.rows {
                let value = expression.of_row(row, budget)?;
                row.set(name, value, budget)?;
            }
        }
        Ok(())
    }

    fn parse(
        &mut self,
        field: &Expression,
        pattern: &Pattern,
        names: &[(usize, Arc<str>)],
        budget: &Budget<'_>,
    ) -> Result<(), Stop> {
        for row in &mut self.rows {
            let value = field.of_row(row, budget)?;
            let text = value.text().unwrap_or_default();
            let Some(found) = pattern.captures(&text, budget)? else {
                continue;
            };
            for (group, name) in names {
                // A group without a match sets nothing.
                if let Some(part) = found.get(*group) {
                    let value = Value::Text(part.as_str().to_owned());
                    row.set(name, value, budget)?;
                }
            }
        }
        Ok(())
    }

    /// Keeps the first row of each key. As AWS does, it keeps all rows in which a field is missing.
    fn dedup(&mut self, all: &[Named], budget: &Budget<'_>) -> Result<(), Stop> {
        let mut seen = HashSet::new();
        self.retain(|row| {
            let used = budget.used();
            let key = key(all, row, budget)?;
            let is_missing = key.contains(&None);
            let is_new = !is_missing && seen.insert(key);
            if !is_new {
                budget.release_to(used);
            }
            Ok(is_missing || is_new)
        })
    }

    fn summarize(
        &mut self,
        results: &[Named],
        by: &[Named],
        budget: &Budget<'_>,
    ) -> Result<(), Stop> {
        let mut groups: BTreeMap<Vec<Option<String>>, (Row, Vec<Row>)> = BTreeMap::new();
        for row in std::mem::take(&mut self.rows) {
            let used = budget.used();
            let key = key(by, &row, budget)?;
            match groups.entry(key) {
                Entry::Occupied(mut group) => {
                    group.get_mut().1.push(row);
                    budget.release_to(used);
                }
                Entry::Vacant(group) => {
                    budget.charge(GROUP_BYTES)?;
                    let mut named = Row::default();
                    for by in by {
                        let value = by.expression.of_row(&row, budget)?;
                        named.set(&by.name, value, budget)?;
                    }
                    group.insert((named, vec![row]));
                }
            }
        }
        if groups.is_empty() && by.is_empty() {
            groups.insert(Vec::new(), Default::default());
        }
        for (mut named, rows) in groups.into_values() {
            for result in results {
                let value = result.expression.of_group(&named, &rows, budget)?;
                named.set(&result.name, value, budget)?;
            }
            self.rows.push(named);
        }
        let names = by.iter().chain(results).map(|it| Arc::clone(&it.name));
        self.fields = names.collect();
        Ok(())
    }

    /// Sorts by keys that are evaluated once per row.
    fn sort(&mut self, keys: &[(Expression, bool)], budget: &Budget<'_>) -> Result<(), Stop> {
        let used = budget.used();
        let mut keyed = Vec::with_capacity(self.rows.len());
        for row in std::mem::take(&mut self.rows) {
            let mut values = Vec::with_capacity(keys.len());
            for (key, _) in keys {
                let value = key.of_row(&row, budget)?.sortable();
                budget.charge(KEY_BYTES + value.bytes())?;
                values.push(value);
            }
            keyed.push((values, row));
        }
        keyed.sort_by(|(one, _), (other, _)| {
            let orders = keys.iter().zip(one.iter().zip(other));
            let mut orders = orders.map(|((_, is_descending), (one, other))| {
                let order = one.compare(other);
                match is_descending {
                    true => order.reverse(),
                    false => order,
                }
            });
            let decisive = orders.find(|it| it.is_ne());
            decisive.unwrap_or(Ordering::Equal)
        });
        self.rows = keyed.into_iter().map(|(_, row)| row).collect();
        budget.release_to(used);
        Ok(())
    }
}

/// Texts of a row's fields, `None` for missing ones.
fn key(all: &[Named], row: &Row, budget: &Budget<'_>) -> Result<Vec<Option<String>>, Stop> {
    let mut key = Vec::with_capacity(all.len());
    for named in all {
        let value = named.expression.of_row(row, budget)?;
        let text = value.text().map(std::borrow::Cow::into_owned);
        budget.charge(KEY_BYTES + text.as_ref().map_or(0, String::len))?;
        key.push(text);
    }
    Ok(key)
}
