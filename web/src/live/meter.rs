//! Turns what agents count into what people see, one row at a time.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::{Duration, Instant};
use vmscope_model::rate::{self, Sample};
use vmscope_model::{Cause, HostId, Position, Tick, Value, catalogue};
use vmscope_store::entity::Reference;

/// What is remembered of an entity that is gone goes after this time.
pub(super) const FORGET_AFTER: Duration = Duration::from_mins(10);

/// API values by column of the catalogue.
pub(super) type Values = Vec<(usize, f64)>;

/// Where a tick comes from. Ticks of one host are told apart and ordered by it, for clocks may be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) host: HostId,
    pub(super) position: Position,
}

impl Origin {
    /// Whether this tick was there before the other, or is the same: sent twice, by two collectors.
    fn is_stale(&self, last: &Self) -> bool {
        (self.host, self.position.epoch) == (last.host, last.position.epoch)
            && self.position.sequence <= last.position.sequence
    }
}

/// The last counters of every entity.
#[derive(Debug, Default)]
pub(super) struct Meters {
    entities: HashMap<Reference, Meter>,
    /// How often the clock was set of each host of which that is known.
    settings: HashMap<HostId, u64>,
    swept: Option<Instant>,
}

#[derive(Debug)]
struct Meter {
    seen: Instant,
    origin: Origin,
    /// Of its host's clock, when it was last read.
    setting: u64,
    /// In catalogue order.
    columns: Vec<Column>,
}

/// The last measurement of a column, and how long after the one before it was.
#[derive(Debug, Clone, Copy, Default)]
struct Column {
    last: Option<Sample>,
    span_us: Option<i64>,
}

impl Meters {
    /// To be called for each tick before its rows are read: times before and after a setting of the clock don't compare.
    pub(super) fn begin(&mut self, host: HostId, tick: &Tick) {
        if tick.gaps.iter().any(|gap| gap.cause == Cause::ClockStep) {
            *self.settings.entry(host).or_default() += 1;
        }
    }

    /// The API values of a row. One that was read before has none.
    pub(super) fn read(&mut self, entity: Reference, origin: Origin, time_us: i64, row: &[Value]) -> Values {
        let now = Instant::now();
        self.sweep(now);
        let metrics = catalogue::metrics(entity.kind());
        let setting = self.settings.get(&origin.host).copied().unwrap_or_default();
        let new = || Meter {
            seen: now,
            origin,
            setting,
            columns: vec![Column::default(); metrics.len()],
        };
        let meter = match self.entities.entry(entity) {
            Entry::Vacant(place) => place.insert(new()),
            Entry::Occupied(known) if origin.is_stale(&known.get().origin) => return Values::new(),
            Entry::Occupied(known) => known.into_mut(),
        };
        if (meter.origin.host, meter.setting) != (origin.host, setting) {
            *meter = new();
        }
        (meter.seen, meter.origin) = (now, origin);
        let mut values = Values::new();
        let columns = metrics.iter().zip(&mut meter.columns).zip(row).enumerate();
        for (number, ((metric, column), &value)) in columns {
            if value != Value::ABSENT {
                let previous = column.advance((time_us, value));
                let value = rate::api_value(metric, previous, (time_us, value));
                values.extend(value.map(|value| (number, value)));
            }
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

impl Column {
    /// Takes the next measurement; returns the one before, if a rate may span the time between them: it would else be a mean
    /// over a hole.
    fn advance(&mut self, next: Sample) -> Option<Sample> {
        let last = self.last.replace(next)?;
        let span_us = next.0.saturating_sub(last.0);
        let reach_us = rate::reach_us(self.span_us.replace(span_us));
        (span_us <= reach_us).then_some(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vmscope_model::catalogue::vm;
    use vmscope_model::{Gap, Group, Kind, VmId};

    const T0: i64 = 1_700_000_000_000_000;
    const HOST: HostId = HostId(uuid::Uuid::from_u128(2));

    impl Meters {
        /// A row of the tick with this sequence.
        fn take(&mut self, sequence: u64, time_us: i64, row: &[Value]) -> Vec<(&'static str, f64)> {
            let position = Position { epoch: 1, sequence };
            let values = self.read(entity(), Origin { host: HOST, position }, time_us, row);
            let name = |(column, value): (usize, f64)| (catalogue::metrics(Kind::Vm)[column].name, value);
            values.into_iter().map(name).collect()
        }
    }

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
        assert_eq!(meters.take(1, T0, &first), [("state", 1.0)]);
        let second = row(&[(vm::CPU_TIME_NS, 5_500_000_000)]);
        assert_eq!(meters.take(2, T0 + 1_000_000, &second), [("cpu_time_ns", 0.5)]);
    }

    /// Rows of the two cadences alternate: each column looks back at its own last measurement.
    #[test]
    fn a_row_without_a_column_does_not_break_its_rate() {
        let mut meters = Meters::default();
        meters.take(1, T0, &row(&[(vm::DISK_READ_BYTES, 1000)]));
        meters.take(2, T0 + 1_000_000, &row(&[(vm::CPU_TIME_NS, 1)]));
        let values = meters.take(3, T0 + 5_000_000, &row(&[(vm::DISK_READ_BYTES, 6000)]));
        assert_eq!(values, [("disk_read_bytes", 1000.0)]);
    }

    #[test]
    fn no_rate_bridges_a_reset_or_a_hole() {
        let mut meters = Meters::default();
        let mut take =
            |sequence, time_us, bytes| meters.take(sequence, time_us, &row(&[(vm::NET_RX_BYTES, bytes)]));
        take(1, T0, 1000);
        assert_eq!(take(2, T0 + 1_000_000, 10), []);
        let later = T0 + 17_000_001;
        assert_eq!(take(3, later, 20), []);
        assert_eq!(take(4, later + 1_000_000, 25), [("net_rx_bytes", 5.0)]);
    }

    #[test]
    fn an_agent_that_takes_its_time_keeps_its_rates() {
        let mut meters = Meters::default();
        let mut time_us = T0;
        for (sequence, interval_s) in (1..).zip([0, 5, 10, 20, 40, 20]) {
            time_us += interval_s * 1_000_000;
            let bytes = row(&[(vm::DISK_READ_BYTES, (time_us - T0) / 1_000_000)]);
            let values = meters.take(sequence, time_us, &bytes);
            assert_eq!(values.len(), usize::from(sequence > 1), "after {interval_s} s");
        }
    }

    #[test]
    fn a_sample_that_comes_twice_counts_once() {
        let mut meters = Meters::default();
        let sample = row(&[(vm::STATE, 1)]);
        assert_eq!(meters.take(1, T0, &sample).len(), 1);
        assert_eq!(meters.take(1, T0, &sample).len(), 0);
    }

    /// Once, a clock set back by an hour silenced the live charts of its host for an hour.
    #[test]
    fn a_clock_that_was_set_back_silences_nothing_and_invents_no_rate() {
        let mut meters = Meters::default();
        meters.take(1, T0, &row(&[(vm::NET_RX_BYTES, 1_000)]));
        let mut tick = Tick::default();
        tick.gaps.push(Gap {
            vm: None,
            group: Group::All,
            cause: Cause::ClockStep,
            from_us: T0 - 500_000,
            to_us: T0,
            ticks: 0,
            lost: None,
        });
        meters.begin(HOST, &tick);
        let first = row(&[(vm::NET_RX_BYTES, 2_000), (vm::STATE, 1)]);
        assert_eq!(meters.take(2, T0 - 100_000, &first), [("state", 1.0)]);
        let second = row(&[(vm::NET_RX_BYTES, 3_000)]);
        assert_eq!(meters.take(3, T0 + 900_000, &second), [("net_rx_bytes", 1_000.0)]);
    }
}
