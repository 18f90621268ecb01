//! Asking for the same kind of thing many times.

use crate::figure::{Bar, Report};
use crate::statistics::{highest, percentile};
use anyhow::ensure;
use serde_json::Value as Json;
use std::time::Instant;
use vmscope_harness::person::Person;

/// Asks for the same kind of thing with other details each time; how long the answers took, in milliseconds.
pub(super) fn ask(
    person: &Person,
    times: usize,
    mut one: impl FnMut(&Person, usize) -> anyhow::Result<Json>,
) -> anyhow::Result<Vec<f64>> {
    // Not measured: the first of a kind finds caches and connections cold, which the highest of a row would show for ever.
    one(person, times)?;
    (0..times)
        .map(|number| {
            let began = Instant::now();
            let answer = one(person, number)?;
            let took = began.elapsed();
            ensure!(!answer.is_null(), "an answer without data");
            Ok(took.as_secs_f64() * 1e3)
        })
        .collect()
}

/// The median, the 99th percentile, which is held against a bar, and the highest.
pub(super) fn say(report: &mut Report, name: &str, took_ms: &[f64], bar: Bar) {
    report.say(&format!("history.{name}_p50"), percentile(took_ms, 50), "ms");
    report.hold(&format!("history.{name}_p99"), percentile(took_ms, 99), "ms", bar);
    report.say(&format!("history.{name}_max"), highest(took_ms), "ms");
}
