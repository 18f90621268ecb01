//! The statement that reads a rolled tier: all metrics of all things in one pass over wide rows.

use super::frame::Frame;
use super::{Function, Tier};
use crate::Error;
use crate::schema::layout;
use std::fmt::Write as _;
use vmscope_model::{Kind, Metric, Unit, metric::Behaviour};

/// Rows of (entity, a moment in the step, and for each metric: value, weight).
///
/// Parameters: entities, where each begins and ends, the earliest beginning, the latest end.
pub(super) fn statement(
    kind: Kind,
    tier: Tier,
    metrics: &[usize],
    frame: &Frame,
    function: Function,
) -> Result<String, Error> {
    let mut columns = String::new();
    for &column in metrics {
        let (value, weight) = value(super::metric(kind, column)?, function);
        // Writing into a string can't fail.
        let _ = write!(columns, ",\n({value})::float8, ({weight})::float8");
    }
    let (table, time) = (
        layout::tier_table(kind, tier),
        frame.bin("t.time", "min(e.since)"),
    );
    let group = if time.starts_with("min") { "1" } else { "1, 2" };
    Ok(format!(
        "-- history_{}
SELECT t.entity_id, {time} AS step{columns}
FROM unnest($1::int4[], $2::timestamptz[], $3::timestamptz[]) AS e (entity_id, since, until)
JOIN {table} t ON t.entity_id = e.entity_id AND t.time >= e.since AND t.time < e.until
WHERE t.time >= $4 AND t.time < $5
GROUP BY {group}",
        tier.name()
    ))
}

/// What becomes of the buckets in a step, and how much that rests on: (value, weight).
fn value(metric: &Metric, function: Function) -> (String, String) {
    let name = metric.name;
    let divisor = if metric.unit == Unit::Nanoseconds {
        " / 1e9::float8"
    } else {
        ""
    };
    let last = format!(
        "(array_agg(t.{name}_last ORDER BY t.time DESC) FILTER (WHERE t.{name}_last IS NOT NULL))[1]"
    );
    let weight = format!("sum(t.{name}_weight::float8)");
    let one = "1".to_owned();
    match (function, metric.behaviour) {
        // No interval ended in a bucket with nothing but its first sample.
        (Function::Count, Behaviour::State(_)) => (
            format!("sum((SELECT sum(s::float8) FROM unnest(t.{name}_seconds) AS s))"),
            one,
        ),
        (Function::InState(code), Behaviour::State(_)) => (
            format!(
                "sum((SELECT sum(CASE WHEN c = {code} THEN s::float8 ELSE 0 END) FROM unnest(t.{name}_codes, t.{name}_seconds) AS u (c, s)))"
            ),
            one,
        ),
        (Function::InState(_), _) => ("NULL".to_owned(), one),
        (_, Behaviour::State(_)) => (last, one),
        (Function::Count, _) => (weight, one),
        (Function::Min, _) => (format!("min(t.{name}_min)::float8{divisor}"), one),
        (Function::Max, _) => (format!("max(t.{name}_max)::float8{divisor}"), one),
        (Function::Last, _) => (format!("{last}::float8{divisor}"), one),
        // Percentiles are not kept; nobody asks a rolled tier for them.
        (Function::Avg | Function::P95, _) => (
            format!("sum(t.{name}_avg::float8 * t.{name}_weight) / nullif({weight}, 0){divisor}"),
            weight,
        ),
    }
}
