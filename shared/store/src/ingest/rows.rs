//! Rows of the ticks, into the sample tables.

use super::copy::Encoder;
use crate::Error;
use crate::schema::layout;
use bytes::Bytes;
use futures_util::SinkExt;
use std::pin::pin;
use tokio_postgres::Transaction;
use vmscope_model::{Kind, Tick, Value, catalogue};

/// A row where it lies in its tick.
struct Row<'a> {
    entity_id: u32,
    time_us: i64,
    values: &'a [Value],
}

/// Writes the rows of `ticks`; returns how many there were.
pub(super) async fn write(transaction: &Transaction<'_>, ticks: &[(i32, &Tick)]) -> Result<u64, Error> {
    let mut written = 0;
    for kind in Kind::ALL {
        let rows = sorted(ticks, kind)?;
        if !rows.is_empty() {
            copy(transaction, kind, &rows).await?;
            written += rows.len() as u64;
        }
    }
    Ok(written)
}

/// The rows of one kind, each entity's in a piece: that is how the index wants them.
fn sorted<'a>(ticks: &[(i32, &'a Tick)], kind: Kind) -> Result<Vec<Row<'a>>, Error> {
    let width = catalogue::metrics(kind).len();
    let mut rows = Vec::new();
    for (_, tick) in ticks {
        for table in tick.tables.iter().filter(|table| table.kind == kind) {
            if table.values.len() != table.entities.len() * width {
                let (rows, values) = (table.entities.len(), table.values.len());
                return Err(Error::Shape { kind, rows, values });
            }
            let row = |(entity_id, values)| Row {
                entity_id,
                time_us: tick.time_us,
                values,
            };
            rows.extend(table.rows().map(row));
        }
    }
    rows.sort_unstable_by_key(|row| (row.entity_id, row.time_us));
    Ok(rows)
}

async fn copy(transaction: &Transaction<'_>, kind: Kind, rows: &[Row<'_>]) -> Result<(), Error> {
    let failed = || Error::statement("copy_samples");
    let mut sink = pin!(
        transaction
            .copy_in::<_, Bytes>(&statement(kind))
            .await
            .map_err(failed())?
    );
    let mut encoder = Encoder::new(kind);
    for row in rows {
        if let Some(chunk) = encoder.row(row.time_us, row.entity_id, row.values)? {
            sink.feed(chunk).await.map_err(failed())?;
        }
    }
    sink.feed(encoder.finish()).await.map_err(failed())?;
    sink.as_mut().finish().await.map_err(failed())?;
    Ok(())
}

/// `COPY` of all columns of this build's catalogue, by name: the table may have more.
fn statement(kind: Kind) -> String {
    let names: Vec<&str> = catalogue::metrics(kind)
        .iter()
        .map(|metric| metric.name)
        .collect();
    format!(
        "-- copy_samples\nCOPY {} (time, entity_id, {}) FROM STDIN (FORMAT binary)",
        layout::table(kind),
        names.join(", ")
    )
}
