//! One tick: the entities it introduces, its time, facts, gaps, and a table a kind.

use super::cursor::{Cursor, put_count, put_signed, put_varint};
use super::history::{History, check_text};
use super::{Error, MAX_ENTITIES, MAX_FRAME_NOTES, MAX_FRAME_ROWS, columns, portable};
use crate::{Entity, Fact, Gap, Kind, Span, Table, Tick, Value, catalogue};

/// In place of a number of rows: the kind has no table.
const NO_TABLE: u64 = 0;
/// In place of a number of rows: the same rows as in the kind's newest table.
const SAME_ROWS: u64 = 1;
/// Added to a number of rows.
const ROWS_BASE: usize = 2;

/// What one frame may still hold.
pub(crate) struct Budget {
    rows: usize,
    notes: usize,
}

impl Budget {
    /// A whole frame.
    pub(crate) const fn new() -> Self {
        Self {
            rows: MAX_FRAME_ROWS,
            notes: MAX_FRAME_NOTES,
        }
    }

    fn take_rows(&mut self, rows: usize) -> Result<(), Error> {
        self.rows = self.rows.checked_sub(rows).ok_or(Error::TooLarge {
            what: "number of rows",
            limit: MAX_FRAME_ROWS,
        })?;
        Ok(())
    }

    fn take_notes(&mut self, notes: usize) -> Result<(), Error> {
        self.notes = self.notes.checked_sub(notes).ok_or(Error::TooLarge {
            what: "number of facts and gaps",
            limit: MAX_FRAME_NOTES,
        })?;
        Ok(())
    }
}

/// A tick's tables in wire order, each with its rows' numbers in the session.
pub(crate) type Numbered<'a> = [Option<(&'a Table, Vec<u32>)>; Kind::ALL.len()];

/// Numbers the rows of a tick, `number` being given what its tables hold. Checks the tables' form.
pub(crate) fn number_rows(
    tick: &Tick,
    mut number: impl FnMut(u32) -> Result<u32, Error>,
) -> Result<Numbered<'_>, Error> {
    let mut numbered = Numbered::default();
    for table in &tick.tables {
        let width = catalogue::metrics(table.kind).len();
        if table.values.len() != table.entities.len() * width {
            return Err(Error::Invalid {
                what: "table: rows and values do not fit",
            });
        }
        let rows = table
            .entities
            .iter()
            .map(|&entity| number(entity))
            .collect::<Result<_, _>>()?;
        if numbered[table.kind as usize].replace((table, rows)).is_some() {
            return Err(Error::Invalid {
                what: "tick: two tables of one kind",
            });
        }
    }
    Ok(numbered)
}

/// Writes a tick. The history knows the newcomers already; on failure it must be restored.
pub(crate) fn write(
    out: &mut Vec<u8>,
    history: &mut History,
    newcomers: &[&Entity],
    tick: &Tick,
    numbered: Numbered<'_>,
    budget: &mut Budget,
) -> Result<(), Error> {
    put_count(out, newcomers.len());
    for &entity in newcomers {
        portable::write(entity, out)?;
    }
    put_signed(out, tick.time_us.wrapping_sub(history.time_us));
    history.time_us = tick.time_us;
    budget.take_notes(tick.facts.len() + tick.gaps.len())?;
    put_count(out, tick.facts.len());
    for fact in &tick.facts {
        check_fact(fact)?;
        portable::write(fact, out)?;
    }
    put_count(out, tick.gaps.len());
    for gap in &tick.gaps {
        check_gap(gap)?;
        portable::write(gap, out)?;
    }
    for (kind, table) in Kind::ALL.into_iter().zip(numbered) {
        match table {
            Some((table, rows)) if !rows.is_empty() => {
                budget.take_rows(rows.len())?;
                write_rows(out, history, kind, rows)?;
                columns::write(history.lane(kind), &table.values, out);
            }
            _ => put_varint(out, NO_TABLE),
        }
    }
    Ok(())
}

fn write_rows(out: &mut Vec<u8>, history: &mut History, kind: Kind, rows: Vec<u32>) -> Result<(), Error> {
    if history.lane(kind).rows() == rows {
        put_varint(out, SAME_ROWS);
        return Ok(());
    }
    put_count(out, rows.len() + ROWS_BASE);
    let mut before = 0;
    for &row in &rows {
        put_signed(out, i64::from(row) - before);
        before = i64::from(row);
    }
    history.select(kind, rows)
}

/// Reads a tick and adds the entities that it introduces to `entities`.
pub(crate) fn read(
    cursor: &mut Cursor<'_>,
    history: &mut History,
    entities: &mut Vec<Entity>,
    budget: &mut Budget,
) -> Result<Tick, Error> {
    for _ in 0..cursor.count("number of entities", MAX_ENTITIES)? {
        let entity = cursor.portable()?;
        history.admit(&entity)?;
        entities.push(entity);
    }
    history.time_us = history.time_us.wrapping_add(cursor.signed()?);
    let mut tick = Tick {
        time_us: history.time_us,
        ..Tick::default()
    };
    for _ in 0..read_notes(cursor, budget)? {
        let fact = cursor.portable()?;
        check_fact(&fact)?;
        tick.facts.push(fact);
    }
    for _ in 0..read_notes(cursor, budget)? {
        let gap = cursor.portable()?;
        check_gap(&gap)?;
        tick.gaps.push(gap);
    }
    for kind in Kind::ALL {
        if read_rows(cursor, history, kind)? {
            tick.tables.push(read_table(cursor, history, kind, budget)?);
        }
    }
    Ok(tick)
}

fn read_notes(cursor: &mut Cursor<'_>, budget: &mut Budget) -> Result<usize, Error> {
    let notes = cursor.count("number of facts and gaps", MAX_FRAME_NOTES)?;
    budget.take_notes(notes)?;
    Ok(notes)
}

/// Selects the rows of the kind's table; false if there is none.
fn read_rows(cursor: &mut Cursor<'_>, history: &mut History, kind: Kind) -> Result<bool, Error> {
    let head = cursor.count("number of rows", MAX_FRAME_ROWS + ROWS_BASE)?;
    let Some(count) = head.checked_sub(ROWS_BASE) else {
        // What is below ROWS_BASE and isn't NO_TABLE is SAME_ROWS.
        return Ok(head != 0);
    };
    let mut rows = Vec::new();
    let mut before = 0_i64;
    for _ in 0..count {
        before = before.wrapping_add(cursor.signed()?);
        rows.push(u32::try_from(before).map_err(|_| Error::Invalid {
            what: "entity of a row",
        })?);
    }
    history.select(kind, rows)?;
    Ok(true)
}

fn read_table(
    cursor: &mut Cursor<'_>,
    history: &mut History,
    kind: Kind,
    budget: &mut Budget,
) -> Result<Table, Error> {
    let lane = history.lane(kind);
    let width = catalogue::metrics(kind).len();
    if lane.rows().is_empty() {
        return Err(Error::Invalid {
            what: "table: it has no rows",
        });
    }
    budget.take_rows(lane.rows().len())?;
    let entities = lane.rows().to_vec();
    let mut values = vec![Value::ABSENT; entities.len() * width];
    columns::read(lane, cursor, &mut values, width)?;
    Ok(Table {
        kind,
        entities,
        values,
    })
}

fn check_fact(fact: &Fact) -> Result<(), Error> {
    match fact {
        Fact::Host(host) => {
            let texts = [
                &host.name,
                &host.os,
                &host.kernel,
                &host.cpu_model,
                &host.hypervisor,
                &host.agent_version,
            ];
            texts.into_iter().try_for_each(|text| check_text(text))
        }
        Fact::Vm(vm) => check_text(&vm.name),
        Fact::Run(_) => Ok(()),
        Fact::Guest(facts) => {
            if let Some((what, limit)) = facts.guest.excess() {
                return Err(Error::TooLarge { what, limit });
            }
            facts.guest.texts().try_for_each(|text| check_text(text))
        }
    }
}

/// A span that no database could hold, or that ends before it begins, was not written by an agent.
fn check_gap(gap: &Gap) -> Result<(), Error> {
    let fits = |number| i64::try_from(number).is_ok();
    match gap.lost {
        Some(Span { epoch, first, last }) if first > last || first == 0 || !fits(epoch) || !fits(last) => {
            Err(Error::Invalid {
                what: "span of a gap",
            })
        }
        _ => Ok(()),
    }
}
