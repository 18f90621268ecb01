//! What the parts say, put together on one axis.

use super::frame::Frame;
use super::parts::{Part, Span};
use super::{Function, Query, Step, Tier, Values, metric, raw, rolled};
use crate::Error;
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;
use tokio_postgres::types::ToSql;
use tokio_postgres::{GenericClient, Row};
use vmscope_model::metric::Behaviour;

/// One value of one part.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cell {
    /// The thing, by its place in the query.
    pub(super) entity: usize,
    /// The metric, by its place in the query.
    pub(super) metric: usize,
    /// A moment in its step.
    pub(super) time: Timestamp,
    /// The value.
    pub(super) value: f64,
    /// How much it counts beside another one of the same step.
    pub(super) weight: f64,
}

/// The axis, and of each thing its values.
pub(super) async fn read(
    client: &impl GenericClient,
    query: &Query,
    frame: &Frame,
    parts: &[Part],
) -> Result<(Vec<i64>, Vec<Values>), Error> {
    let place: HashMap<i32, usize> = query.entities.iter().copied().zip(0..).collect();
    if query.metrics.is_empty() {
        return Ok((frame.times_ms(), vec![Vec::new(); query.entities.len()]));
    }
    let mut grid = Grid::new(query, frame)?;
    for part in parts {
        let cells = cells(client, query, frame, part, &place).await?;
        if frame.step == Step::Raw {
            return samples(query, &cells);
        }
        for cell in cells {
            grid.add(frame, cell);
        }
    }
    Ok((frame.times_ms(), grid.into_values()))
}

/// What one part says.
async fn cells(
    client: &impl GenericClient,
    query: &Query,
    frame: &Frame,
    part: &Part,
    place: &HashMap<i32, usize>,
) -> Result<Vec<Cell>, Error> {
    let of = |pick: fn(&Span) -> Timestamp| -> Vec<Timestamp> { part.spans.iter().map(pick).collect() };
    let entities: Vec<i32> = part.spans.iter().map(|span| span.entity_id).collect();
    let hosts: Vec<i32> = part.spans.iter().map(|span| span.host_id).collect();
    let (since, until) = (of(|span| span.from), of(|span| span.to));
    let (Some(first), Some(last)) = (since.iter().min().copied(), until.iter().max().copied()) else {
        return Ok(Vec::new());
    };
    if part.tier != Tier::Raw {
        let statement = rolled::statement(query.kind, part.tier, &query.metrics, frame, query.function)?;
        let parameters: [&(dyn ToSql + Sync); 5] = [&entities, &since, &until, &first, &last];
        let rows = client
            .query(&statement, &parameters)
            .await
            .map_err(Error::statement("history_rolled"))?;
        return Ok(rows.iter().flat_map(|row| wide(row, query, place)).collect());
    }
    // One more than allowed tells that there is too much; steps have been counted before.
    let limit = i64::try_from(query.max_values)
        .unwrap_or(i64::MAX)
        .saturating_add(1);
    let lookback = SignedDuration::from_secs(raw::LOOKBACK_S.into());
    let earliest = first.saturating_sub(lookback).unwrap_or(first);
    let statement = raw::statement(query.kind, &query.metrics, frame, query.function, limit)?;
    let parameters: [&(dyn ToSql + Sync); 6] = [&entities, &hosts, &since, &until, &earliest, &last];
    let rows = client
        .query(&statement, &parameters)
        .await
        .map_err(Error::statement("history_raw"))?;
    Ok(rows.iter().filter_map(|row| long(row, place)).collect())
}

/// A row of (entity, time, and for each metric value and weight).
fn wide<'a>(
    row: &'a Row,
    query: &'a Query,
    place: &HashMap<i32, usize>,
) -> impl Iterator<Item = Cell> + use<'a> {
    let (entity, time): (_, Timestamp) = (place.get(&row.get::<_, i32>(0)).copied(), row.get(1));
    (0..query.metrics.len()).filter_map(move |metric| {
        Some(Cell {
            entity: entity?,
            metric,
            time,
            value: row.get::<_, Option<f64>>(2 + 2 * metric)?,
            weight: row.get::<_, Option<f64>>(3 + 2 * metric)?,
        })
    })
}

/// A row of (entity, metric, time, value, weight).
fn long(row: &Row, place: &HashMap<i32, usize>) -> Option<Cell> {
    Some(Cell {
        entity: *place.get(&row.get::<_, i32>(0))?,
        // The statement numbers the metrics from 0 itself.
        metric: usize::try_from(row.get::<_, i32>(1)).ok()?,
        time: row.get(2),
        value: row.get::<_, Option<f64>>(3)?,
        weight: row.get::<_, Option<f64>>(4)?,
    })
}

/// Samples at their own times: the axis is all of these.
fn samples(query: &Query, cells: &[Cell]) -> Result<(Vec<i64>, Vec<Values>), Error> {
    let mut times_ms: Vec<i64> = cells.iter().map(|cell| cell.time.as_millisecond()).collect();
    times_ms.sort_unstable();
    times_ms.dedup();
    let series = query.entities.len() * query.metrics.len();
    if cells.len().max(times_ms.len() * series) > query.max_values {
        return Err(Error::TooMuch {
            limit: query.max_values,
        });
    }
    let mut values = vec![vec![vec![None; times_ms.len()]; query.metrics.len()]; query.entities.len()];
    for cell in cells {
        if let Ok(point) = times_ms.binary_search(&cell.time.as_millisecond()) {
            values[cell.entity][cell.metric][point] = Some(cell.value);
        }
    }
    Ok((times_ms, values))
}

/// How two parts share a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Merge {
    /// By weight.
    Mean,
    Smaller,
    Larger,
    /// The later part's.
    Later,
    Sum,
}

/// The steps of all things and metrics.
struct Grid {
    points: usize,
    merges: Vec<Merge>,
    cells: Vec<Option<(f64, f64)>>,
    entities: usize,
}

impl Grid {
    fn new(query: &Query, frame: &Frame) -> Result<Self, Error> {
        let merge = |&column: &usize| {
            let is_state = matches!(metric(query.kind, column)?.behaviour, Behaviour::State(_));
            Ok(match query.function {
                Function::Count | Function::InState(_) => Merge::Sum,
                _ if is_state => Merge::Later,
                Function::Avg => Merge::Mean,
                Function::Min => Merge::Smaller,
                Function::Max => Merge::Larger,
                // Percentiles come from one part alone.
                Function::Last | Function::P95 => Merge::Later,
            })
        };
        Ok(Self {
            points: frame.points(),
            merges: query.metrics.iter().map(merge).collect::<Result<_, Error>>()?,
            cells: vec![None; frame.points() * query.metrics.len() * query.entities.len()],
            entities: query.entities.len(),
        })
    }

    fn add(&mut self, frame: &Frame, cell: Cell) {
        let (Some(point), Some(&merge)) = (frame.point(cell.time), self.merges.get(cell.metric)) else {
            return;
        };
        let index = (cell.entity * self.merges.len() + cell.metric) * self.points + point;
        let Some(known) = self.cells.get_mut(index) else {
            return;
        };
        *known = Some(match *known {
            None => (cell.value, cell.weight),
            Some(before) => merge.both(before, (cell.value, cell.weight)),
        });
    }

    fn into_values(self) -> Vec<Values> {
        let mut cells = self.cells.into_iter().map(|cell| cell.map(|(value, _)| value));
        let mut series = || cells.by_ref().take(self.points).collect::<Vec<_>>();
        let mut thing = || self.merges.iter().map(|_| series()).collect::<Values>();
        (0..self.entities).map(|_| thing()).collect()
    }
}

impl Merge {
    fn both(self, (before, weight): (f64, f64), (after, more): (f64, f64)) -> (f64, f64) {
        let value = match self {
            Self::Mean if weight + more > 0.0 => (before * weight + after * more) / (weight + more),
            Self::Mean | Self::Later => after,
            Self::Smaller => before.min(after),
            Self::Larger => before.max(after),
            Self::Sum => before + after,
        };
        (value, weight + more)
    }
}
