//! Progress marks: what is stored already, and which ticks are new.

use super::{Committed, HostBatch};
use crate::{Error, instant};
use jiff::Timestamp;
use std::collections::BTreeMap;
use tokio_postgres::Transaction;
use vmscope_model::{Position, Tick};

/// One agent run: (host id, epoch as the database holds it).
type Run = (i32, i64);

/// A mark that grows while ticks are taken.
#[derive(Debug, Clone, Copy)]
struct Mark {
    sequence: i64,
    last_tick_us: Option<i64>,
}

/// The marks of the runs in a transaction, locked in the database until it ends.
#[derive(Debug)]
pub(super) struct Marks(BTreeMap<Run, Mark>);

/// A number of the model in a column of signed integers.
fn signed(what: &'static str, number: u64) -> Result<i64, Error> {
    i64::try_from(number).map_err(|_| Error::Range {
        what,
        number: number.into(),
    })
}

impl Marks {
    /// Reads and locks the marks of all runs in `batches`, making those that are missing.
    ///
    /// Locks are taken in the order of (host, epoch), so that writers which share hosts wait for each other and never
    /// in a circle.
    pub(super) async fn lock(transaction: &Transaction<'_>, batches: &[HostBatch]) -> Result<Self, Error> {
        // The update that changes nothing takes the lock, and returns the row that another writer has just committed.
        const LOCK_MARKS: &str = "\
-- lock_marks
INSERT INTO ingest_progress AS p (host_id, epoch, sequence)
SELECT host_id, epoch, 0 FROM unnest($1::int4[], $2::int8[]) AS r (host_id, epoch) ORDER BY host_id, epoch
ON CONFLICT (host_id, epoch) DO UPDATE SET sequence = p.sequence
RETURNING host_id, epoch, sequence";
        let mut runs = Vec::with_capacity(batches.len());
        for batch in batches {
            runs.push((batch.host_id, signed("epoch", batch.epoch)?));
        }
        runs.sort_unstable();
        runs.dedup();
        let (hosts, epochs): (Vec<i32>, Vec<i64>) = runs.into_iter().unzip();
        let rows = transaction
            .query(LOCK_MARKS, &[&hosts, &epochs])
            .await
            .map_err(Error::statement("lock_marks"))?;
        let mark = |row: &tokio_postgres::Row| {
            (
                (row.get(0), row.get(1)),
                Mark {
                    sequence: row.get(2),
                    last_tick_us: None,
                },
            )
        };
        Ok(Self(rows.iter().map(mark).collect()))
    }

    /// The ticks above the marks, which move on with them.
    pub(super) fn take_new<'a>(
        &mut self,
        batches: &'a [HostBatch],
        committed: &mut Committed,
    ) -> Result<Vec<(i32, &'a Tick)>, Error> {
        let mut new = Vec::new();
        for batch in batches {
            let run = (batch.host_id, signed("epoch", batch.epoch)?);
            let mark = self.0.get_mut(&run).ok_or(Error::Missing {
                operation: "lock_marks",
            })?;
            for (sequence, tick) in &batch.ticks {
                let sequence = signed("sequence", *sequence)?;
                if sequence <= mark.sequence {
                    committed.duplicates += 1;
                    continue;
                }
                mark.sequence = sequence;
                mark.last_tick_us = mark.last_tick_us.max(Some(tick.time_us));
                committed.ticks += 1;
                new.push((batch.host_id, tick));
            }
        }
        Ok(new)
    }

    /// Writes the marks that moved.
    pub(super) async fn store(&self, transaction: &Transaction<'_>) -> Result<(), Error> {
        const STORE_MARKS: &str = "\
-- store_marks
UPDATE ingest_progress p SET sequence = r.sequence, last_tick_at = greatest(p.last_tick_at, r.last_tick_at)
FROM unnest($1::int4[], $2::int8[], $3::int8[], $4::timestamptz[]) AS r (host_id, epoch, sequence, last_tick_at)
WHERE p.host_id = r.host_id AND p.epoch = r.epoch";
        let (mut hosts, mut epochs, mut sequences, mut times) =
            (vec![], vec![], vec![], Vec::<Timestamp>::new());
        for (&(host_id, epoch), mark) in &self.0 {
            let Some(last_tick_us) = mark.last_tick_us else {
                continue;
            };
            hosts.push(host_id);
            epochs.push(epoch);
            sequences.push(mark.sequence);
            times.push(instant::timestamp(last_tick_us)?);
        }
        transaction
            .execute(STORE_MARKS, &[&hosts, &epochs, &sequences, &times])
            .await
            .map_err(Error::statement("store_marks"))?;
        Ok(())
    }

    /// The marks as they stand, for the caller.
    pub(super) fn positions(&self) -> Vec<(i32, Position)> {
        let position = |(&(host_id, epoch), mark): (&Run, &Mark)| {
            let position = Position {
                epoch: epoch.cast_unsigned(),
                sequence: mark.sequence.cast_unsigned(),
            };
            (host_id, position)
        };
        self.0.iter().map(position).collect()
    }
}
