//! The two ways to buckets: hours out of samples, days out of hours. Rows come by thing, newest first, and are forgotten as soon
//! as they are counted.

use super::fold::{Cell, ClockStep, Number, Samples, State};
use super::read::{Fields, Rows};
use super::write::Buckets;
use crate::schema::layout::{self, Column};
use crate::{Error, Tier, instant};
use bytes::Buf;
use std::fmt::Write as _;
use tokio_postgres::Transaction;
use vmscope_model::metric::Behaviour;
use vmscope_model::{Kind, Metric, catalogue};

/// How far before an hour samples count as what its first intervals begin with: as far as [`crate::series`] looks.
pub(crate) const LOOKBACK_US: i64 = crate::series::LOOKBACK_S as i64 * 1_000_000;

/// Things of one kind, and from when to before when their buckets are made: microseconds, whole hours or days.
#[derive(Debug, Clone, Copy)]
pub(super) struct Task<'a> {
    pub(super) kind: Kind,
    pub(super) ids: &'a [i32],
    pub(super) from_us: i64,
    pub(super) to_us: i64,
}

impl Task<'_> {
    /// The query of all columns that `columns` names, beginning `before_us` earlier.
    fn query(&self, tier: Tier, before_us: i64, columns: &str) -> Result<String, Error> {
        let (from, to) = (
            instant::timestamp(self.from_us - before_us)?,
            instant::timestamp(self.to_us)?,
        );
        let ids: Vec<String> = self.ids.iter().map(i32::to_string).collect();
        Ok(format!(
            "SELECT time, entity_id{columns} FROM {} WHERE entity_id IN ({})\n\
             AND time >= '{from}' AND time < '{to}' ORDER BY entity_id, time DESC",
            layout::tier_table(self.kind, tier),
            ids.join(", "),
        ))
    }
}

/// Makes hours out of samples; returns how many samples' rows were read.
pub(super) async fn hours(
    transaction: &Transaction<'_>,
    task: Task<'_>,
    steps: &[ClockStep],
    buckets: &mut Buckets,
) -> Result<u64, Error> {
    let metrics = catalogue::metrics(task.kind);
    let mut columns = String::new();
    for metric in metrics {
        // Writing into a string can't fail.
        let _ = write!(columns, ", {}", metric.name);
    }
    let mut rows = Rows::of(transaction, &task.query(Tier::Raw, LOOKBACK_US, &columns)?).await?;
    let mut hour = Hour {
        entity_id: 0,
        time_us: i64::MIN,
        oldest_us: i64::MIN,
        columns: metrics
            .iter()
            .map(|metric| (Column::of(metric), Samples::new(metric)))
            .collect(),
    };
    let mut read = 0;
    while let Some(row) = rows.next().await? {
        let mut fields = row.fields();
        let (time_us, entity_id) = (fields.time_us()?, fields.integer()?);
        if entity_id != hour.entity_id {
            hour.end(i64::MIN, task.from_us, steps, buckets)?;
            hour.entity_id = entity_id;
        }
        hour.end(time_us, task.from_us, steps, buckets)?;
        hour.take(time_us, &mut fields)?;
        read += 1;
    }
    hour.end(i64::MIN, task.from_us, steps, buckets)?;
    Ok(read)
}

/// The hour that is being read, newest sample first, and a little of what was before it.
struct Hour {
    entity_id: i32,
    /// When it begins; `i64::MIN` when there is nothing.
    time_us: i64,
    /// Time of the oldest row.
    oldest_us: i64,
    columns: Vec<(Column, Samples)>,
}

impl Hour {
    /// Ends the hours that a row of `next_us` adds nothing to.
    fn end(
        &mut self,
        next_us: i64,
        from_us: i64,
        steps: &[ClockStep],
        buckets: &mut Buckets,
    ) -> Result<(), Error> {
        while self.time_us != i64::MIN && next_us < self.time_us - LOOKBACK_US {
            if self.time_us >= from_us {
                let cells: Vec<Cell> = self
                    .columns
                    .iter()
                    .map(|(_, samples)| samples.fold(self.time_us, steps))
                    .collect();
                buckets.push(self.entity_id, self.time_us, &cells)?;
            }
            for (_, samples) in &mut self.columns {
                samples.keep_before(self.time_us);
            }
            // What is left belongs to the hour before, because less than an hour is kept.
            self.time_us = if self.oldest_us < self.time_us {
                self.time_us - Tier::Hour.bucket_us()
            } else {
                i64::MIN
            };
        }
        Ok(())
    }

    /// Takes in a row, whose metrics' fields are left in `fields`.
    fn take(&mut self, time_us: i64, fields: &mut Fields<'_>) -> Result<(), Error> {
        if self.time_us == i64::MIN {
            self.time_us = time_us - time_us.rem_euclid(Tier::Hour.bucket_us());
        }
        self.oldest_us = time_us;
        for (column, samples) in &mut self.columns {
            let whole = match column {
                Column::Bigint => fields.bigint()?,
                Column::Smallint => fields.smallint()?.map(i64::from),
                Column::Real { .. } => {
                    if let (Some(value), Samples::Gauge(samples)) = (fields.real()?, samples) {
                        samples.push((time_us, value));
                    }
                    continue;
                }
            };
            if let Some(value) = whole {
                push(samples, time_us, value);
            }
        }
        Ok(())
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "gauges are kept as real, and a state was a smallint"
)]
fn push(samples: &mut Samples, time_us: i64, value: i64) {
    match samples {
        Samples::Gauge(samples) => samples.push((time_us, value as f64)),
        // A counter is never below 0.
        Samples::Counter(samples) if value >= 0 => samples.push((time_us, value)),
        Samples::Counter(_) => {}
        Samples::State(samples) => samples.push((time_us, value as i16)),
    }
}

/// Makes days out of hours.
pub(super) async fn days(
    transaction: &Transaction<'_>,
    task: Task<'_>,
    buckets: &mut Buckets,
) -> Result<(), Error> {
    let metrics = catalogue::metrics(task.kind);
    let mut columns = String::new();
    for (name, _) in metrics.iter().flat_map(layout::tier_columns) {
        // Writing into a string can't fail.
        let _ = write!(columns, ", {name}");
    }
    let mut rows = Rows::of(transaction, &task.query(Tier::Hour, 0, &columns)?).await?;
    let mut day: Option<(i32, i64, Vec<Cell>)> = None;
    while let Some(row) = rows.next().await? {
        let mut fields = row.fields();
        let (time_us, entity_id) = (fields.time_us()?, fields.integer()?);
        let day_us = time_us - time_us.rem_euclid(Tier::Day.bucket_us());
        let (id, begin_us, mut cells) = day
            .take()
            .unwrap_or_else(|| (entity_id, day_us, metrics.iter().map(Cell::empty).collect()));
        if (id, begin_us) != (entity_id, day_us) {
            buckets.push(id, begin_us, &cells)?;
            cells = metrics.iter().map(Cell::empty).collect();
        }
        for (cell, metric) in cells.iter_mut().zip(metrics) {
            cell.take_earlier(read(metric, &mut fields)?);
        }
        day = Some((entity_id, day_us, cells));
    }
    if let Some((id, begin_us, cells)) = day {
        buckets.push(id, begin_us, &cells)?;
    }
    Ok(())
}

/// Reads what [`super::write`] has written.
fn read(metric: &Metric, fields: &mut Fields<'_>) -> Result<Cell, Error> {
    if let Behaviour::State(_) = metric.behaviour {
        let (last, codes, seconds) = (
            fields.smallint()?,
            fields.array(Buf::try_get_i16)?,
            fields.array(Buf::try_get_f32)?,
        );
        let seconds = codes
            .into_iter()
            .zip(seconds.into_iter().map(f64::from))
            .collect();
        return Ok(Cell::State(last.map(|last| State { last, seconds })));
    }
    let [min, max, last, avg, weight] = [
        fields.real()?,
        fields.real()?,
        fields.real()?,
        fields.real()?,
        fields.real()?,
    ];
    let number = |((((min, max), last), avg), weight)| Number {
        min,
        max,
        last,
        avg,
        weight,
    };
    Ok(Cell::Number(
        min.zip(max).zip(last).zip(avg).zip(weight).map(number),
    ))
}
