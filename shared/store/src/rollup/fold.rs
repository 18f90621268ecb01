//! What one metric's samples in an hour come to, and its hours in a day. Pure.
//!
//! The rules for intervals are those of [`crate::series`]: a counter's rate and the time in a state are of the interval between two
//! neighbouring samples of the metric and belong to the later one; an interval that is a hole, or in which the host's clock was
//! set, counts for nothing, nor does one in which a counter went down.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use vmscope_model::rate::{HOLE_S, reach_us};
use vmscope_model::{Metric, metric::Behaviour};

/// How many of the newest intervals tell the usual one, as in [`crate::series`].
const USUAL_OF: usize = 1000;

const HOLE_US: i64 = HOLE_S as i64 * 1_000_000;

/// A span in which a host's clock was set: both ends in microseconds since the Unix epoch.
pub(super) type ClockStep = (i64, i64);

/// Samples of one metric of one thing, newest first: (microseconds since the Unix epoch, value).
#[derive(Debug)]
pub(super) enum Samples {
    Gauge(Vec<(i64, f64)>),
    Counter(Vec<(i64, i64)>),
    State(Vec<(i64, i16)>),
}

/// What a metric comes to in a bucket; `None` when there is nothing of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Number(Option<Number>),
    State(Option<State>),
}

/// Of a gauge's values or a counter's rates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Number {
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) last: f64,
    pub(super) avg: f64,
    /// Samples of a gauge; seconds that a counter's rates cover.
    pub(super) weight: f64,
}

/// Of a state.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct State {
    pub(super) last: i16,
    /// Seconds in each.
    pub(super) seconds: BTreeMap<i16, f64>,
}

impl Samples {
    pub(super) fn new(metric: &Metric) -> Self {
        match metric.behaviour {
            Behaviour::Gauge => Self::Gauge(Vec::new()),
            Behaviour::Counter => Self::Counter(Vec::new()),
            Behaviour::State(_) => Self::State(Vec::new()),
        }
    }

    /// Forgets what is not older than `time_us`.
    pub(super) fn keep_before(&mut self, time_us: i64) {
        fn trim<V>(samples: &mut Vec<(i64, V)>, time_us: i64) {
            let newer = samples.partition_point(|sample| sample.0 >= time_us);
            samples.drain(..newer);
        }
        match self {
            Self::Gauge(samples) => trim(samples, time_us),
            Self::Counter(samples) => trim(samples, time_us),
            Self::State(samples) => trim(samples, time_us),
        }
    }

    /// What the samples from `from_us` on come to; older ones are where intervals begin.
    pub(super) fn fold(&self, from_us: i64, steps: &[ClockStep]) -> Cell {
        match self {
            Self::Gauge(samples) => Cell::Number(gauge(within(samples, from_us))),
            Self::Counter(samples) => Cell::Number(counter(samples, from_us, steps)),
            Self::State(samples) => Cell::State(state(samples, from_us, steps)),
        }
    }
}

impl Cell {
    /// Nothing of a metric.
    pub(super) fn empty(metric: &Metric) -> Self {
        match metric.behaviour {
            Behaviour::State(_) => Self::State(None),
            Behaviour::Gauge | Behaviour::Counter => Self::Number(None),
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        matches!(self, Self::Number(None) | Self::State(None))
    }

    /// Takes in an earlier bucket of the same metric.
    pub(super) fn take_earlier(&mut self, earlier: Self) {
        match (self, earlier) {
            (Self::Number(Some(this)), Self::Number(Some(earlier))) => this.take_earlier(&earlier),
            (Self::State(Some(this)), Self::State(Some(earlier))) => {
                for (code, seconds) in earlier.seconds {
                    *this.seconds.entry(code).or_default() += seconds;
                }
            }
            (this, earlier) if this.is_empty() => *this = earlier,
            // The earlier one is empty: a metric's cells are of one sort.
            _ => {}
        }
    }
}

impl Number {
    fn take_earlier(&mut self, earlier: &Self) {
        let weight = self.weight + earlier.weight;
        self.avg = self.avg.mul_add(self.weight, earlier.avg * earlier.weight) / weight;
        self.weight = weight;
        self.min = self.min.min(earlier.min);
        self.max = self.max.max(earlier.max);
    }
}

/// Those that are not older than `from_us`.
fn within<V>(samples: &[(i64, V)], from_us: i64) -> &[(i64, V)] {
    &samples[..samples.partition_point(|sample| sample.0 >= from_us)]
}

#[expect(clippy::cast_precision_loss, reason = "an hour has few samples")]
fn gauge(samples: &[(i64, f64)]) -> Option<Number> {
    let last = samples.first()?.1;
    let (mut min, mut max, mut sum) = (last, last, 0.0);
    for (_, value) in samples {
        (min, max, sum) = (value.min(min), value.max(max), sum + value);
    }
    let weight = samples.len() as f64;
    Some(Number {
        min,
        max,
        last,
        avg: sum / weight,
        weight,
    })
}

#[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 52 bits")]
fn counter(samples: &[(i64, i64)], from_us: i64, steps: &[ClockStep]) -> Option<Number> {
    let mut number: Option<Number> = None;
    let mut increases = 0.0;
    intervals(samples, from_us, steps, |since, until, seconds| {
        if until < since {
            return;
        }
        // Neither is below 0, so the difference does not overflow.
        let increase = (until - since) as f64;
        let rate = increase / seconds;
        increases += increase;
        number = Some(number.map_or(
            Number {
                min: rate,
                max: rate,
                last: rate,
                avg: rate,
                weight: seconds,
            },
            |number| Number {
                min: number.min.min(rate),
                max: number.max.max(rate),
                last: rate,
                avg: 0.0,
                weight: number.weight + seconds,
            },
        ));
    });
    number.map(|number| Number {
        avg: increases / number.weight,
        ..number
    })
}

fn state(samples: &[(i64, i16)], from_us: i64, steps: &[ClockStep]) -> Option<State> {
    let last = within(samples, from_us).first()?.1;
    let mut seconds = BTreeMap::new();
    intervals(samples, from_us, steps, |since, _, took| {
        *seconds.entry(since).or_default() += took;
    });
    Some(State { last, seconds })
}

/// Calls `take` with (earlier value, later value, seconds between) for each interval that counts and does not end before
/// `from_us`, by time.
#[expect(clippy::cast_precision_loss, reason = "microseconds of minutes")]
fn intervals<V: Copy>(
    samples: &[(i64, V)],
    from_us: i64,
    steps: &[ClockStep],
    mut take: impl FnMut(V, V, f64),
) {
    let usual = OnceCell::new();
    let is_hole = |place: usize, elapsed_us: i64| {
        if elapsed_us <= HOLE_US {
            return false;
        }
        let before_us = samples
            .get(place + 2)
            .map(|before| samples[place + 1].0 - before.0);
        elapsed_us > reach_us(before_us) && elapsed_us as f64 > 3.0 * usual.get_or_init(|| usual_us(samples))
    };
    for place in (0..within(samples, from_us).len()).rev() {
        let (time_us, until) = samples[place];
        let Some(&(since_us, since)) = samples.get(place + 1) else {
            continue;
        };
        let elapsed_us = time_us - since_us;
        let is_set = steps.iter().any(|step| step.1 > since_us && step.0 < time_us);
        if elapsed_us > 0 && !is_set && !is_hole(place, elapsed_us) {
            take(since, until, elapsed_us as f64 / 1e6);
        }
    }
}

/// The median of the newest intervals.
#[expect(clippy::cast_precision_loss, reason = "microseconds of minutes")]
fn usual_us<V>(samples: &[(i64, V)]) -> f64 {
    let newest = &samples[..samples.len().min(USUAL_OF)];
    let mut intervals: Vec<i64> = newest.windows(2).map(|pair| pair[0].0 - pair[1].0).collect();
    intervals.sort_unstable();
    let Some(last) = intervals.len().checked_sub(1) else {
        return 0.0;
    };
    i64::midpoint(intervals[last / 2], intervals[last.div_ceil(2)]) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Newest first, in seconds.
    fn samples<V: Copy>(samples: &[(i64, V)]) -> Vec<(i64, V)> {
        samples
            .iter()
            .rev()
            .map(|(second, value)| (second * 1_000_000, *value))
            .collect()
    }

    /// A cell of min, max, last, avg, weight.
    fn cell([min, max, last, avg, weight]: [f64; 5]) -> Cell {
        Cell::Number(Some(Number {
            min,
            max,
            last,
            avg,
            weight,
        }))
    }

    #[test]
    fn gauges_are_counted_from_the_beginning_on() {
        let gauge = Samples::Gauge(samples(&[(8, 100.0), (10, 4.0), (12, 1.0), (14, 7.0)]));
        assert_eq!(gauge.fold(10_000_000, &[]), cell([1.0, 7.0, 7.0, 4.0, 3.0]));
        assert!(gauge.fold(15_000_000, &[]).is_empty());
    }

    #[test]
    fn the_first_rate_begins_before_the_bucket_and_a_reset_has_none() {
        let counter = Samples::Counter(samples(&[(8, 0), (10, 40), (12, 60), (14, 5), (16, 25)]));
        assert_eq!(
            counter.fold(10_000_000, &[]),
            cell([10.0, 20.0, 10.0, 80.0 / 6.0, 6.0])
        );
    }

    #[test]
    fn holes_and_set_clocks_count_for_nothing() {
        let counter = Samples::Counter(samples(&[
            (0, 0),
            (5, 50),
            (10, 100),
            (40, 1000),
            (45, 1010),
            (50, 1020),
        ]));
        assert_eq!(counter.fold(0, &[]), cell([2.0, 10.0, 2.0, 6.0, 20.0]));
        let set = [(41_000_000, 50_000_000)];
        assert_eq!(counter.fold(0, &set), cell([10.0, 10.0, 10.0, 10.0, 10.0]));
        let slow = Samples::Counter(samples(&[(0, 0), (60, 60), (120, 120), (180, 180), (361, 361)]));
        let without_the_last = cell([1.0, 1.0, 1.0, 1.0, 180.0]);
        assert_eq!(
            slow.fold(0, &[]),
            without_the_last,
            "three times the usual interval, and a second"
        );
    }

    #[test]
    fn a_state_lasts_until_the_next_sample() {
        let state = Samples::State(samples(&[(0, 1), (10, 1), (20, 3), (30, 1), (90, 5)]));
        let Cell::State(Some(found)) = state.fold(5_000_000, &[]) else {
            panic!()
        };
        assert_eq!(found.last, 5);
        assert_eq!(found.seconds, BTreeMap::from([(1, 20.0), (3, 10.0)]));
    }

    #[test]
    fn buckets_add_up() {
        let mut late = cell([5.0, 5.0, 5.0, 5.0, 2.0]);
        late.take_earlier(cell([1.0, 1.0, 1.0, 1.0, 6.0]));
        late.take_earlier(Cell::Number(None));
        assert_eq!(late, cell([1.0, 5.0, 5.0, 2.0, 8.0]));
        let mut none = Cell::Number(None);
        none.take_earlier(late.clone());
        assert_eq!(none, late);
    }

    #[test]
    fn what_is_older_is_kept() {
        let mut counter = Samples::Counter(samples(&[(1, 1), (2, 2), (3, 3)]));
        counter.keep_before(2_000_000);
        assert!(matches!(counter, Samples::Counter(left) if left == [(1_000_000, 1)]));
    }
}
