//! Top lists: of a group, of some hosts, of everything; from samples, and from whole hours when there are too many of these.

use super::super::account::Thing;
use super::super::life::VM_COLUMNS;
use super::super::plan::{Host, SECOND_US};
use super::history::{HOUR_S, Question};
use super::inventory::Row;
use super::{Auditor, Groups, ROLLED_TOLERANCE, TOLERANCE, function_name, micros, moment};
use anyhow::Context;
use jiff::Timestamp;
use rand::RngExt;
use rand::seq::{IndexedRandom, SliceRandom};
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use vmscope_model::catalogue::{host, vm};
use vmscope_model::metric::Behaviour;
use vmscope_model::{Kind, catalogue};
use vmscope_store::history::Function;

/// What lists can be ordered by.
const ORDERS: [Function; 3] = [Function::Avg, Function::Max, Function::Last];
/// Most samples that a list is made of, less some that come while it is asked for.
const MOST_SAMPLES: i64 = 1_900_000;
/// How many things a list of everything has.
const LONG: usize = 25;
/// How many things history is asked for that come first.
const SHORT: usize = 10;
/// Seconds a point of their history.
const STEP_S: i64 = 10;

/// A thing with its value in a list.
type Item = (Thing, f64);

/// By what things are put in order.
#[derive(Debug, Clone, Copy)]
struct Order {
    kind: Kind,
    column: usize,
    by: Function,
    descending: bool,
}

impl Order {
    fn metric(self) -> &'static str {
        catalogue::metrics(self.kind)[self.column].name
    }

    const fn direction(self) -> &'static str {
        if self.descending { "desc" } else { "asc" }
    }
}

impl Auditor<'_> {
    /// Lists of everything up to now.
    ///
    /// # Errors
    /// When the service does not answer.
    pub(in super::super) fn top(&mut self) -> anyhow::Result<()> {
        let machines = i64::try_from(self.books.plan.vms.len())?;
        let back_s = (Timestamp::now().as_microsecond() - self.books.plan.begun_us) / SECOND_US;
        let longest_s = (MOST_SAMPLES / machines).min(back_s + 60);
        for (number, column) in comparable().into_iter().enumerate() {
            let order = Order {
                kind: Kind::Vm,
                column,
                by: ORDERS[number % ORDERS.len()],
                descending: number % 2 == 0,
            };
            self.list("top", order, longest_s)?;
        }
        for by in ORDERS {
            let order = Order {
                kind: Kind::Host,
                column: host::CPU_USER_NS,
                by,
                descending: true,
            };
            self.list("top", order, back_s + 60)?;
        }
        Ok(())
    }

    /// Whether the list of a whole hour, which takes the place of that of a time with too many samples, has what the late hosts' machines
    /// did in it: hours are made by and by.
    ///
    /// # Errors
    /// When the service does not answer.
    pub(in super::super) fn are_hours_made(&self) -> anyhow::Result<bool> {
        let order = Order {
            kind: Kind::Vm,
            column: vm::CPU_TIME_NS,
            by: Function::Avg,
            descending: true,
        };
        let answer = self.person.get(&path(order, HOUR_S))?;
        let span_us = (micros(&answer["from"])?, micros(&answer["to"])?);
        let expected = self.ranked(&self.everything(Kind::Vm), order, span_us);
        let found = values(&answer)?;
        let is_near = |((_, found), (_, expected)): (&(String, f64), &Item)| {
            (found - expected).abs() <= ROLLED_TOLERANCE * expected.abs().max(1.0)
        };
        Ok(found.len() == expected.len().min(LONG) && found.iter().zip(&expected).all(is_near))
    }

    /// Lists of whole hours.
    ///
    /// # Errors
    /// When the service does not answer.
    pub(in super::super) fn top_of_hours(&mut self) -> anyhow::Result<()> {
        for (number, column) in comparable().into_iter().enumerate() {
            for by in ORDERS {
                let order = Order {
                    kind: Kind::Vm,
                    column,
                    by,
                    descending: number % 2 == 0,
                };
                self.list("top of hours", order, HOUR_S)?;
            }
        }
        Ok(())
    }

    /// A list of everything, from samples unless it is of hours.
    fn list(&mut self, area: &'static str, order: Order, range_s: i64) -> anyhow::Result<()> {
        let path = path(order, range_s);
        let answer = self.person.get(&path)?;
        let span_us = (micros(&answer["from"])?, micros(&answer["to"])?);
        let tiers = answer["tiers"].as_array().into_iter().flatten();
        let is_of_hours = tiers.clone().any(|tier| tier["tier"] != "raw");
        self.checks.same(area, &path, &is_of_hours, &(range_s == HOUR_S));
        let expected = self.ranked(&self.everything(order.kind), order, span_us);
        let tolerance = if is_of_hours { ROLLED_TOLERANCE } else { TOLERANCE };
        self.ranking(area, &path, &values(&answer)?, (&expected, LONG), tolerance);
        Ok(())
    }

    /// History of the first things of groups, of hosts and of all, and which these are.
    ///
    /// # Errors
    /// When the service does not answer.
    pub(in super::super) fn first(&mut self, groups: &Groups, rows: &[Row]) -> anyhow::Result<()> {
        let run_us = self.books.plan.scale.seconds.cast_signed() * SECOND_US;
        let begun_us = self.books.plan.begun_us;
        for name in ["prod-web", "picked", "important", "first-hosts"] {
            let things: Vec<Thing> = groups.numbers(name, rows).into_iter().map(Thing::Vm).collect();
            let id = groups.id(name).context("a group")?;
            let longest_us = MOST_SAMPLES / i64::try_from(things.len().max(1))? * SECOND_US;
            let from_us = begun_us + self.random.random_range(0..run_us / 2);
            let to_us = from_us + longest_us.min(self.random.random_range(run_us / 4..run_us / 2));
            self.first_of((&json!({"group": id}), &things), (from_us, to_us))?;
        }
        for _ in 0..3 {
            let mut hosts: Vec<&Host> = self.books.plan.hosts.iter().collect();
            hosts.shuffle(&mut self.random);
            let ids: Vec<String> = hosts.iter().take(8).map(|host| host.id.to_string()).collect();
            let there = rows.iter().filter(|row| ids.contains(&row.host_id));
            let things: Vec<Thing> = there.map(|row| Thing::Vm(row.number)).collect();
            self.first_of((&json!({"hosts": ids}), &things), (begun_us, begun_us + run_us))?;
        }
        let machines = i64::try_from(rows.len())?;
        let length_us = (MOST_SAMPLES / machines * SECOND_US).min(run_us / 3);
        let from_us = begun_us + run_us / 3;
        let all = self.everything(Kind::Vm);
        self.first_of((&json!({}), &all), (from_us, from_us + length_us))
    }

    /// By each value once.
    fn first_of(&mut self, (whose, things): (&Json, &[Thing]), span_us: (i64, i64)) -> anyhow::Result<()> {
        let columns = comparable();
        for by in ORDERS {
            let order = Order {
                kind: Kind::Vm,
                column: *columns.choose(&mut self.random).context("a metric")?,
                by,
                descending: self.random.random_bool(0.7),
            };
            let mut body = json!({
                "kind": "vm", "metrics": [order.metric()], "from": moment(span_us.0), "to": moment(span_us.1), "step": STEP_S,
                "function": "avg", "top": {"n": SHORT, "by": function_name(by), "direction": order.direction()},
            });
            for (key, value) in whose.as_object().into_iter().flatten() {
                body[key] = value.clone();
            }
            let answer = self.person.send("POST", "/api/v1/history/query", &body)?;
            let expected = self.ranked(things, order, span_us);
            // The answer does not say the values of the order: they are those of the account.
            let named = |item: &Item| (self.name(item.0), *item);
            let named: HashMap<String, Item> = expected.iter().map(named).collect();
            let series = answer["series"].as_array().context("series")?;
            let item = |series: &Json| named.get(series["entity"]["id"].as_str()?).copied();
            let found: Vec<Item> = series.iter().filter_map(item).collect();
            self.checks
                .same("first", "known things", &found.len(), &series.len());
            let values: Vec<(String, f64)> = found.iter().map(|item| (self.name(item.0), item.1)).collect();
            self.ranking("first", &body.to_string(), &values, (&expected, SHORT), TOLERANCE);
            let question = Question {
                things: found.into_iter().map(|item| item.0).collect(),
                columns: vec![order.column],
                span_us,
                step_s: Some(STEP_S),
                function: Function::Avg,
            };
            self.hold("first", &question, &answer, TOLERANCE)?;
        }
        Ok(())
    }

    /// The right values in the right order, each of the thing that has it.
    fn ranking(
        &mut self,
        area: &'static str,
        query: &str,
        found: &[(String, f64)],
        (expected, count): (&[Item], usize),
        tolerance: f64,
    ) {
        let expected_count = expected.len().min(count);
        self.checks.same(area, query, &found.len(), &expected_count);
        let own = expected.iter().map(|item| (self.name(item.0), item.1));
        let own: HashMap<String, f64> = own.collect();
        for (place, ((id, value), (thing, best))) in found.iter().zip(expected).enumerate() {
            let what = || format!("{query}: {id} at {place}, where {thing:?} belongs");
            let own = own.get(id).copied();
            self.checks.near(area, Some(*value), own, tolerance, what);
            self.checks.near(area, Some(*value), Some(*best), tolerance, what);
        }
    }

    /// Things with a value of a span, in order.
    fn ranked(&self, things: &[Thing], order: Order, span_us: (i64, i64)) -> Vec<Item> {
        let value = |thing: &Thing| {
            let known = self.books.known(*thing, order.column, span_us);
            Some((*thing, known.value(span_us, order.by)?))
        };
        let mut items: Vec<Item> = things.iter().filter_map(value).collect();
        items.sort_by(|one, other| other.1.total_cmp(&one.1));
        if !order.descending {
            items.reverse();
        }
        items
    }

    fn everything(&self, kind: Kind) -> Vec<Thing> {
        let plan = &self.books.plan;
        match kind {
            Kind::Host => (0..plan.hosts.len()).map(Thing::Host).collect(),
            _ => (0..plan.vms.len()).map(Thing::Vm).collect(),
        }
    }
}

/// Where a list of everything is.
fn path(order: Order, range_s: i64) -> String {
    let (kind, metric, by) = (order.kind.name(), order.metric(), function_name(order.by));
    let direction = order.direction();
    format!("/api/v1/top?kind={kind}&metric={metric}&n={LONG}&range={range_s}&by={by}&direction={direction}")
}

/// The things of a list, with their values.
fn values(answer: &Json) -> anyhow::Result<Vec<(String, f64)>> {
    let items = answer["items"].as_array().context("items")?;
    let value = |item: &Json| Some((item["entity"]["id"].as_str()?.to_owned(), item["value"].as_f64()?));
    Ok(items.iter().filter_map(value).collect())
}

/// Columns of machines by which they can be put in order.
fn comparable() -> Vec<usize> {
    let has_order = |column: &usize| !matches!(vm::METRICS[*column].behaviour, Behaviour::State(_));
    VM_COLUMNS.into_iter().filter(has_order).collect()
}
