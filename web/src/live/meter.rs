//! Turns what agents count into what people see, one row at a time.

use std::collections::HashMap;
use std::time::{Duration, Instant};
use vmscope_model::rate::{self, Sample};
use vmscope_model::{Value, catalogue};
use vmscope_store::entity::Reference;

/// A counter that was silent for longer has no rate: it would be a mean over a hole.
const MAX_RATE_SPAN_US: i64 = 15_000_000;
/// What is remembered of an entity that is gone goes after this time.
const FORGET_AFTER: Duration = Duration::from_mins(10);

/// API values by metric name.
pub(super) type Values = Vec<(&'static str, f64)>;

/// The last counters of every entity.
#[derive(Debug, Default)]
pub(super) struct Meters {
    entities: HashMap<Reference, Meter>,
    swept: Option<Instant>,
}

#[derive(Debug)]
struct Meter {
    seen: Instant,
    /// The last measurement of each column, in catalogue order.
    columns: Vec<Option<Sample>>,
}

impl Meters {
    /// The API values of a row. What is not newer than the last of its column (sent twice, by two collectors) has none.
    pub(super) fn read(&mut self, entity: Reference, time_us: i64, row: &[Value]) -> Values {
        let now = Instant::now();
        self.sweep(now);
        let metrics = catalogue::metrics(entity.kind());
        let meter = self.entities.entry(entity).or_insert_with(|| Meter {
            seen: now,
            columns: vec![None; metrics.len()],
        });
        meter.seen = now;
        let mut values = Values::new();
        for ((metric, last), &value) in metrics.iter().zip(&mut meter.columns).zip(row) {
            let next = (time_us, value);
            if value == Value::ABSENT || last.is_some_and(|(last_us, _)| last_us >= time_us) {
                continue;
            }
            let previous = last.filter(|(last_us, _)| time_us.saturating_sub(*last_us) <= MAX_RATE_SPAN_US);
            values.extend(rate::api_value(metric, previous, next).map(|value| (metric.name, value)));
            *last = Some(next);
        }
        values
    }

    /// Now and then, forgets what was not seen for long.
    fn sweep(&mut self, now: Instant) {
        if self.swept.is_none_or(|swept| now - swept >= FORGET_AFTER) {
            self.entities.retain(|_, meter| now - meter.seen < FORGET_AFTER);
            self.swept = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vmscope_model::catalogue::vm;
    use vmscope_model::{Kind, VmId};

    const T0: i64 = 1_700_000_000_000_000;

    fn entity() -> Reference {
        Reference::Vm(VmId(uuid::Uuid::from_u128(1)))
    }

    fn row(cells: &[(usize, i64)]) -> Vec<Value> {
        let mut row = vec![Value::ABSENT; catalogue::metrics(Kind::Vm).len()];
        for &(column, value) in cells {
            row[column] = Value::new(value);
        }
        row
    }

    #[test]
    fn counters_become_rates_from_their_second_sample_on() {
        let mut meters = Meters::default();
        let first = row(&[(vm::CPU_TIME_NS, 5_000_000_000), (vm::STATE, 1)]);
        assert_eq!(meters.read(entity(), T0, &first), [("state", 1.0)]);
        let second = row(&[(vm::CPU_TIME_NS, 5_500_000_000)]);
        assert_eq!(
            meters.read(entity(), T0 + 1_000_000, &second),
            [("cpu_time_ns", 0.5)]
        );
    }

    /// Rows of the two cadences alternate: each column looks back at its own last measurement.
    #[test]
    fn a_row_without_a_column_does_not_break_its_rate() {
        let mut meters = Meters::default();
        meters.read(entity(), T0, &row(&[(vm::DISK_READ_BYTES, 1000)]));
        meters.read(entity(), T0 + 1_000_000, &row(&[(vm::CPU_TIME_NS, 1)]));
        let values = meters.read(entity(), T0 + 5_000_000, &row(&[(vm::DISK_READ_BYTES, 6000)]));
        assert_eq!(values, [("disk_read_bytes", 1000.0)]);
    }

    #[test]
    fn no_rate_bridges_a_reset_or_a_hole() {
        let mut meters = Meters::default();
        meters.read(entity(), T0, &row(&[(vm::NET_RX_BYTES, 1000)]));
        assert_eq!(
            meters.read(entity(), T0 + 1_000_000, &row(&[(vm::NET_RX_BYTES, 10)])),
            []
        );
        let later = T0 + 2_000_000 + MAX_RATE_SPAN_US;
        assert_eq!(meters.read(entity(), later, &row(&[(vm::NET_RX_BYTES, 20)])), []);
        let values = meters.read(entity(), later + 1_000_000, &row(&[(vm::NET_RX_BYTES, 25)]));
        assert_eq!(values, [("net_rx_bytes", 5.0)]);
    }

    #[test]
    fn a_sample_that_comes_twice_counts_once() {
        let mut meters = Meters::default();
        let sample = row(&[(vm::STATE, 1)]);
        assert_eq!(meters.read(entity(), T0, &sample).len(), 1);
        assert_eq!(meters.read(entity(), T0, &sample).len(), 0);
    }
}
