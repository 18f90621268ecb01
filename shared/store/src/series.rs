//! Series: one thing's metrics over time, raw or in steps, out of the raw tier.
//!
//! Gauges and states are as they were stored. Counters become rates per second between neighbouring samples of the same
//! metric (nanoseconds become seconds per second). A rate belongs to the later of its two samples. There is none where
//! the counter went down (its source began anew) and none across a hole: more than three times the usual interval, more
//! than [`HOLE_S`], and more than three times the interval before, of which [`STRETCHED_S`] count at most: an agent that
//! has too much to do doubles its interval. Nor is there one where the host's clock was set: forward, nobody knows how
//! long the interval was, and in a span that was passed twice, samples of two passes lie side by side.
//!
//! Cheap and dear rows of a VM alternate and leave each other's columns null, so each metric is read by itself.

use crate::schema::layout;
use crate::{Error, Store};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use tokio_postgres::Row;
use vmscope_model::rate::{HOLE_S, STRETCHED_S};
use vmscope_model::{Cause, Kind, Metric, Unit, catalogue, metric::Behaviour};

/// How far before the beginning the samples are looked for that the first rate needs.
const LOOKBACK_S: u32 = 2 * STRETCHED_S;

/// How many of the newest intervals tell the usual one (their median).
const USUAL_OF: u32 = 1000;

/// How samples of one step become one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Function {
    /// Mean; of rates: the whole increase over the whole time. States take the last.
    #[default]
    Avg,
    /// Smallest.
    Min,
    /// Largest.
    Max,
    /// Newest.
    Last,
}

/// The distance between values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Every sample at its own time.
    Raw,
    /// Steps of so many seconds, at multiples of it since the Unix epoch. 0 counts as 1.
    Seconds(u32),
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Kind of the thing.
    pub kind: Kind,
    /// Its database id ([`crate::entity::find`]).
    pub entity_id: i32,
    /// Columns of the catalogue.
    pub metrics: Vec<usize>,
    /// Beginning, inclusive; goes back to where its step begins.
    pub from: Timestamp,
    /// End, exclusive; goes on to where its step ends.
    pub to: Timestamp,
    /// Distance between values.
    pub step: Step,
    /// What becomes of the samples in a step.
    pub function: Function,
    /// Most values (points times metrics) that may be returned.
    pub max_values: usize,
}

/// Values by time.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    /// Milliseconds since the Unix epoch, ascending: the beginnings of all steps, or the times of the samples.
    pub times_ms: Vec<i64>,
    /// For each metric asked for, a value or nothing at each time.
    pub values: Vec<Vec<Option<f64>>>,
}

/// Reads series.
///
/// # Errors
/// [`Error::TooMuch`] beyond `max_values`, [`Error::Range`] for a column that the catalogue lacks or a time out of range,
/// or the database's failures.
pub async fn query(store: &Store, query: &Query) -> Result<Series, Error> {
    let frame = Frame::new(query)?;
    if query.metrics.is_empty() {
        return Ok(Series {
            times_ms: frame.times_ms,
            values: Vec::new(),
        });
    }
    let statement = statement(query)?;
    let client = store.get().await?;
    let rows = client
        .query(&statement, &[&query.entity_id, &frame.from, &frame.to])
        .await
        .map_err(Error::statement("series"))?;
    if rows.len() > query.max_values {
        return Err(Error::TooMuch {
            limit: query.max_values,
        });
    }
    Ok(match query.step {
        Step::Raw => raw(&rows, query.metrics.len()),
        Step::Seconds(_) => frame.fill(&rows, query.metrics.len()),
    })
}

/// The whole steps that cover what is asked for.
struct Frame {
    from: Timestamp,
    to: Timestamp,
    step_ms: i64,
    times_ms: Vec<i64>,
}

impl Frame {
    fn new(query: &Query) -> Result<Self, Error> {
        let Step::Seconds(seconds) = query.step else {
            return Ok(Self {
                from: query.from,
                to: query.to,
                step_ms: 1,
                times_ms: Vec::new(),
            });
        };
        let step_ms = 1000 * i64::from(seconds.max(1));
        let from_ms = query.from.as_millisecond().div_euclid(step_ms) * step_ms;
        // The end is exclusive: one nanosecond into a step takes the step in.
        let last_ms = query
            .to
            .as_nanosecond()
            .saturating_sub(1)
            .div_euclid(1_000_000 * i128::from(step_ms));
        let to_ms = (i64::try_from(last_ms).unwrap_or(i64::MAX / step_ms - 1) + 1) * step_ms;
        let points = usize::try_from((to_ms - from_ms) / step_ms).unwrap_or(0);
        if points.saturating_mul(query.metrics.len().max(1)) > query.max_values {
            return Err(Error::TooMuch {
                limit: query.max_values,
            });
        }
        let range = |time_ms: i64| {
            Timestamp::from_millisecond(time_ms).map_err(|_| Error::Range {
                what: "time in milliseconds",
                number: time_ms.into(),
            })
        };
        let times_ms = (0..points)
            .map(|point| from_ms + step_ms * point.cast_signed() as i64)
            .collect();
        Ok(Self {
            from: range(from_ms)?,
            to: range(to_ms)?,
            step_ms,
            times_ms,
        })
    }

    fn fill(self, rows: &[Row], metrics: usize) -> Series {
        let mut values = vec![vec![None; self.times_ms.len()]; metrics];
        for row in rows {
            let point = (time_ms(row) - self.from.as_millisecond()) / self.step_ms;
            let cell = usize::try_from(point)
                .ok()
                .and_then(|point| values[metric(row)].get_mut(point));
            if let Some(cell) = cell {
                *cell = row.get(2);
            }
        }
        Series {
            times_ms: self.times_ms,
            values,
        }
    }
}

/// Rows sorted by time into columns.
fn raw(rows: &[Row], metrics: usize) -> Series {
    let mut series = Series {
        times_ms: Vec::new(),
        values: vec![Vec::new(); metrics],
    };
    for row in rows {
        let time_ms = time_ms(row);
        if series.times_ms.last() != Some(&time_ms) {
            series.times_ms.push(time_ms);
            series.values.iter_mut().for_each(|values| values.push(None));
        }
        if let Some(cell) = series.values[metric(row)].last_mut() {
            *cell = row.get(2);
        }
    }
    series
}

fn metric(row: &Row) -> usize {
    // The statement numbers the metrics from 0 itself.
    usize::try_from(row.get::<_, i32>(0)).unwrap_or_default()
}

fn time_ms(row: &Row) -> i64 {
    row.get::<_, Timestamp>(1).as_millisecond()
}

/// One statement for all metrics: rows of (number of the metric, time, value).
fn statement(query: &Query) -> Result<String, Error> {
    let mut statement = format!("-- series\nWITH {}\nSELECT * FROM (\n", clock_steps(query.kind));
    for (number, &column) in query.metrics.iter().enumerate() {
        let metric = catalogue::metrics(query.kind).get(column).ok_or(Error::Range {
            what: "metric",
            number: column as i128,
        })?;
        let union = if number == 0 { "" } else { "\nUNION ALL\n" };
        // Writing into a string can't fail.
        let _ = write!(statement, "{union}({})", one(query, number, metric));
    }
    let _ = write!(
        statement,
        "\n) AS rows ORDER BY time, metric LIMIT {}",
        query.max_values.saturating_add(1)
    );
    Ok(statement)
}

/// When the clock of the thing's host was set.
fn clock_steps(kind: Kind) -> String {
    let host = match kind {
        Kind::Host => "$1",
        Kind::Vm => "(SELECT host_id FROM vm WHERE id = $1)",
        Kind::Vcpu | Kind::Disk | Kind::Nic => "(SELECT host_id FROM device WHERE id = $1)",
    };
    format!(
        "step AS (\n\
         SELECT from_at, to_at FROM gap WHERE host_id = {host} AND cause = '{}'\n\
         AND to_at >= $2::timestamptz - interval '{LOOKBACK_S} s' AND from_at < $3)",
        Cause::ClockStep.name()
    )
}

/// The statement of one metric.
fn one(query: &Query, number: usize, metric: &Metric) -> String {
    let (table, column) = (layout::table(query.kind), metric.name);
    // The API has seconds; a scale has been divided out in the column already.
    let divisor = if metric.unit == Unit::Nanoseconds {
        "1e9"
    } else {
        "1"
    };
    let sample = match metric.behaviour {
        Behaviour::Counter => rates(table, column, divisor),
        Behaviour::Gauge | Behaviour::State(_) => format!(
            "sample AS (\n\
             SELECT time, {column}::float8 / {divisor}::float8 AS value FROM {table}\n\
             WHERE entity_id = $1 AND time >= $2 AND time < $3 AND {column} IS NOT NULL)"
        ),
    };
    let (time, group) = match query.step {
        Step::Raw => ("time".to_owned(), ""),
        Step::Seconds(step_s) => (
            format!("date_bin('{} s', time, 'epoch'::timestamptz)", step_s.max(1)),
            " GROUP BY 2",
        ),
    };
    let value = value(query, metric.behaviour);
    format!("WITH {sample}\nSELECT {number} AS metric, {time} AS time, {value} AS value FROM sample{group}")
}

/// Rates of a counter: (time, value, increase in the unit of the rate, seconds that it took).
fn rates(table: &str, column: &str, divisor: &str) -> String {
    // A counter is never below 0; leaving such rows out keeps the difference within bigint.
    format!(
        "stored AS (\n\
         SELECT time, {column} AS value FROM {table}\n\
         WHERE entity_id = $1 AND time >= $2::timestamptz - interval '{LOOKBACK_S} s' AND time < $3 AND {column} >= 0\n\
         ), usual AS (\n\
         SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS seconds FROM (\n\
         SELECT extract(epoch FROM time - lag(time) OVER (ORDER BY time))::float8 AS seconds\n\
         FROM (SELECT time FROM stored ORDER BY time DESC LIMIT {USUAL_OF}) AS newest) AS intervals\n\
         ), difference AS (\n\
         SELECT time, lag(time) OVER in_time AS since, value - lag(value) OVER in_time AS increase,\n\
         extract(epoch FROM time - lag(time) OVER in_time)::float8 AS seconds,\n\
         extract(epoch FROM lag(time) OVER in_time - lag(time, 2) OVER in_time)::float8 AS before\n\
         FROM stored WINDOW in_time AS (ORDER BY time)\n\
         ), sample AS (\n\
         SELECT d.time, d.increase / {divisor}::float8 / d.seconds AS value,\n\
         d.increase / {divisor}::float8 AS increase, d.seconds\n\
         FROM difference d, usual u\n\
         WHERE d.time >= $2 AND d.increase >= 0 AND d.seconds > 0\n\
         AND d.seconds <= greatest(3 * u.seconds, {HOLE_S}, least(3 * coalesce(d.before, 0), {STRETCHED_S}))\n\
         AND NOT EXISTS (SELECT FROM step s WHERE s.to_at > d.since AND s.from_at < d.time))"
    )
}

/// What becomes of the samples in a step.
fn value(query: &Query, behaviour: Behaviour) -> &'static str {
    match (query.step, query.function, behaviour) {
        (Step::Raw, ..) => "value",
        (_, Function::Min, _) => "min(value)",
        (_, Function::Max, _) => "max(value)",
        (_, Function::Avg, Behaviour::Counter) => "sum(increase) / sum(seconds)",
        (_, Function::Avg, Behaviour::Gauge) => "avg(value)",
        (_, Function::Last, _) | (_, Function::Avg, Behaviour::State(_)) => {
            "(array_agg(value ORDER BY time DESC))[1]"
        }
    }
}
