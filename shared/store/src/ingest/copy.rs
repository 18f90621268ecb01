//! PostgreSQL's binary COPY format, straight from table values into a byte buffer.
//!
//! No allocation and no dynamic dispatch for a value: a row has a known largest size, which is reserved once.

use crate::Error;
use crate::binary::{POSTGRES_EPOCH_US, SIGNATURE};
use crate::schema::layout::Column;
use bytes::{BufMut, Bytes, BytesMut};
use vmscope_model::{Kind, Value, catalogue};

/// Bytes gathered before they go to the connection.
pub(super) const CHUNK_BYTES: usize = 256 << 10;

/// Time (4 + 8 bytes) and entity (4 + 4 bytes), behind the number of fields (2 bytes).
const KEY_BYTES: usize = 22;

/// The largest field: length and eight bytes.
const FIELD_BYTES: usize = 12;

/// Encodes rows of one kind.
#[derive(Debug)]
pub(super) struct Encoder {
    columns: Vec<Column>,
    fields: i16,
    buffer: BytesMut,
}

impl Encoder {
    /// An encoder that has written the header.
    pub(super) fn new(kind: Kind) -> Self {
        let columns: Vec<Column> = catalogue::metrics(kind).iter().map(Column::of).collect();
        // A catalogue has some dozens of metrics, and PostgreSQL's limit is 1600 columns.
        let fields = i16::try_from(columns.len() + 2).unwrap_or(i16::MAX);
        let mut buffer = BytesMut::with_capacity(CHUNK_BYTES + KEY_BYTES + columns.len() * FIELD_BYTES);
        buffer.put_slice(SIGNATURE);
        buffer.put_i32(0); // flags
        buffer.put_i32(0); // length of the header's extension
        Self {
            columns,
            fields,
            buffer,
        }
    }

    /// Appends a row; returns a chunk when enough has gathered.
    ///
    /// # Errors
    /// [`Error::Range`] for a state that is no state.
    pub(super) fn row(
        &mut self,
        time_us: i64,
        entity_id: u32,
        values: &[Value],
    ) -> Result<Option<Bytes>, Error> {
        self.buffer.reserve(KEY_BYTES + values.len() * FIELD_BYTES);
        self.buffer.put_i16(self.fields);
        self.buffer.put_i32(8);
        self.buffer.put_i64(time_us - POSTGRES_EPOCH_US);
        self.buffer.put_i32(4);
        self.buffer.put_u32(entity_id);
        for (&column, value) in self.columns.iter().zip(values) {
            field(&mut self.buffer, column, *value)?;
        }
        Ok((self.buffer.len() >= CHUNK_BYTES).then(|| self.buffer.split().freeze()))
    }

    /// The rest, with the trailer.
    pub(super) fn finish(mut self) -> Bytes {
        self.buffer.put_i16(-1);
        self.buffer.freeze()
    }
}

#[inline]
fn field(buffer: &mut BytesMut, column: Column, value: Value) -> Result<(), Error> {
    let Some(number) = value.get() else {
        buffer.put_i32(-1);
        return Ok(());
    };
    match column {
        Column::Bigint => {
            buffer.put_i32(8);
            buffer.put_i64(number);
        }
        Column::Smallint => {
            let code = i16::try_from(number).map_err(|_| Error::Range {
                what: "state",
                number: number.into(),
            })?;
            buffer.put_i32(2);
            buffer.put_i16(code);
        }
        Column::Real { scale } => {
            buffer.put_i32(4);
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                reason = "the column is real"
            )]
            buffer.put_f32((number as f64 / scale as f64) as f32);
        }
    }
    Ok(())
}
