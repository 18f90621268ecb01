//! Charts of one machine, and top lists of all.

use super::Scale;
use super::fleet::before;
use super::requests::{ask, say};
use crate::figure::{Bar, Report, progress};
use anyhow::{Context, ensure};
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use std::time::Instant;
use vmscope_harness::person::Person;
use vmscope_model::{Kind, VmId, catalogue};
use vmscope_store::Store;
use vmscope_store::history::{self, Function, Query, Step};

/// How long 99 of a hundred charts of a week may take in the database at most.
const BAR_MS: f64 = 20.0;
/// Top lists and charts of 86,400 samples are asked for this share of the requests: they read much more.
const SHARE: usize = 10;
const DAY_S: i64 = 86_400;
const WEEK_S: i64 = 7 * DAY_S;

/// One machine's charts, as the dashboard asks for them.
pub(super) fn measure(
    report: &mut Report,
    scale: &Scale,
    person: &Person,
    vms: &[(VmId, i32)],
) -> anyhow::Result<()> {
    progress("history: charts");
    let few = (scale.requests / SHARE).max(1);
    let one: &[&str] = &["cpu_time_ns"];
    let four: &[&str] = &[
        "cpu_time_ns",
        "memory_used_bytes",
        "disk_read_bytes",
        "net_rx_bytes",
    ];
    let watched = &vms[..scale.vms as usize];
    for (name, among, metrics, range_s, times) in [
        ("chart_week", vms, one, WEEK_S, scale.requests),
        ("four_charts_week", vms, four, WEEK_S, scale.requests),
        ("chart_day_of_each_second", watched, one, DAY_S, few),
    ] {
        let took = ask(person, times, |person, number| {
            let vm = among[number * 37 % among.len()].0;
            chart(person, vm, metrics, range_s)
        })?;
        say(report, name, &took, Bar::None);
    }
    Ok(())
}

fn chart(person: &Person, vm: VmId, metrics: &[&str], range_s: i64) -> anyhow::Result<Json> {
    let now = Timestamp::now();
    let body = json!({
        "kind": "vm", "entities": [format!("vm:{vm}")], "metrics": metrics, "from": before(now, range_s)?.to_string(),
        "to": now.to_string(), "step": "auto", "function": "avg",
    });
    let answer = person.send("POST", "/api/v1/history/query", &body)?;
    let values = answer["series"][0]["values"].as_array().context("values")?;
    ensure!(values.iter().any(Json::is_number), "a chart without a value");
    Ok(answer)
}

/// The same week, without a web server.
pub(super) async fn measure_store(
    report: &mut Report,
    scale: &Scale,
    store: &Store,
    vms: &[(VmId, i32)],
) -> anyhow::Result<()> {
    let now = Timestamp::now();
    let from = before(now, WEEK_S)?;
    let metrics = catalogue::metrics(Kind::Vm);
    let column = metrics
        .iter()
        .position(|metric| metric.name == "cpu_time_ns")
        .context("a metric")?;
    let mut took_ms = Vec::new();
    for number in 0..=scale.requests {
        let query = Query {
            kind: Kind::Vm,
            entities: vec![vms[number * 53 % vms.len()].1],
            metrics: vec![column],
            from,
            to: now,
            step: Step::Seconds(3_600),
            function: Function::Avg,
            tier: None,
            shift_s: None,
            max_values: 10_000,
            max_samples: history::MAX_SAMPLES,
        };
        let began = Instant::now();
        let answer = history::query(store, &query).await?;
        took_ms.push(began.elapsed().as_secs_f64() * 1e3);
        let values = answer.values[0][0].iter().flatten().count();
        ensure!(values >= 7 * 24 - 1, "a week with {values} hours");
    }
    say(
        report,
        "chart_week_in_database",
        &took_ms[1..],
        Bar::AtMost(BAR_MS),
    );
    Ok(())
}

/// Top lists of the whole fleet.
pub(super) fn measure_top(report: &mut Report, scale: &Scale, person: &Person) -> anyhow::Result<()> {
    progress("history: top lists");
    let times = (scale.requests / SHARE).max(1);
    for (name, range_s) in [
        ("top_5_minutes", 300),
        ("top_hour", 3_600),
        ("top_day", DAY_S),
        ("top_week", WEEK_S),
    ] {
        let took = ask(person, times, |person, number| {
            let metric = ["cpu_time_ns", "memory_used_bytes"][number % 2];
            let top = person.get(&format!(
                "/api/v1/top?kind=vm&metric={metric}&n=10&range={range_s}&by=avg"
            ))?;
            ensure!(
                top["items"].as_array().is_some_and(|items| items.len() == 10),
                "a top list of {}",
                top["items"]
            );
            Ok(top)
        })?;
        say(report, name, &took, Bar::None);
    }
    Ok(())
}
