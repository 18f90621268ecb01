//! The values of one table, column by column.
//!
//! Runs of columns that are alike in presence share a head, `columns << 2 | presence`; a column that only some rows have
//! begins with a bitmap, one bit a row, lowest first. Then come the differences of the values that are there.

use super::cursor::{Cursor, put_signed, put_varint};
use super::{Error, history::Lane};
use crate::Value;

const NONE: u64 = 0;
const ALL: u64 = 1;
const SOME: u64 = 2;

/// Writes the rows that the lane has selected; `values` are theirs, row-major, `lane.width()` a row.
pub(crate) fn write(lane: &mut Lane, values: &[Value], out: &mut Vec<u8>) {
    let width = lane.width();
    let presence: Vec<u64> = (0..width).map(|column| presence(values, column, width)).collect();
    let mut column = 0;
    for run in presence.chunk_by(|a, b| a == b) {
        put_varint(out, u64::try_from(run.len()).unwrap_or(u64::MAX) << 2 | run[0]);
        for _ in run {
            if run[0] != NONE {
                write_column(lane, values, column, run[0], out);
            }
            column += 1;
        }
    }
}

fn presence(values: &[Value], column: usize, width: usize) -> u64 {
    let mut rows = values
        .iter()
        .skip(column)
        .step_by(width)
        .map(|value| value.get().is_some());
    match rows.next() {
        Some(true) if rows.all(|present| present) => ALL,
        Some(false) if !rows.any(|present| present) => NONE,
        None => NONE,
        _ => SOME,
    }
}

fn write_column(lane: &mut Lane, values: &[Value], column: usize, presence: u64, out: &mut Vec<u8>) {
    let width = lane.width();
    let column_values = || {
        values
            .iter()
            .skip(column)
            .step_by(width)
            .map(|value| value.get())
            .enumerate()
    };
    if presence == SOME {
        let start = out.len();
        out.resize(start + lane.rows().len().div_ceil(8), 0);
        for (row, _) in column_values().filter(|(_, value)| value.is_some()) {
            out[start + row / 8] |= 1 << (row % 8);
        }
    }
    for (row, value) in column_values() {
        if let Some(value) = value {
            put_signed(out, lane.advance(row, column, value));
        }
    }
}

/// Reads the rows that the lane has selected into `values`, row-major, `width` columns of this build a row.
pub(crate) fn read(
    lane: &mut Lane,
    cursor: &mut Cursor<'_>,
    values: &mut [Value],
    width: usize,
) -> Result<(), Error> {
    let mut column = 0;
    while column < lane.width() {
        let head = cursor.varint()?;
        let run = usize::try_from(head >> 2)
            .ok()
            .filter(|&run| run > 0 && run <= lane.width() - column);
        let end = column
            + run.ok_or(Error::Invalid {
                what: "run of columns",
            })?;
        while column < end {
            read_column(lane, cursor, column, head & 3, values, width)?;
            column += 1;
        }
    }
    Ok(())
}

fn read_column(
    lane: &mut Lane,
    cursor: &mut Cursor<'_>,
    column: usize,
    presence: u64,
    values: &mut [Value],
    width: usize,
) -> Result<(), Error> {
    let target = lane.target(column);
    let (last, bases) = lane.parts();
    let bitmap = match presence {
        NONE => return Ok(()),
        ALL => None,
        SOME => Some(cursor.take(bases.len().div_ceil(8))?),
        _ => {
            return Err(Error::Invalid {
                what: "presence of a column",
            });
        }
    };
    for (row, base) in bases.iter().enumerate() {
        if bitmap.is_some_and(|bits| bits[row / 8] >> (row % 8) & 1 == 0) {
            continue;
        }
        let cell = &mut last[base + column];
        *cell = cell.wrapping_add(cursor.signed()?);
        if let Some(target) = target {
            values[row * width + target] = Value::new(*cell);
        }
    }
    Ok(())
}
