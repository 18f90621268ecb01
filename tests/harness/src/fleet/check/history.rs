//! History of some things, value by value, with the gaps that are told.

use super::super::account::Thing;
use super::super::life::{HOST_COLUMNS, VM_COLUMNS};
use super::super::plan::SECOND_US;
use super::{Auditor, ROLLED_TOLERANCE, TOLERANCE, function_name, micros, moment};
use anyhow::Context;
use rand::RngExt;
use rand::seq::{IndexedRandom, SliceRandom};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use vmscope_model::catalogue::vm;
use vmscope_model::{Kind, catalogue};
use vmscope_store::history::Function;

/// What becomes of the samples in a step, as the API names it.
pub(super) const FUNCTIONS: [(Function, &str); 6] = [
    (Function::Avg, "avg"),
    (Function::Min, "min"),
    (Function::Max, "max"),
    (Function::Last, "last"),
    (Function::P95, "p95"),
    (Function::Count, "count"),
];
/// Steps that are asked for, in seconds.
const STEPS_S: [i64; 7] = [1, 2, 5, 7, 30, 60, 300];
/// One query in this many asks for the samples themselves: prime to the number of functions.
const RAW_EVERY: usize = 7;
/// Values of one answer, about.
const VALUES: i64 = 30_000;
/// Seconds of an hour.
pub(super) const HOUR_S: i64 = 3_600;

/// What one query asks for.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) things: Vec<Thing>,
    pub(super) columns: Vec<usize>,
    pub(super) span_us: (i64, i64),
    /// Seconds; nothing for the samples themselves.
    pub(super) step_s: Option<i64>,
    pub(super) function: Function,
}

impl Question {
    pub(super) fn kind(&self) -> Kind {
        self.things.first().map_or(Kind::Vm, |thing| thing.kind())
    }

    pub(super) fn metrics(&self) -> Vec<&'static str> {
        let metrics = catalogue::metrics(self.kind());
        self.columns.iter().map(|column| metrics[*column].name).collect()
    }

    /// The whole steps that cover the span.
    fn frame_us(&self) -> (i64, i64) {
        let Some(step_s) = self.step_s else {
            return self.span_us;
        };
        let length_us = step_s * SECOND_US;
        let last = (self.span_us.1 - 1).div_euclid(length_us) + 1;
        (self.span_us.0.div_euclid(length_us) * length_us, last * length_us)
    }

    /// Where the steps begin, in milliseconds; nothing for samples, which have times of their own.
    fn axis_ms(&self) -> BTreeSet<i64> {
        let (from_us, to_us) = self.frame_us();
        let steps = self.step_s.into_iter().flat_map(|step_s| {
            let length_us = step_s * SECOND_US;
            (from_us / length_us..to_us / length_us).map(move |step| step * step_s * 1_000)
        });
        steps.collect()
    }
}

impl Auditor<'_> {
    /// Machines to which something happened, some to which nothing did, and some hosts: in handfuls of one kind.
    pub(super) fn handful(&mut self) -> Vec<Thing> {
        let plan = &self.books.plan;
        if self.random.random_ratio(1, 8) {
            let host = self.random.random_range(0..plan.hosts.len());
            return vec![Thing::Host(host)];
        }
        let odd_host = |host: &super::super::plan::Host| host.legs.len() > 1 || host.is_late();
        let is_odd = |number: &usize| {
            let vm = &plan.vms[*number];
            vm.life.len() > 1 || odd_host(&plan.hosts[vm.life[0].host])
        };
        let odd: Vec<usize> = (0..plan.vms.len()).filter(is_odd).collect();
        let count = self.random.random_range(1..5);
        let mut chosen: BTreeSet<usize> = BTreeSet::new();
        for _ in 0..count {
            if self.random.random_bool(0.7) {
                chosen.extend(odd.choose(&mut self.random));
            } else {
                chosen.insert(self.random.random_range(0..plan.vms.len()));
            }
        }
        chosen.into_iter().map(Thing::Vm).collect()
    }

    fn question(&mut self, number: usize) -> Question {
        let things = self.handful();
        let all: &[usize] = match things.first() {
            Some(Thing::Host(_)) => &HOST_COLUMNS,
            _ => &VM_COLUMNS,
        };
        let mut columns = all.to_vec();
        columns.shuffle(&mut self.random);
        columns.truncate(self.random.random_range(1..5));
        let run_us = self.books.plan.scale.seconds.cast_signed() * SECOND_US;
        let begun_us = self.books.plan.begun_us;
        let from_us = begun_us + self.random.random_range(-run_us / 20..run_us * 9 / 10);
        let longest_us = begun_us + run_us * 21 / 20 - from_us;
        let length_us = self.random.random_range(SECOND_US..longest_us.max(2 * SECOND_US));
        let step_s = *STEPS_S.choose(&mut self.random).unwrap_or(&1);
        let series = things.len() * columns.len();
        let most_us = VALUES / i64::try_from(series).unwrap_or(1) * SECOND_US * step_s;
        Question {
            things,
            columns,
            span_us: (from_us, from_us + length_us.min(most_us)),
            step_s: (!number.is_multiple_of(RAW_EVERY)).then_some(step_s),
            function: FUNCTIONS[number % FUNCTIONS.len()].0,
        }
    }

    /// So many queries.
    ///
    /// # Errors
    /// When the service does not answer.
    pub(in super::super) fn history(&mut self, queries: usize) -> anyhow::Result<()> {
        for number in 0..queries {
            let question = self.question(number);
            let answer = self.ask(&question)?;
            self.hold("history", &question, &answer, TOLERANCE)?;
            self.gaps(&question, &answer)?;
        }
        Ok(())
    }

    /// The late hosts' machines by hours, some of which may be rolled up by now.
    ///
    /// # Errors
    /// When the service does not answer.
    pub(in super::super) fn hours(&mut self) -> anyhow::Result<()> {
        let plan = &self.books.plan;
        let is_late = |number: &usize| plan.hosts[plan.vms[*number].life[0].host].is_late();
        let late: Vec<Thing> = (0..plan.vms.len())
            .filter(is_late)
            .take(20)
            .map(Thing::Vm)
            .collect();
        let (from_us, to_us) = self.books.span_us();
        for (function, _) in FUNCTIONS
            .into_iter()
            .filter(|(function, _)| *function != Function::P95)
        {
            let question = Question {
                things: late.clone(),
                columns: VM_COLUMNS.to_vec(),
                span_us: (from_us, to_us),
                step_s: Some(HOUR_S),
                function,
            };
            let answer = self.ask(&question)?;
            self.hold("history by hours", &question, &answer, ROLLED_TOLERANCE)?;
        }
        Ok(())
    }

    /// A machine second by second: what a forged account differs from.
    ///
    /// # Errors
    /// When the service does not answer.
    pub(in super::super) fn forged(&mut self, number: usize) -> anyhow::Result<()> {
        let (begun_us, run_s) = (
            self.books.plan.begun_us,
            self.books.plan.scale.seconds.cast_signed(),
        );
        let thing = Thing::Vm(number);
        for function in [Function::Avg, Function::Count] {
            let question = Question {
                things: vec![thing],
                columns: vec![vm::STATE, vm::CPU_TIME_NS, vm::MEMORY_RSS_BYTES],
                span_us: (begun_us, begun_us + run_s * SECOND_US),
                step_s: Some(1),
                function,
            };
            let answer = self.ask(&question)?;
            self.hold("forged", &question, &answer, TOLERANCE)?;
        }
        Ok(())
    }

    /// The answer to a question.
    fn ask(&self, question: &Question) -> anyhow::Result<Json> {
        let body = json!({
            "kind": question.kind().name(),
            "entities": question.things.iter().map(|thing| self.name(*thing)).collect::<Vec<_>>(),
            "metrics": question.metrics(),
            "from": moment(question.span_us.0),
            "to": moment(question.span_us.1),
            "step": question.step_s.map_or_else(|| json!("raw"), |step_s| json!(step_s)),
            "function": function_name(question.function),
        });
        let answer = self.person.send("POST", "/api/v1/history/query", &body);
        answer.with_context(|| body.to_string())
    }

    /// Holds an answer against the account: the axis, who is in it, and each value.
    pub(super) fn hold(
        &mut self,
        area: &'static str,
        question: &Question,
        answer: &Json,
        tolerance: f64,
    ) -> anyhow::Result<()> {
        let times = answer["times"].as_array().context("times")?;
        let times: Vec<i64> = times.iter().filter_map(Json::as_i64).collect();
        let series = answer["series"].as_array().context("series")?;
        let columns = &question.columns;
        let of_thing = |thing: &Thing| columns.iter().map(|column| (*thing, *column)).collect::<Vec<_>>();
        let whose: Vec<(Thing, usize)> = question.things.iter().flat_map(of_thing).collect();
        self.checks.same(area, "series", &series.len(), &whose.len());
        let mut axis = question.axis_ms();
        for (series, (thing, column)) in series.iter().zip(whose) {
            let metric = catalogue::metrics(question.kind())[column].name;
            let name = self.name(thing);
            self.checks
                .same(area, "whose", &series["entity"]["id"], &json!(name));
            self.checks
                .same(area, "metric", &series["metric"], &json!(metric));
            let values = series["values"].as_array().context("values")?;
            let values: Vec<Option<f64>> = values.iter().map(Json::as_f64).collect();
            self.checks.same(area, "points", &values.len(), &times.len());
            let expected = self.expected(question, (thing, column), &times);
            if question.step_s.is_none() {
                axis.extend(expected.keys());
            }
            let (step, function) = (question.step_s, function_name(question.function));
            for (time_ms, found) in times.iter().zip(values) {
                let expected = expected.get(time_ms).copied();
                self.checks.near(area, found, expected, tolerance, || {
                    let at = moment(time_ms * 1_000);
                    format!("{name} {metric} {function} of {step:?} s at {at}")
                });
            }
        }
        self.checks
            .same(area, "axis", &times.iter().copied().collect(), &axis);
        Ok(())
    }

    /// The values of a thing's column by the times, in milliseconds, of their steps; those of samples by their own.
    fn expected(
        &self,
        question: &Question,
        (thing, column): (Thing, usize),
        times: &[i64],
    ) -> BTreeMap<i64, f64> {
        let frame_us = question.frame_us();
        let known = self.books.known(thing, column, frame_us);
        let Some(step_s) = question.step_s else {
            let samples = known
                .samples()
                .filter(|(time_us, _)| (frame_us.0..frame_us.1).contains(time_us));
            return samples
                .map(|(time_us, value)| (time_us.div_euclid(1_000), value))
                .collect();
        };
        let value = |time_ms: &i64| {
            let from_us = time_ms * 1_000;
            let value = known.value((from_us, from_us + step_s * SECOND_US), question.function);
            Some((*time_ms, value?))
        };
        times.iter().filter_map(value).collect()
    }

    /// The gaps of an answer are the stops of the things' hosts.
    fn gaps(&mut self, question: &Question, answer: &Json) -> anyhow::Result<()> {
        let mut found = BTreeSet::new();
        for gap in answer["gaps"].as_array().context("gaps")? {
            let text = |key: &str| gap[key].as_str().unwrap_or_default().to_owned();
            found.insert((
                text("entity"),
                text("cause"),
                micros(&gap["from"])?,
                micros(&gap["to"])?,
            ));
        }
        let mut expected = BTreeSet::new();
        for thing in &question.things {
            let Some(host) = self.host_of(*thing) else {
                continue;
            };
            for (from_us, to_us) in self.books.stops(host) {
                if to_us >= question.span_us.0 && from_us <= question.span_us.1 {
                    expected.insert((
                        self.name(Thing::Host(host)),
                        "agent_stopped".to_owned(),
                        from_us,
                        to_us,
                    ));
                }
            }
        }
        self.checks
            .same("gaps", &format!("{:?}", question.things), &found, &expected);
        Ok(())
    }

    /// Where a thing was last seen.
    fn host_of(&self, thing: Thing) -> Option<usize> {
        match thing {
            Thing::Host(number) => Some(number),
            Thing::Vm(number) => {
                let last_us = self.books.last_us(number)?;
                Some(
                    self.books.plan.vms[number]
                        .at(last_us - self.books.plan.begun_us)
                        .host,
                )
            }
        }
    }
}
