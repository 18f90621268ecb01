//! Where the loops hand in what they took.

use super::clock::{Reading, Watch};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use vmscope_model::Record;

/// Times that are not given to another record: half an hour's at the default intervals.
const RECENT_TIMES: usize = 4_096;

/// The receiver of records is gone: sampling has no purpose any more.
#[derive(Debug, Clone, Copy)]
pub(super) struct Closed;

/// The way into the buffer, shared by the loops.
///
/// A record's time is the wall clock's when it was taken, whatever the clock did before: the order of records is that in
/// which they are handed in, not that of their times. No two of the [`RECENT_TIMES`] newest have the same one. A clock that was
/// set and a host that was suspended are told as gaps of the next record, whichever loop it comes from.
#[derive(Debug, Clone)]
pub(super) struct Outlet {
    sink: mpsc::Sender<Record>,
    times: Arc<Mutex<Times>>,
}

#[derive(Debug)]
struct Times {
    watch: Watch,
    recent: VecDeque<i64>,
}

impl Times {
    /// `time_us`, or the first microsecond after it that no recent record has.
    fn give(&mut self, mut time_us: i64) -> i64 {
        while self.recent.contains(&time_us) {
            time_us += 1;
        }
        if self.recent.len() == RECENT_TIMES {
            self.recent.pop_front();
        }
        self.recent.push_back(time_us);
        time_us
    }
}

impl Outlet {
    pub(super) fn new(sink: mpsc::Sender<Record>) -> Self {
        let times = Times {
            watch: Watch::new(Reading::now()),
            recent: VecDeque::new(),
        };
        Self {
            sink,
            times: Arc::new(Mutex::new(times)),
        }
    }

    /// Hands in a record, unless it says nothing; one without a time gets that of the moment. Waits while the buffer is
    /// behind; the ticks that pass meanwhile become a gap of the loop that waits.
    pub(super) async fn send(&self, mut record: Record) -> Result<(), Closed> {
        let tick = &record.tick;
        if tick.tables.is_empty() && tick.facts.is_empty() && tick.gaps.is_empty() {
            return Ok(());
        }
        let entered_us = super::clock::now_us();
        let permit = self.sink.reserve().await.map_err(|_| Closed)?;
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let tick = &mut record.tick;
        tick.gaps.extend(times.watch.look(Reading::now()));
        tick.time_us = times.give(if tick.time_us == 0 {
            entered_us
        } else {
            tick.time_us
        });
        permit.send(record);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use vmscope_model::Entity;

    fn record(time_us: i64) -> Record {
        let mut record = Record::default();
        record.push(Entity::Host);
        record.tick.time_us = time_us;
        record
    }

    #[tokio::test]
    async fn no_two_records_have_one_time_whoever_hands_in() {
        let (sink, mut records) = mpsc::channel(200);
        let one = Outlet::new(sink);
        let other = one.clone();
        for outlet in [&one, &other].into_iter().cycle().take(200) {
            outlet.send(record(0)).await.unwrap();
        }
        let mut times = HashSet::new();
        for _ in 0..200 {
            assert!(times.insert(records.recv().await.unwrap().tick.time_us));
        }
    }

    /// Once, times were forced to grow: after the clock was set back by an hour, everything was stamped a microsecond apart
    /// for an hour, and rates were a million times too high.
    #[tokio::test]
    async fn a_record_keeps_the_time_at_which_it_was_read_though_the_clock_went_back() {
        let (sink, mut records) = mpsc::channel(4);
        let outlet = Outlet::new(sink);
        for read_us in [7_200_000_000, 3_600_000_000, 3_601_000_000, 3_600_000_000] {
            outlet.send(record(read_us)).await.unwrap();
        }
        for expected_us in [7_200_000_000, 3_600_000_000, 3_601_000_000, 3_600_000_001] {
            assert_eq!(records.recv().await.unwrap().tick.time_us, expected_us);
        }
    }

    #[tokio::test]
    async fn an_empty_record_is_not_handed_in() {
        let (sink, mut records) = mpsc::channel(1);
        Outlet::new(sink).send(Record::default()).await.unwrap();
        assert!(records.recv().await.is_none());
    }
}
