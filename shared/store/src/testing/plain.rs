//! What history has to answer, computed in the plainest way from the samples themselves.

use crate::history::Function;
use vmscope_model::metric::Behaviour;
use vmscope_model::{Kind, Unit, catalogue};

/// (microseconds since the Unix epoch, stored integer), by time.
pub type Samples = Vec<(i64, i64)>;

/// A value that belongs to a moment, and how long it took to come about.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Piece {
    time_us: i64,
    value: f64,
    increase: f64,
    seconds: f64,
    /// The stored value before, of an interval.
    earlier: i64,
}

/// What is known of one metric of one thing.
#[derive(Debug, Clone)]
pub struct Known {
    behaviour: Behaviour,
    /// Values, or rates.
    pieces: Vec<Piece>,
    /// Intervals between neighbouring samples.
    intervals: Vec<Piece>,
}

impl Known {
    /// `steps` are spans in which the thing's host's clock was set.
    pub fn new(kind: Kind, column: usize, samples: &Samples, steps: &[(i64, i64)]) -> Self {
        let metric = &catalogue::metrics(kind)[column];
        let divisor = if metric.unit == Unit::Nanoseconds {
            1e9
        } else {
            1.0
        };
        let intervals = intervals(samples, steps, divisor);
        let scaled = |(time_us, value): &(i64, i64)| Piece {
            time_us: *time_us,
            value: float(*value) / float(metric.scale) / divisor,
            increase: 0.0,
            seconds: 0.0,
            earlier: 0,
        };
        let pieces = match metric.behaviour {
            Behaviour::Counter => intervals
                .iter()
                .filter(|piece| piece.increase >= 0.0)
                .copied()
                .collect(),
            Behaviour::Gauge | Behaviour::State(_) => samples.iter().map(scaled).collect(),
        };
        Self {
            behaviour: metric.behaviour,
            pieces,
            intervals,
        }
    }

    /// Values, or rates, at their own times: (microseconds since the Unix epoch, value).
    pub fn samples(&self) -> impl Iterator<Item = (i64, f64)> + '_ {
        self.pieces.iter().map(|piece| (piece.time_us, piece.value))
    }

    /// What `function` makes of what lies from `from_us` to before `to_us`.
    pub fn value(&self, span_us: (i64, i64), function: Function) -> Option<f64> {
        let (pieces, intervals) = (within(&self.pieces, span_us), within(&self.intervals, span_us));
        fold(self.behaviour, function, pieces, intervals)
    }
}

fn within(pieces: &[Piece], (from_us, to_us): (i64, i64)) -> &[Piece] {
    let before = |us: i64| pieces.partition_point(|piece| piece.time_us < us);
    &pieces[before(from_us)..before(to_us)]
}

fn fold(behaviour: Behaviour, function: Function, pieces: &[Piece], intervals: &[Piece]) -> Option<f64> {
    let sum = |pieces: &[Piece], of: fn(&Piece) -> f64| pieces.iter().map(of).sum::<f64>();
    let some = |value: f64| (!pieces.is_empty()).then_some(value);
    let mut values: Vec<f64> = pieces.iter().map(|piece| piece.value).collect();
    match (function, behaviour) {
        (Function::Count, Behaviour::Gauge) => some(count(&values)),
        (Function::Count, Behaviour::Counter) => some(sum(pieces, |piece| piece.seconds)),
        (Function::Count, Behaviour::State(_)) => {
            (!intervals.is_empty()).then(|| sum(intervals, |piece| piece.seconds))
        }
        (Function::InState(code), Behaviour::State(_)) => (!intervals.is_empty()).then(|| {
            let inside = intervals.iter().filter(|piece| piece.earlier == i64::from(code));
            inside.map(|piece| piece.seconds).sum()
        }),
        (Function::InState(_), _) => None,
        (Function::Last, _) | (_, Behaviour::State(_)) => values.last().copied(),
        (Function::Min, _) => values.into_iter().reduce(f64::min),
        (Function::Max, _) => values.into_iter().reduce(f64::max),
        (Function::Avg, Behaviour::Gauge) => some(values.iter().sum::<f64>() / count(&values)),
        (Function::Avg, Behaviour::Counter) => {
            some(sum(pieces, |piece| piece.increase) / sum(pieces, |piece| piece.seconds))
        }
        (Function::P95, _) => {
            values.sort_by(f64::total_cmp);
            values.last()?;
            let place = 0.95 * (count(&values) - 1.0);
            let (low, high) = (place.floor(), place.ceil());
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a place in the list"
            )]
            let (below, above) = (values[low as usize], values[high as usize]);
            Some(below + (above - below) * (place - low))
        }
    }
}

/// The intervals between neighbours that are no hole and in which no clock was set.
fn intervals(samples: &Samples, steps: &[(i64, i64)], divisor: f64) -> Vec<Piece> {
    let seconds = |one: i64, other: i64| float(other - one) / 1e6;
    let mut lengths: Vec<f64> = samples
        .windows(2)
        .map(|pair| seconds(pair[0].0, pair[1].0))
        .collect();
    lengths.sort_by(f64::total_cmp);
    // The median: between the two in the middle when there are two.
    let place = |place: usize| lengths.get(place).copied().unwrap_or(0.0);
    let usual = f64::midpoint(
        place(lengths.len().saturating_sub(1) / 2),
        place(lengths.len() / 2),
    );
    let mut pieces = Vec::new();
    for (place, pair) in samples.windows(2).enumerate() {
        let (before, after) = (pair[0], pair[1]);
        let took = seconds(before.0, after.0);
        let earlier = place
            .checked_sub(1)
            .map_or(0.0, |place| seconds(samples[place].0, before.0));
        let longest = (3.0 * usual).max(15.0).max((3.0 * earlier).min(60.0));
        let set = steps.iter().any(|(from, to)| *to > before.0 && *from < after.0);
        if took > 0.0 && took <= longest && !set {
            let increase = float(after.1 - before.1) / divisor;
            pieces.push(Piece {
                time_us: after.0,
                value: increase / took,
                increase,
                seconds: took,
                earlier: before.1,
            });
        }
    }
    pieces
}

fn count(values: &[f64]) -> f64 {
    values.iter().map(|_| 1.0).sum()
}

/// A stored integer as a number.
#[expect(clippy::cast_precision_loss, reason = "small enough")]
pub fn float(number: i64) -> f64 {
    number as f64
}
