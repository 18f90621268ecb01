//! What the API answers, held against the account.

mod export;
mod groups;
mod history;
mod inventory;
mod lists;
mod queries;
mod top;

pub(super) use groups::{Groups, label, unlabel};
pub(super) use inventory::{Row, rows};

use super::account::{Books, Thing};
use crate::person::Person;
use jiff::Timestamp;
use rand::rngs::StdRng;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fmt::Debug;
use vmscope_store::history::Function;

/// Differences that a report has in words.
const REPORTED: usize = 40;
/// How far a value may be from the computed one, as a share of it (of 1 when it is smaller): the order of a sum.
const TOLERANCE: f64 = 1e-9;
/// The same for what may come from hours, which have 24 bits.
const ROLLED_TOLERANCE: f64 = 1e-6;

/// Comparisons and what did not fit.
#[derive(Debug, Default)]
pub struct Checks {
    /// How much was compared, by area.
    pub compared: BTreeMap<&'static str, u64>,
    /// How much differed.
    pub differing: u64,
    /// The first differences, in words.
    pub differences: Vec<String>,
}

impl Checks {
    /// Holds something against what is expected.
    pub(super) fn same<T: PartialEq + Debug>(
        &mut self,
        area: &'static str,
        what: &str,
        found: &T,
        expected: &T,
    ) {
        self.require(area, found == expected, || {
            format!("{what}: {}, expected {}", short(found), short(expected))
        });
    }

    /// Holds a value against a computed one.
    fn near(
        &mut self,
        area: &'static str,
        found: Option<f64>,
        expected: Option<f64>,
        tolerance: f64,
        what: impl FnOnce() -> String,
    ) {
        let is_near = match (found, expected) {
            (Some(found), Some(expected)) => (found - expected).abs() <= tolerance * expected.abs().max(1.0),
            (None, None) => true,
            _ => false,
        };
        self.require(area, is_near, || {
            format!("{}: {found:?}, expected {expected:?}", what())
        });
    }

    /// Notes a difference unless something is so.
    pub(super) fn require(&mut self, area: &'static str, is_so: bool, what: impl FnOnce() -> String) {
        *self.compared.entry(area).or_default() += 1;
        if !is_so {
            self.differing += 1;
            if self.differences.len() < REPORTED {
                self.differences.push(format!("{area}: {}", what()));
            }
        }
    }
}

fn short(value: &impl Debug) -> String {
    format!("{value:?}").chars().take(1_500).collect()
}

/// Somebody who asks and compares.
pub(super) struct Auditor<'a> {
    pub(super) person: &'a Person,
    pub(super) books: &'a Books,
    pub(super) checks: &'a mut Checks,
    pub(super) random: StdRng,
}

impl Auditor<'_> {
    /// How the API names a thing.
    fn name(&self, thing: Thing) -> String {
        match thing {
            Thing::Host(number) => format!("host:{}", self.books.plan.hosts[number].id),
            Thing::Vm(number) => format!("vm:{}", self.books.plan.vms[number].id),
        }
    }
}

/// A moment as the API takes it.
fn moment(us: i64) -> String {
    Timestamp::from_microsecond(us).unwrap_or_default().to_string()
}

/// A moment as the API gives it, in microseconds.
fn micros(json: &Json) -> anyhow::Result<i64> {
    let text = json.as_str().unwrap_or_default();
    Ok(text.parse::<Timestamp>()?.as_microsecond())
}

/// The name of a function in the API.
fn function_name(function: Function) -> &'static str {
    let named = history::FUNCTIONS.iter().find(|(known, _)| *known == function);
    named.map_or("", |(_, name)| name)
}
