//! How stored integers become the values that people see.
//!
//! Pure rules, the same for live values and for series: a counter is shown as its rate over the interval that ends at
//! the newer sample, and an interval without a trustworthy rate has no value rather than a guessed one.

use crate::metric::Metric;
use crate::sample::Value;

/// Samples further apart than this have a hole between them, whatever their interval: seconds.
pub const HOLE_S: u32 = 15;
/// The longest way between samples of a source that takes its time: seconds. An agent may stretch 5 s to 40 s, doubling.
pub const STRETCHED_S: u32 = 60;

/// How far apart two samples may be for a rate, in microseconds, when the two before were `before_us` apart.
pub fn reach_us(before_us: Option<i64>) -> i64 {
    let (least, most) = (i64::from(HOLE_S) * 1_000_000, i64::from(STRETCHED_S) * 1_000_000);
    before_us.map_or(least, |before_us| before_us.saturating_mul(3).clamp(least, most))
}

/// A moment in microseconds since the Unix epoch, and what was measured then.
pub type Sample = (i64, Value);

/// What a counter gained per second between two samples.
///
/// `None` when either sample is absent, when the counter went down (its source started again from zero, and what it
/// counted meanwhile can't be known) and when the time between the samples isn't positive.
pub fn rate(previous: Sample, next: Sample) -> Option<f64> {
    let gained = next.1.get()?.checked_sub(previous.1.get()?)?;
    let elapsed_us = next.0.checked_sub(previous.0)?;
    if gained < 0 || elapsed_us <= 0 {
        return None;
    }
    Some(to_f64(gained) / to_f64(elapsed_us) * 1e6)
}

/// The value of `metric` as the API shows it: gauges and states as they are, counters as rates since `previous`.
///
/// Units are those of [`Metric::api_unit`].
pub fn api_value(metric: &Metric, previous: Option<Sample>, next: Sample) -> Option<f64> {
    let stored = if metric.is_counter() {
        rate(previous?, next)?
    } else {
        to_f64(next.1.get()?)
    };
    Some(stored / metric.divisor())
}

/// Integers above 2^53 lose their last bits, which no chart can show.
#[expect(clippy::cast_precision_loss, reason = "values are for display")]
const fn to_f64(number: i64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, catalogue};

    const T0: i64 = 1_700_000_000_000_000;

    fn metric(kind: Kind, name: &str) -> &'static Metric {
        &catalogue::metrics(kind)[catalogue::find(kind, name).unwrap()]
    }

    fn sample(time_us: i64, number: i64) -> Sample {
        (time_us, Value::new(number))
    }

    #[test]
    fn a_source_that_slows_down_step_by_step_keeps_its_rates() {
        let mut before_us = None;
        for interval_s in [5, 5, 10, 20, 40, 20, 5] {
            let interval_us = interval_s * 1_000_000;
            assert!(interval_us <= reach_us(before_us), "{interval_s} s");
            before_us = Some(interval_us);
        }
        assert!(
            reach_us(Some(3_600_000_000)) < 61_000_000,
            "an outage opens the door to no other"
        );
    }

    #[test]
    fn a_counter_is_a_rate_per_second() {
        assert_eq!(rate(sample(T0, 100), sample(T0 + 500_000, 150)), Some(100.0));
        assert_eq!(rate(sample(T0, 7), sample(T0 + 1, 7)), Some(0.0));
    }

    #[test]
    fn a_reset_has_no_rate() {
        assert_eq!(rate(sample(T0, 100), sample(T0 + 1_000_000, 99)), None);
    }

    #[test]
    fn time_that_stands_or_goes_back_has_no_rate() {
        assert_eq!(rate(sample(T0, 1), sample(T0, 2)), None);
        assert_eq!(rate(sample(T0, 1), sample(T0 - 1, 2)), None);
    }

    #[test]
    fn an_absent_sample_has_no_rate() {
        assert_eq!(rate((T0, Value::ABSENT), sample(T0 + 1, 2)), None);
        assert_eq!(rate(sample(T0, 1), (T0 + 1, Value::ABSENT)), None);
    }

    #[test]
    fn processor_time_is_shown_in_cores() {
        let cpu = metric(Kind::Vm, "cpu_time_ns");
        let value = api_value(cpu, Some(sample(T0, 0)), sample(T0 + 2_000_000, 3_000_000_000));
        assert_eq!(value, Some(1.5));
        assert_eq!(cpu.api_unit(), "s/s");
        assert_eq!(api_value(cpu, None, sample(T0, 1)), None);
    }

    #[test]
    fn a_scaled_gauge_is_shown_without_its_scale() {
        let load = metric(Kind::Host, "load_1m");
        assert_eq!(api_value(load, None, sample(T0, 1_250)), Some(1.25));
        assert_eq!(load.api_unit(), "1");
    }

    proptest::proptest! {
        #[test]
        fn a_rate_is_finite_and_not_negative(a: (i64, i64), b: (i64, i64)) {
            if let Some(rate) = rate(sample(a.0, a.1), sample(b.0, b.1)) {
                proptest::prop_assert!(rate.is_finite() && rate >= 0.0);
            }
        }
    }
}
