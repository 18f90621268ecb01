//! The loss ledger: each tick that got a number is stored, or stands in exactly one gap with a range of positions.
//!
//! Two sources. From the numbers that arrive, the collector sees by itself what is missing: a hole in a run, and whatever a
//! run may have taken after its last stored tick when the next run begins. These entries are provisional
//! ([`Cause::PROVISIONAL`]). What the agent says it has lost is final: it takes its part out of provisional entries and is
//! entered by itself beyond the mark. What lies at or below the mark and in no provisional entry is stored or entered
//! already, so that the same account may come any number of times.
//!
//! This rests on the order of positions: a run's ticks come before those of the next one ([`super::marks`]).

use super::marks::{Finding, Marks};
use super::range::{Range, intervals};
use crate::{Error, instant};
use rangemap::RangeInclusiveSet;
use tokio_postgres::Transaction;
use vmscope_model::{Cause, Fact, Gap, Group, Position, RunFacts, Span, Tick};

/// An entry of the ledger that has a range.
#[derive(Debug, Clone, Copy)]
struct Entry {
    id: i64,
    range: Range,
    from_us: i64,
    to_us: i64,
    provisional: bool,
}

/// What is to be entered.
#[derive(Debug, Clone, Copy)]
struct New<'a> {
    range: Range,
    cause: &'a str,
    from_us: i64,
    to_us: i64,
}

/// Enters what the marks found missing, then how runs began, then what the agents say they lost.
pub(super) async fn write(
    transaction: &Transaction<'_>,
    marks: &Marks,
    findings: &[Finding],
    ticks: &[(i32, &Tick)],
) -> Result<(), Error> {
    for finding in findings {
        match *finding {
            Finding::Hole {
                host_id,
                lost,
                from_us,
                to_us,
            } => {
                let hole = New {
                    range: Range::of(lost),
                    cause: Cause::Unexplained.name(),
                    from_us,
                    to_us,
                };
                enter_provisional(transaction, host_id, hole).await?;
            }
            Finding::Start {
                host_id,
                epoch,
                time_us,
            } => enter_absence(transaction, host_id, epoch, time_us).await?,
        }
    }
    for (host_id, tick) in ticks {
        for fact in &tick.facts {
            if let Fact::Run(run) = fact {
                name_absence(transaction, *host_id, run).await?;
            }
        }
        for gap in &tick.gaps {
            if let Some(lost) = gap.lost {
                enter_account(transaction, *host_id, marks, gap, lost).await?;
            }
        }
    }
    Ok(())
}

/// The time between the last stored tick of the run before `epoch` and the first tick of `epoch`.
async fn enter_absence(
    transaction: &Transaction<'_>,
    host_id: i32,
    epoch: i64,
    time_us: i64,
) -> Result<(), Error> {
    const RUN_BEFORE: &str = "\
-- run_before
SELECT epoch, sequence, (extract(epoch FROM last_tick_at) * 1000000)::int8 FROM ingest_progress
WHERE host_id = $1 AND epoch < $2 AND sequence > 0 ORDER BY epoch DESC LIMIT 1";
    let row = transaction
        .query_opt(RUN_BEFORE, &[&host_id, &epoch])
        .await
        .map_err(Error::statement("run_before"))?;
    let Some(row) = row else { return Ok(()) };
    let (before, sequence, last_us): (i64, i64, Option<i64>) = (row.get(0), row.get(1), row.get(2));
    let absence = New {
        range: Range {
            first: position(before, sequence + 1),
            last: position(epoch, 0),
        },
        cause: Cause::AgentDown.name(),
        from_us: last_us.unwrap_or(time_us),
        to_us: time_us,
    };
    enter_provisional(transaction, host_id, absence).await
}

/// Enters what no other entry has of `new`.
async fn enter_provisional(transaction: &Transaction<'_>, host_id: i32, new: New<'_>) -> Result<(), Error> {
    let known = overlapping(transaction, host_id, new.range).await?;
    let mut pieces = vec![new];
    for entry in &known {
        pieces = pieces
            .into_iter()
            .flat_map(|piece| split(piece, entry.range, entry.from_us, entry.to_us))
            .collect();
    }
    insert(transaction, host_id, &pieces).await
}

/// Says why a run did not follow the one before at once.
async fn name_absence(transaction: &Transaction<'_>, host_id: i32, run: &RunFacts) -> Result<(), Error> {
    const NAME_ABSENCE: &str = "\
-- name_absence
UPDATE gap SET cause = $3 WHERE host_id = $1 AND last_epoch = $2 AND last_sequence = 0 AND cause = $4";
    let epoch = i64::try_from(run.epoch).unwrap_or(i64::MAX);
    transaction
        .execute(
            NAME_ABSENCE,
            &[&host_id, &epoch, &run.before.name(), &Cause::AgentDown.name()],
        )
        .await
        .map_err(Error::statement("name_absence"))?;
    Ok(())
}

/// Enters what an agent says it has lost.
async fn enter_account(
    transaction: &Transaction<'_>,
    host_id: i32,
    marks: &Marks,
    gap: &Gap,
    lost: Span,
) -> Result<(), Error> {
    let known = overlapping(transaction, host_id, Range::of(lost)).await?;
    let mark = marks.stored(transaction, host_id, lost.epoch).await?;
    let mut missing = RangeInclusiveSet::new();
    if mark < lost.last {
        missing.insert(lost.first.max(mark + 1)..=lost.last);
    }
    let (provisional, settled): (Vec<&Entry>, Vec<&Entry>) =
        known.iter().partition(|entry| entry.provisional);
    missing.extend(
        provisional
            .iter()
            .filter_map(|entry| intervals(entry.range, lost)),
    );
    for interval in settled.iter().filter_map(|entry| intervals(entry.range, lost)) {
        missing.remove(interval);
    }
    for entry in provisional {
        let whole = New {
            range: entry.range,
            cause: "",
            from_us: entry.from_us,
            to_us: entry.to_us,
        };
        let rest: Vec<_> = split(whole, Range::of(lost), gap.from_us, gap.to_us).collect();
        replace(transaction, host_id, entry.id, &rest).await?;
    }
    let entered: Vec<_> = missing
        .iter()
        .map(|interval| New {
            range: Range::of(Span {
                epoch: lost.epoch,
                first: *interval.start(),
                last: *interval.end(),
            }),
            cause: gap.cause.name(),
            from_us: gap.from_us,
            to_us: gap.to_us,
        })
        .collect();
    insert(transaction, host_id, &entered).await
}

/// What is left of `new` to either side of `taken`, whose times bound the pieces.
fn split(new: New<'_>, taken: Range, from_us: i64, to_us: i64) -> impl Iterator<Item = New<'_>> {
    let (before, after) = new.range.without(taken);
    let before = before.map(|range| New {
        range,
        to_us: from_us.clamp(new.from_us, new.to_us),
        ..new
    });
    let after = after.map(|range| New {
        range,
        from_us: to_us.clamp(new.from_us, new.to_us),
        ..new
    });
    before.into_iter().chain(after)
}

/// The host's entries that share a position with `range`.
async fn overlapping(transaction: &Transaction<'_>, host_id: i32, range: Range) -> Result<Vec<Entry>, Error> {
    const OVERLAPPING_GAPS: &str = "\
-- overlapping_gaps
SELECT id, first_epoch, first_sequence, last_epoch, last_sequence,
    (extract(epoch FROM from_at) * 1000000)::int8, (extract(epoch FROM to_at) * 1000000)::int8, cause = ANY($6)
FROM gap
WHERE host_id = $1 AND first_epoch IS NOT NULL
    AND (last_epoch, last_sequence) >= ($2::int8, $3::int8) AND (first_epoch, first_sequence) <= ($4::int8, $5::int8)
ORDER BY first_epoch, first_sequence";
    let [first, last] = [range.first, range.last].map(columns);
    let provisional = Cause::PROVISIONAL.map(Cause::name);
    let rows = transaction
        .query(
            OVERLAPPING_GAPS,
            &[
                &host_id,
                &first.0,
                &first.1,
                &last.0,
                &last.1,
                &provisional.as_slice(),
            ],
        )
        .await
        .map_err(Error::statement("overlapping_gaps"))?;
    let entry = |row: &tokio_postgres::Row| Entry {
        id: row.get(0),
        range: Range {
            first: position(row.get(1), row.get(2)),
            last: position(row.get(3), row.get(4)),
        },
        from_us: row.get(5),
        to_us: row.get(6),
        provisional: row.get(7),
    };
    Ok(rows.iter().map(entry).collect())
}

async fn insert(transaction: &Transaction<'_>, host_id: i32, entries: &[New<'_>]) -> Result<(), Error> {
    const ENTER_GAP: &str = "\
-- enter_gap
INSERT INTO gap (host_id, metric_group, cause, from_at, to_at, ticks, first_epoch, first_sequence, last_epoch, last_sequence)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    for entry in entries {
        let (first, last) = (columns(entry.range.first), columns(entry.range.last));
        let (from, to) = times(entry)?;
        transaction
            .execute(
                ENTER_GAP,
                &[
                    &host_id,
                    &Group::All.name(),
                    &entry.cause,
                    &from,
                    &to,
                    &entry.range.ticks(),
                    &first.0,
                    &first.1,
                    &last.0,
                    &last.1,
                ],
            )
            .await
            .map_err(Error::statement("enter_gap"))?;
    }
    Ok(())
}

/// Puts the pieces that are left of an entry in its place, with its cause.
async fn replace(
    transaction: &Transaction<'_>,
    host_id: i32,
    id: i64,
    rest: &[New<'_>],
) -> Result<(), Error> {
    const TAKE_GAP: &str = "\
-- take_gap
DELETE FROM gap WHERE id = $1 RETURNING cause";
    let row = transaction
        .query_one(TAKE_GAP, &[&id])
        .await
        .map_err(Error::statement("take_gap"))?;
    let cause: &str = row.get(0);
    let rest: Vec<_> = rest.iter().map(|piece| New { cause, ..*piece }).collect();
    insert(transaction, host_id, &rest).await
}

fn times(entry: &New<'_>) -> Result<(jiff::Timestamp, jiff::Timestamp), Error> {
    let from = instant::timestamp(entry.from_us)?;
    // A clock that was set back between the two ends must not make a span that ends before it begins.
    Ok((from, instant::timestamp(entry.to_us)?.max(from)))
}

/// A position of two columns. They hold what was a position before.
const fn position(epoch: i64, sequence: i64) -> Position {
    Position {
        epoch: epoch.cast_unsigned(),
        sequence: sequence.cast_unsigned(),
    }
}

/// A position as two columns: the codec lets nothing larger in.
const fn columns(position: Position) -> (i64, i64) {
    (position.epoch.cast_signed(), position.sequence.cast_signed())
}
