//! Buckets into the tables of their tier, in place of those that were there.

use super::fold::{Cell, Number, State};
use crate::binary::{POSTGRES_EPOCH_US, SIGNATURE};
use crate::schema::layout;
use crate::{Error, Tier, instant};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::SinkExt;
use jiff::Timestamp;
use std::pin::pin;
use tokio_postgres::{Transaction, types::Type};
use vmscope_model::{Kind, catalogue};

/// Buckets of one kind and tier, encoded as they come.
#[derive(Debug)]
pub(super) struct Buckets {
    kind: Kind,
    tier: Tier,
    fields: i16,
    encoded: BytesMut,
    ids: Vec<i32>,
    times: Vec<Timestamp>,
}

impl Buckets {
    pub(super) fn new(kind: Kind, tier: Tier) -> Self {
        let columns: usize = catalogue::metrics(kind)
            .iter()
            .map(|metric| layout::tier_columns(metric).len())
            .sum();
        let mut encoded = BytesMut::new();
        encoded.put_slice(SIGNATURE);
        encoded.put_u64(0); // flags, length of the extension
        Self {
            kind,
            tier,
            // PostgreSQL's limit is 1600 columns.
            fields: i16::try_from(columns + 2).unwrap_or(i16::MAX),
            encoded,
            ids: Vec::new(),
            times: Vec::new(),
        }
    }

    /// Adds a thing's bucket, unless it is empty: a cell for each metric, in the catalogue's order.
    pub(super) fn push(&mut self, entity_id: i32, time_us: i64, cells: &[Cell]) -> Result<(), Error> {
        if cells.iter().all(Cell::is_empty) {
            return Ok(());
        }
        self.ids.push(entity_id);
        self.times.push(instant::timestamp(time_us)?);
        self.encoded.put_i16(self.fields);
        self.encoded.put_i32(8);
        self.encoded.put_i64(time_us - POSTGRES_EPOCH_US);
        self.encoded.put_i32(4);
        self.encoded.put_i32(entity_id);
        for cell in cells {
            match cell {
                Cell::Number(number) => put_number(&mut self.encoded, number.as_ref()),
                Cell::State(state) => put_state(&mut self.encoded, state.as_ref()),
            }
        }
        Ok(())
    }

    /// Writes all; returns how many there were.
    pub(super) async fn write(mut self, transaction: &Transaction<'_>) -> Result<u64, Error> {
        let failed = || Error::statement("write_buckets");
        let Some((first, last)) = self.times.iter().min().zip(self.times.iter().max()) else {
            return Ok(0);
        };
        let table = layout::tier_table(self.kind, self.tier);
        // The two ends let the server leave out chunks and partitions.
        let remove = format!(
            "-- remove_buckets\nDELETE FROM {table} t USING unnest($1::int4[], $2::timestamptz[]) AS b (entity_id, time)\n\
             WHERE t.entity_id = b.entity_id AND t.time = b.time AND t.time BETWEEN $3 AND $4"
        );
        transaction
            .execute(&remove, &[&self.ids, &self.times, first, last])
            .await
            .map_err(Error::statement("remove_buckets"))?;
        let mut sink = pin!(
            transaction
                .copy_in::<_, Bytes>(&statement(self.kind, self.tier))
                .await
                .map_err(failed())?
        );
        self.encoded.put_i16(-1);
        sink.feed(self.encoded.freeze()).await.map_err(failed())?;
        sink.as_mut().finish().await.map_err(failed())
    }
}

/// `COPY` of all columns of this build's catalogue, by name: the table may have more.
fn statement(kind: Kind, tier: Tier) -> String {
    let names: Vec<String> = catalogue::metrics(kind)
        .iter()
        .flat_map(layout::tier_columns)
        .map(|(name, _)| name)
        .collect();
    format!(
        "-- write_buckets\nCOPY {} (time, entity_id, {}) FROM STDIN (FORMAT binary)",
        layout::tier_table(kind, tier),
        names.join(", ")
    )
}

fn put_number(encoded: &mut BytesMut, number: Option<&Number>) {
    let Some(number) = number else {
        return layout::NUMBER_SUFFIXES.iter().for_each(|_| encoded.put_i32(-1));
    };
    // In the order of `layout::NUMBER_SUFFIXES`.
    for value in [number.min, number.max, number.last, number.avg, number.weight] {
        encoded.put_i32(4);
        put_real(encoded, value);
    }
}

fn put_state(encoded: &mut BytesMut, state: Option<&State>) {
    let Some(state) = state else {
        return layout::STATE_SUFFIXES.iter().for_each(|_| encoded.put_i32(-1));
    };
    // In the order of `layout::STATE_SUFFIXES`.
    encoded.put_i32(2);
    encoded.put_i16(state.last);
    array(encoded, &Type::INT2, 2, state.seconds.keys(), |encoded, code| {
        encoded.put_i16(*code);
    });
    array(
        encoded,
        &Type::FLOAT4,
        4,
        state.seconds.values(),
        |encoded, seconds| put_real(encoded, *seconds),
    );
}

fn array<T>(
    encoded: &mut BytesMut,
    element: &Type,
    bytes: i32,
    values: impl ExactSizeIterator<Item = T>,
    put: impl Fn(&mut BytesMut, T),
) {
    // A state has some dozens of codes.
    let length = i32::try_from(values.len()).unwrap_or(i32::MAX);
    let (header, dimension) = (12, 8);
    if length == 0 {
        encoded.put_i32(header);
        encoded.put_u64(0);
        encoded.put_u32(element.oid());
        return;
    }
    encoded.put_i32(header + dimension + length * (4 + bytes));
    encoded.put_i32(1); // dimensions
    encoded.put_i32(0); // no nulls
    encoded.put_u32(element.oid());
    encoded.put_i32(length);
    encoded.put_i32(1); // the first index
    for value in values {
        encoded.put_i32(bytes);
        put(encoded, value);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the column is real")]
fn put_real(encoded: &mut BytesMut, value: f64) {
    encoded.put_f32(value as f32);
}
