//! Where the three loops hand in what they took.

use super::schedule::now_us;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use vmscope_model::Record;

/// The receiver of records is gone: sampling has no purpose any more.
#[derive(Debug, Clone, Copy)]
pub(super) struct Closed;

/// The way into the buffer, shared by the loops. Times grow strictly in the order of handing in, whichever loop it was,
/// so that a time names one record of the host.
#[derive(Debug, Clone)]
pub(super) struct Outlet {
    sink: mpsc::Sender<Record>,
    last_us: Arc<Mutex<i64>>,
}

impl Outlet {
    pub(super) fn new(sink: mpsc::Sender<Record>) -> Self {
        Self {
            sink,
            last_us: Arc::default(),
        }
    }

    /// Stamps and hands in a record, unless it says nothing; one that knows when it was read keeps that time if no later one
    /// was handed in before. Waits while the buffer is behind; the ticks that pass
    /// meanwhile become a gap of the loop that waits.
    pub(super) async fn send(&self, mut record: Record) -> Result<(), Closed> {
        let tick = &record.tick;
        if tick.tables.is_empty() && tick.facts.is_empty() && tick.gaps.is_empty() {
            return Ok(());
        }
        let taken_us = match tick.time_us {
            0 => now_us(),
            read_us => read_us,
        };
        let permit = self.sink.reserve().await.map_err(|_| Closed)?;
        let mut last_us = self.last_us.lock().unwrap_or_else(PoisonError::into_inner);
        *last_us = taken_us.max(*last_us + 1);
        record.tick.time_us = *last_us;
        permit.send(record);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vmscope_model::Entity;

    #[tokio::test]
    async fn times_grow_strictly_whoever_hands_in() {
        let (sink, mut records) = mpsc::channel(200);
        let one = Outlet::new(sink);
        let other = one.clone();
        for outlet in [&one, &other].into_iter().cycle().take(200) {
            let mut record = Record::default();
            record.push(Entity::Host);
            outlet.send(record).await.unwrap();
        }
        let mut last_us = 0;
        for _ in 0..200 {
            let time_us = records.recv().await.unwrap().tick.time_us;
            assert!(time_us > last_us);
            last_us = time_us;
        }
    }

    /// On a busy host a reading may wait for half a second to be handed in: rates over that time were wrong by as much.
    #[tokio::test]
    async fn a_record_keeps_the_time_at_which_it_was_read() {
        let (sink, mut records) = mpsc::channel(2);
        let outlet = Outlet::new(sink);
        for read_us in [1_000_000, 900_000] {
            let mut record = Record::default();
            record.push(Entity::Host);
            record.tick.time_us = read_us;
            outlet.send(record).await.unwrap();
        }
        assert_eq!(records.recv().await.unwrap().tick.time_us, 1_000_000);
        assert_eq!(records.recv().await.unwrap().tick.time_us, 1_000_001);
    }

    #[tokio::test]
    async fn an_empty_record_is_not_handed_in() {
        let (sink, mut records) = mpsc::channel(1);
        Outlet::new(sink).send(Record::default()).await.unwrap();
        assert!(records.recv().await.is_none());
    }
}
