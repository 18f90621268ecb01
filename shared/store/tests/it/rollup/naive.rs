//! What hours and days should be, computed from all samples of a metric as its definition says, without any cleverness.

use std::collections::BTreeMap;
use vmscope_model::metric::Behaviour;
use vmscope_model::{Kind, Metric, catalogue};

pub(super) const HOUR_US: i64 = 3_600_000_000;

/// Samples of a metric by time: whole numbers, as on the wire.
pub(super) type Samples = BTreeMap<i64, i64>;

/// What a metric comes to; of a state: the last code and the seconds in each.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expected {
    /// min, max, last, avg, weight.
    Number([f64; 5]),
    State(i16, BTreeMap<i16, f64>),
}

/// An interval that counts: (value before, value after, seconds).
type Interval = (i64, i64, f64);

pub(super) fn metric(kind: Kind, column: usize) -> &'static Metric {
    &catalogue::metrics(kind)[column]
}

/// A bucket of some hours.
pub(super) fn bucket(
    metric: &Metric,
    samples: &Samples,
    hours: &[i64],
    steps: &[(i64, i64)],
) -> Option<Expected> {
    let within = |hour: &i64| {
        samples
            .range(*hour..hour + HOUR_US)
            .map(|(_, value)| *value)
            .collect::<Vec<_>>()
    };
    let values: Vec<i64> = hours.iter().flat_map(within).collect();
    let intervals: Vec<Interval> = hours
        .iter()
        .flat_map(|hour| intervals(samples, *hour, steps))
        .collect();
    match metric.behaviour {
        Behaviour::Gauge => gauge(&values, metric),
        Behaviour::Counter => counter(&intervals),
        Behaviour::State(_) => {
            let last = i16::try_from(*values.last()?).unwrap();
            let mut seconds = BTreeMap::new();
            for (code, _, took) in intervals {
                *seconds.entry(i16::try_from(code).unwrap()).or_insert(0.0) += took;
            }
            Some(Expected::State(last, seconds))
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn gauge(values: &[i64], metric: &Metric) -> Option<Expected> {
    let values: Vec<f64> = values
        .iter()
        .map(|value| *value as f64 / metric.scale as f64)
        .collect();
    let count = values.len() as f64;
    Some(Expected::Number([
        values.iter().copied().reduce(f64::min)?,
        values.iter().copied().reduce(f64::max)?,
        *values.last()?,
        values.iter().sum::<f64>() / count,
        count,
    ]))
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn counter(intervals: &[Interval]) -> Option<Expected> {
    let grown: Vec<(f64, f64)> = intervals
        .iter()
        .filter(|(before, after, _)| after >= before)
        .map(|(before, after, seconds)| ((after - before) as f64, *seconds))
        .collect();
    let rates: Vec<f64> = grown
        .iter()
        .map(|(increase, seconds)| increase / seconds)
        .collect();
    let seconds: f64 = grown.iter().map(|(_, seconds)| seconds).sum();
    Some(Expected::Number([
        rates.iter().copied().reduce(f64::min)?,
        rates.iter().copied().reduce(f64::max)?,
        *rates.last()?,
        grown.iter().map(|(increase, _)| increase).sum::<f64>() / seconds,
        seconds,
    ]))
}

/// The intervals that end in an hour, as `vmscope_store::series` has them when it is asked for that hour.
#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn intervals(samples: &Samples, hour: i64, steps: &[(i64, i64)]) -> Vec<Interval> {
    let seen: Vec<(f64, i64)> = samples
        .range(hour - 120_000_000..hour + HOUR_US)
        .map(|(time, value)| ((time - hour) as f64 / 1e6, *value))
        .collect();
    let newest = &seen[seen.len().saturating_sub(1000)..];
    let mut usual: Vec<f64> = newest.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    usual.sort_by(f64::total_cmp);
    let usual = match usual.len() {
        0 => 0.0,
        length if length % 2 == 1 => usual[length / 2],
        length => f64::midpoint(usual[length / 2 - 1], usual[length / 2]),
    };
    let mut found = Vec::new();
    for place in 1..seen.len() {
        let ((since, before), (until, after)) = (seen[place - 1], seen[place]);
        let seconds = until - since;
        let last_interval = if place >= 2 {
            since - seen[place - 2].0
        } else {
            0.0
        };
        let limit = (3.0 * usual).max(15.0).max((3.0 * last_interval).min(60.0));
        let at = |seconds: f64| hour as f64 + seconds * 1e6;
        let is_set = steps
            .iter()
            .any(|(from, to)| *to as f64 > at(since) && (*from as f64) < at(until));
        if until >= 0.0 && seconds <= limit && !is_set {
            found.push((before, after, seconds));
        }
    }
    found
}

/// Whether what was stored is what was expected, as exactly as `real` can hold it.
pub(super) fn is_close(found: &Expected, expected: &Expected) -> bool {
    let close = |found: f64, expected: f64| (found - expected).abs() <= 1e-5 * expected.abs().max(1e-3);
    match (found, expected) {
        (Expected::Number(found), Expected::Number(expected)) => found
            .iter()
            .zip(expected)
            .all(|(found, expected)| close(*found, *expected)),
        (Expected::State(last, found), Expected::State(expected_last, expected)) => {
            last == expected_last
                && found.len() == expected.len()
                && found
                    .iter()
                    .zip(expected)
                    .all(|((code, found), (expected_code, expected))| {
                        code == expected_code && close(*found, *expected)
                    })
        }
        _ => false,
    }
}
