//! The statement that reads samples: gauges and states as they are, counters as rates.
//!
//! Each metric of each thing is read by itself, because cheap and dear rows of a VM alternate and leave each other's columns
//! null, and because a thing's usual interval is its own. All of it is one statement: the things come as arrays, and what is
//! read of one is a lateral part of it, so that the work of many is that of one, so many times.

use super::frame::Frame;
use super::{Function, Step};
use crate::Error;
use crate::schema::layout;
use std::borrow::Cow;
use std::fmt::Write as _;
use vmscope_model::rate::{HOLE_S, STRETCHED_S};
use vmscope_model::{Cause, Kind, Metric, Unit, metric::Behaviour};

/// How far before the beginning the samples are looked for that the first rate needs.
pub(crate) const LOOKBACK_S: u32 = 2 * STRETCHED_S;

/// How many of the newest intervals tell the usual one (their median).
const USUAL_OF: u32 = 1000;

/// Rows of (entity, number of the metric, beginning of the step, value, weight).
///
/// Parameters: entities, their hosts, where each begins and ends, the earliest beginning less [`LOOKBACK_S`], the latest end.
pub(super) fn statement(
    kind: Kind,
    metrics: &[usize],
    frame: &Frame,
    function: Function,
    limit: i64,
) -> Result<String, Error> {
    let mut parts = String::new();
    for (number, &column) in metrics.iter().enumerate() {
        let union = if number == 0 { "" } else { "\nUNION ALL\n" };
        let part = one(kind, number, super::metric(kind, column)?, frame, function);
        // Writing into a string can't fail.
        let _ = write!(parts, "{union}({part})");
    }
    let order = if frame.step == Step::Raw {
        "\nORDER BY time"
    } else {
        ""
    };
    Ok(format!(
        "-- history_raw
WITH step AS MATERIALIZED (
SELECT host_id, from_at, to_at FROM gap WHERE host_id = ANY ($2) AND cause = '{}' AND to_at >= $5 AND from_at < $6)
SELECT e.entity_id, s.metric, s.time, s.value, s.weight
FROM unnest($1::int4[], $2::int4[], $3::timestamptz[], $4::timestamptz[]) AS e (entity_id, host_id, since, until)
CROSS JOIN LATERAL (
{parts}
) AS s{order} LIMIT {limit}",
        Cause::ClockStep.name()
    ))
}

/// The statement of one metric of one thing.
fn one(kind: Kind, number: usize, metric: &Metric, frame: &Frame, function: Function) -> String {
    let (table, column) = (layout::table(kind), metric.name);
    // The API has seconds; a scale has been divided out in the column already.
    let divisor = if metric.unit == Unit::Nanoseconds {
        "1e9"
    } else {
        "1"
    };
    let sample = match metric.behaviour {
        Behaviour::Counter => rates(table, column, divisor),
        // Samples at their own times are not counted.
        Behaviour::State(_) if is_timed(function) && frame.step != Step::Raw => {
            format!("{}, sample AS (SELECT * FROM interval)", intervals(table, column, "IS NOT NULL"))
        }
        Behaviour::Gauge | Behaviour::State(_) => format!(
            "sample AS (
SELECT time, {column}::float8 / {divisor}::float8 AS value FROM {table}
WHERE entity_id = e.entity_id AND time >= $5 AND time < $6 AND time >= e.since AND time < e.until AND {column} IS NOT NULL)"
        ),
    };
    let time = frame.bin("time", "e.since");
    let (value, weight) = value(frame.step, function, metric.behaviour);
    let group = match frame.step {
        Step::Raw => "",
        Step::Seconds(_) => " GROUP BY 2",
        Step::Whole => " HAVING count(*) > 0",
    };
    format!(
        "WITH {sample}\nSELECT {number} AS metric, {time} AS time, {value} AS value, {weight} AS weight FROM sample{group}"
    )
}

/// Whether a function is of the intervals between the samples of a state.
const fn is_timed(function: Function) -> bool {
    matches!(function, Function::Count | Function::InState(_))
}

/// The intervals between neighbouring samples of a column: (time of the later, increase since the earlier, value of the earlier,
/// seconds).
///
/// Left out are those before the beginning, holes, and those in which the clock was set.
fn intervals(table: &str, column: &str, condition: &str) -> String {
    // The order is the index's, so nothing is sorted. The usual interval is a subquery that is not run until an interval is long.
    format!(
        "stored AS NOT MATERIALIZED (
SELECT time, {column} AS value FROM {table}
WHERE entity_id = e.entity_id AND time >= $5 AND time < $6
AND time >= e.since - interval '{LOOKBACK_S} s' AND time < e.until AND {column} {condition}
), usual AS (
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS seconds FROM (
SELECT extract(epoch FROM time - lead(time) OVER (ORDER BY time DESC))::float8 AS seconds
FROM (SELECT time FROM stored ORDER BY time DESC LIMIT {USUAL_OF}) AS newest) AS intervals
), difference AS (
SELECT time, lead(time) OVER in_time AS since, value - lead(value) OVER in_time AS increase, lead(value) OVER in_time AS earlier,
extract(epoch FROM time - lead(time) OVER in_time)::float8 AS seconds,
extract(epoch FROM lead(time) OVER in_time - lead(time, 2) OVER in_time)::float8 AS before
FROM stored WINDOW in_time AS (ORDER BY time DESC)
), interval AS (
SELECT d.time, d.increase, d.earlier, d.seconds FROM difference d
WHERE d.time >= e.since AND d.seconds > 0
AND (d.seconds <= greatest({HOLE_S}, least(3 * coalesce(d.before, 0), {STRETCHED_S})) OR d.seconds <= 3 * (SELECT seconds FROM usual))
AND NOT EXISTS (SELECT FROM step p WHERE p.host_id = e.host_id AND p.to_at > d.since AND p.from_at < d.time))"
    )
}

/// Rates of a counter: (time, value, increase in the unit of the rate, seconds that it took).
fn rates(table: &str, column: &str, divisor: &str) -> String {
    // A counter is never below 0; leaving such rows out keeps the difference within bigint.
    let intervals = intervals(table, column, ">= 0");
    format!(
        "{intervals}, sample AS (
SELECT time, increase / {divisor}::float8 / seconds AS value, increase / {divisor}::float8 AS increase, seconds
FROM interval WHERE increase >= 0)"
    )
}

/// What becomes of the samples in a step, and how much that rests on: (value, weight).
fn value(step: Step, function: Function, behaviour: Behaviour) -> (Cow<'static, str>, &'static str) {
    let (value, weight) = match (function, behaviour) {
        _ if step == Step::Raw => ("value", "1::float8"),
        (Function::InState(code), Behaviour::State(_)) => {
            let seconds = format!("sum(CASE WHEN earlier = {code} THEN seconds ELSE 0 END)");
            return (seconds.into(), "1::float8");
        }
        (Function::InState(_), _) => ("NULL::float8", "1::float8"),
        (Function::Count, Behaviour::Gauge) => ("count(*)::float8", "1::float8"),
        (Function::Count, Behaviour::Counter | Behaviour::State(_)) => ("sum(seconds)", "1::float8"),
        (Function::Last, _) | (_, Behaviour::State(_)) => {
            ("(array_agg(value ORDER BY time DESC))[1]", "1::float8")
        }
        (Function::Min, _) => ("min(value)", "1::float8"),
        (Function::Max, _) => ("max(value)", "1::float8"),
        (Function::P95, _) => ("percentile_cont(0.95) WITHIN GROUP (ORDER BY value)", "1::float8"),
        (Function::Avg, Behaviour::Counter) => ("sum(increase) / sum(seconds)", "sum(seconds)"),
        (Function::Avg, Behaviour::Gauge) => ("avg(value)", "count(*)::float8"),
    };
    (value.into(), weight)
}
