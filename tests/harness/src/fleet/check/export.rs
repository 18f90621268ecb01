//! The same numbers in a file.

use super::super::account::Thing;
use super::super::life::{HOST_COLUMNS, VM_COLUMNS};
use super::super::plan::SECOND_US;
use super::history::FUNCTIONS;
use super::inventory::Row;
use super::lists::same_sets;
use super::{Auditor, TOLERANCE, function_name, micros, moment};
use anyhow::Context;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use vmscope_model::{Kind, catalogue};
use vmscope_store::history::Function;
use vmscope_store::testing::plain::Known;

/// Between two rows.
const STEP_US: i64 = 15 * SECOND_US;

/// By thing and moment, a value or nothing for each metric.
type Rows = BTreeMap<(String, i64), Vec<Option<f64>>>;

impl Auditor<'_> {
    /// Some files of history, and one of the list.
    ///
    /// # Errors
    /// When the service does not answer.
    pub(in super::super) fn exports(&mut self, rows: &[Row]) -> anyhow::Result<()> {
        for (function, _) in FUNCTIONS {
            let things = self.handful();
            self.history_file(&things, function)?;
        }
        let text = self.person.text(
            "GET",
            "/api/v1/vms/export?state=silent&sort=host,name",
            &Json::Null,
        )?;
        let found: Vec<&str> = text
            .lines()
            .skip(1)
            .filter_map(|line| line.split(',').nth(1))
            .collect();
        let expected: BTreeSet<&str> = rows
            .iter()
            .filter(|row| row.state() == "silent")
            .map(|row| row.name.as_str())
            .collect();
        self.checks
            .same("export", "machines", &found.len(), &expected.len());
        same_sets(
            self.checks,
            "export",
            "machines",
            &found.into_iter().collect(),
            &expected,
        );
        Ok(())
    }

    fn history_file(&mut self, things: &[Thing], function: Function) -> anyhow::Result<()> {
        let kind = things.first().context("a thing")?.kind();
        let columns: &[usize] = match kind {
            Kind::Host => &HOST_COLUMNS,
            _ => &VM_COLUMNS,
        };
        let metrics = catalogue::metrics(kind);
        let metrics: Vec<&str> = columns.iter().map(|column| metrics[*column].name).collect();
        let begun_us = self.books.plan.begun_us.div_euclid(STEP_US) * STEP_US;
        let run_us = self.books.plan.scale.seconds.cast_signed() * SECOND_US;
        let span_us = (begun_us - STEP_US, begun_us + (run_us / STEP_US + 2) * STEP_US);
        let body = json!({
            "format": "csv",
            "entities": things.iter().map(|thing| self.name(*thing)).collect::<Vec<_>>(),
            "metrics": metrics,
            "from": moment(span_us.0),
            "to": moment(span_us.1),
            "step": STEP_US / SECOND_US,
            "function": function_name(function),
        });
        let text = self.person.text("POST", "/api/v1/history/export", &body)?;
        let head = format!("entity,name,time,{}", metrics.join(","));
        self.checks
            .same("export", "columns", &text.lines().next(), &Some(head.as_str()));
        let mut found = self.file_rows(&text)?;
        for &thing in things {
            let known = |column: &usize| self.books.known(thing, *column, span_us);
            let known: Vec<Known> = columns.iter().map(known).collect();
            let name = self.name(thing);
            for time_us in (span_us.0..span_us.1).step_by(usize::try_from(STEP_US)?) {
                let value = |known: &Known| known.value((time_us, time_us + STEP_US), function);
                let expected: Vec<Option<f64>> = known.iter().map(value).collect();
                let row = found.remove(&(name.clone(), time_us));
                self.file_row(&name, time_us, row.as_deref(), &expected);
            }
        }
        self.checks
            .same("export", "rows that nobody sent", &found.len(), &0);
        Ok(())
    }

    /// A moment without any value has no row.
    fn file_row(&mut self, name: &str, time_us: i64, row: Option<&[Option<f64>]>, expected: &[Option<f64>]) {
        let at = moment(time_us);
        let is_due = expected.iter().any(Option::is_some);
        self.checks.require("export", row.is_some() == is_due, || {
            format!("{name} at {at}: a row is there: {}", row.is_some())
        });
        let values = row.into_iter().flatten().zip(expected);
        for (place, (value, expected)) in values.enumerate() {
            self.checks.near("export", *value, *expected, TOLERANCE, || {
                format!("{name}, value {place} at {at}")
            });
        }
    }

    /// The rows of a file by thing and moment.
    fn file_rows(&mut self, text: &str) -> anyhow::Result<Rows> {
        let mut rows = Rows::new();
        for line in text.lines().skip(1) {
            let cells: Vec<&str> = line.split(',').collect();
            let [entity, _, time, values @ ..] = cells.as_slice() else {
                anyhow::bail!("a row of {} cells", cells.len())
            };
            let key = ((*entity).to_owned(), micros(&json!(time))?);
            let values = values.iter().map(|value| value.parse().ok()).collect();
            let again = rows.insert(key, values);
            self.checks
                .require("export", again.is_none(), || format!("{entity} at {time} twice"));
        }
        Ok(rows)
    }
}
