//! Progress marks: what is stored already, and which ticks are new.

use super::{Committed, HostBatch};
use crate::{Error, instant};
use jiff::Timestamp;
use std::collections::BTreeMap;
use tokio_postgres::Transaction;
use vmscope_model::{Cause, Position, Span, Tick};

/// One agent run: (host id, epoch as the database holds it).
type Run = (i32, i64);

/// A mark that grows while ticks are taken.
#[derive(Debug, Clone, Copy)]
struct Mark {
    sequence: i64,
    /// The latest time of the ticks taken here.
    last_tick_us: Option<i64>,
    /// The earliest moment that the ticks taken here tell anything new of.
    dirty_us: Option<i64>,
    /// Time of the last tick, taken here or before.
    previous_us: Option<i64>,
}

/// What a transaction is to write.
#[derive(Debug)]
pub(super) struct Taken<'a> {
    /// (host id, tick), each above its mark.
    pub(super) ticks: Vec<(i32, &'a Tick)>,
    /// What their numbers leave out.
    pub(super) findings: Vec<Finding>,
}

/// What the numbers of the ticks say about missing ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    /// The first tick of a run.
    Start { host_id: i32, epoch: i64, time_us: i64 },
    /// Numbers that were left out within a run, between two times.
    Hole {
        host_id: i32,
        lost: Span,
        from_us: i64,
        to_us: i64,
    },
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

impl Mark {
    /// Moves on to a tick; says whether it begins a run, and which numbers it leaves out.
    fn take(
        &mut self,
        (host_id, epoch): Run,
        sequence: i64,
        tick: &Tick,
    ) -> impl Iterator<Item = Finding> + use<> {
        let time_us = tick.time_us;
        let start = (self.sequence == 0).then_some(Finding::Start {
            host_id,
            epoch,
            time_us,
        });
        let hole = (sequence > self.sequence + 1).then(|| Finding::Hole {
            host_id,
            lost: Span {
                epoch: epoch.cast_unsigned(),
                first: self.sequence.cast_unsigned() + 1,
                last: sequence.cast_unsigned() - 1,
            },
            from_us: self.previous_us.unwrap_or(time_us),
            to_us: time_us,
        });
        self.sequence = sequence;
        self.last_tick_us = self.last_tick_us.max(Some(time_us));
        let dirty_us = dirty_us(tick);
        self.dirty_us = Some(self.dirty_us.map_or(dirty_us, |before| before.min(dirty_us)));
        self.previous_us = Some(time_us);
        start.into_iter().chain(hole)
    }
}

/// From when on rollups must look again because of a tick: its time, or where a span begins in which the host's clock was
/// set, because rates go out there that were in.
fn dirty_us(tick: &Tick) -> i64 {
    let set = tick.gaps.iter().filter(|gap| gap.cause == Cause::ClockStep);
    set.map(|gap| gap.from_us).fold(tick.time_us, i64::min)
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
RETURNING host_id, epoch, sequence, (extract(epoch FROM last_tick_at) * 1000000)::int8";
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
                    dirty_us: None,
                    previous_us: row.get(3),
                },
            )
        };
        Ok(Self(rows.iter().map(mark).collect()))
    }

    /// The ticks above the marks, which move on with them, and what their numbers leave out.
    pub(super) fn take_new<'a>(
        &mut self,
        batches: &'a [HostBatch],
        committed: &mut Committed,
    ) -> Result<Taken<'a>, Error> {
        let (mut new, mut findings) = (Vec::new(), Vec::new());
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
                findings.extend(mark.take(run, sequence, tick));
                committed.ticks += 1;
                new.push((batch.host_id, tick));
            }
        }
        Ok(Taken { ticks: new, findings })
    }

    /// The highest stored sequence of a run, 0 for none.
    pub(super) async fn stored(
        &self,
        transaction: &Transaction<'_>,
        host_id: i32,
        epoch: u64,
    ) -> Result<u64, Error> {
        const STORED: &str = "\
-- stored
SELECT sequence FROM ingest_progress WHERE host_id = $1 AND epoch = $2";
        let epoch = signed("epoch", epoch)?;
        if let Some(mark) = self.0.get(&(host_id, epoch)) {
            return Ok(mark.sequence.cast_unsigned());
        }
        let row = transaction
            .query_opt(STORED, &[&host_id, &epoch])
            .await
            .map_err(Error::statement("stored"))?;
        Ok(row.map_or(0, |row| row.get::<_, i64>(0).cast_unsigned()))
    }

    /// Writes the marks that moved, and from when on their hosts' hours have to be made anew.
    pub(super) async fn store(&self, transaction: &Transaction<'_>) -> Result<(), Error> {
        const STORE_MARKS: &str = "\
-- store_marks
UPDATE ingest_progress p SET sequence = r.sequence, last_tick_at = greatest(p.last_tick_at, r.last_tick_at),
    dirty_from = least(p.dirty_from, r.dirty_from)
FROM unnest($1::int4[], $2::int8[], $3::int8[], $4::timestamptz[], $5::timestamptz[])
    AS r (host_id, epoch, sequence, last_tick_at, dirty_from)
WHERE p.host_id = r.host_id AND p.epoch = r.epoch";
        let (mut hosts, mut epochs, mut sequences) = (vec![], vec![], vec![]);
        let (mut times, mut dirty) = (Vec::<Timestamp>::new(), Vec::<Timestamp>::new());
        for (&(host_id, epoch), mark) in &self.0 {
            let Some((last_tick_us, dirty_us)) = mark.last_tick_us.zip(mark.dirty_us) else {
                continue;
            };
            hosts.push(host_id);
            epochs.push(epoch);
            sequences.push(mark.sequence);
            times.push(instant::timestamp(last_tick_us)?);
            dirty.push(instant::timestamp(dirty_us)?);
        }
        transaction
            .execute(STORE_MARKS, &[&hosts, &epochs, &sequences, &times, &dirty])
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
