//! Apache Parquet: rows are gathered into row groups of a bounded size, each column compressed by itself; what is known of all
//! groups comes at the end of the file. Moments are microseconds in UTC.

use crate::{Cell, Column, ColumnKind, Error};
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::Result;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};
use std::sync::Arc;

/// Most rows of a group.
const GROUP_ROWS: usize = 50_000;

/// Bytes of values in memory with which a group is closed before that.
const GROUP_BYTES: usize = 16 << 20;

pub(crate) struct Encoder {
    writer: SerializedFileWriter<Vec<u8>>,
    columns: Vec<Gathered>,
    rows: usize,
    bytes: usize,
}

/// The values of a column in the group that is being gathered; `present` is 1 for each row that has one.
struct Gathered {
    values: Values,
    present: Vec<i16>,
}

enum Values {
    Text(Vec<ByteArray>),
    Integer(Vec<i64>),
    Real(Vec<f64>),
    Boolean(Vec<bool>),
    /// Microseconds since the Unix epoch.
    Time(Vec<i64>),
}

impl Encoder {
    pub(crate) fn new(columns: &[Column]) -> Result<Self> {
        let fields: Result<Vec<TypePtr>> = columns.iter().map(field).collect();
        let schema = Type::group_type_builder("vmscope").with_fields(fields?).build()?;
        // What each page has is of little use in a file of this size, and would be kept in memory to the end.
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true)
            .set_created_by(format!("vmscope {}", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self {
            writer: SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties))?,
            columns: columns.iter().map(Gathered::new).collect(),
            rows: 0,
            bytes: 0,
        })
    }

    pub(crate) fn write(&mut self, rows: &[Vec<Cell>]) -> std::result::Result<Vec<u8>, Error> {
        let mut ready = Vec::new();
        for row in rows {
            for (column, cell) in self.columns.iter_mut().zip(row) {
                self.bytes += column.push(cell);
            }
            self.rows += 1;
            if self.rows >= GROUP_ROWS || self.bytes >= GROUP_BYTES {
                self.close_group()?;
                ready.append(self.writer.inner_mut());
            }
        }
        Ok(ready)
    }

    pub(crate) fn finish(mut self) -> std::result::Result<Vec<u8>, Error> {
        if self.rows > 0 {
            self.close_group()?;
        }
        Ok(self.writer.into_inner()?)
    }

    /// Writes what was gathered into the writer's memory, for the caller to take out.
    fn close_group(&mut self) -> Result<()> {
        let mut group = self.writer.next_row_group()?;
        for gathered in &mut self.columns {
            if let Some(mut column) = group.next_column()? {
                gathered.write(&mut column)?;
                column.close()?;
            }
        }
        group.close()?;
        self.writer.flush()?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}

fn field(column: &Column) -> Result<TypePtr> {
    let (physical, logical) = match column.kind {
        ColumnKind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        ColumnKind::Json => (Physical::BYTE_ARRAY, Some(LogicalType::Json)),
        ColumnKind::Integer => (Physical::INT64, None),
        ColumnKind::Real => (Physical::DOUBLE, None),
        ColumnKind::Boolean => (Physical::BOOLEAN, None),
        ColumnKind::Time => (
            Physical::INT64,
            Some(LogicalType::timestamp(true, TimeUnit::MICROS)),
        ),
    };
    let field = Type::primitive_type_builder(&column.name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()?;
    Ok(Arc::new(field))
}

impl Gathered {
    fn new(column: &Column) -> Self {
        let values = match column.kind {
            ColumnKind::Text | ColumnKind::Json => Values::Text(Vec::new()),
            ColumnKind::Integer => Values::Integer(Vec::new()),
            ColumnKind::Real => Values::Real(Vec::new()),
            ColumnKind::Boolean => Values::Boolean(Vec::new()),
            ColumnKind::Time => Values::Time(Vec::new()),
        };
        Self {
            values,
            present: Vec::new(),
        }
    }

    /// Adds a cell; says how many bytes it takes.
    fn push(&mut self, cell: &Cell) -> usize {
        let mut size = size_of::<i64>();
        let mut text = |values: &mut Vec<ByteArray>, text: &str| {
            size += text.len() + size_of::<ByteArray>();
            values.push(text.into());
        };
        let mut is_there = true;
        match (&mut self.values, cell) {
            (Values::Text(values), Cell::Text(value)) => text(values, value),
            (Values::Text(values), Cell::Json(value)) => text(values, &value.to_string()),
            (Values::Integer(values), Cell::Integer(value)) => values.push(*value),
            (Values::Real(values), Cell::Real(value)) => values.push(*value),
            (Values::Boolean(values), Cell::Boolean(value)) => values.push(*value),
            (Values::Time(values), Cell::Time(value)) => values.push(value.as_microsecond()),
            _ => is_there = false,
        }
        self.present.push(i16::from(is_there));
        size
    }

    /// Writes all values and forgets them.
    fn write(&mut self, column: &mut SerializedColumnWriter<'_>) -> Result<()> {
        let present = Some(&*self.present);
        match &mut self.values {
            Values::Text(values) => {
                column
                    .typed::<ByteArrayType>()
                    .write_batch(values, present, None)?;
                values.clear();
            }
            Values::Integer(values) | Values::Time(values) => {
                column.typed::<Int64Type>().write_batch(values, present, None)?;
                values.clear();
            }
            Values::Real(values) => {
                column.typed::<DoubleType>().write_batch(values, present, None)?;
                values.clear();
            }
            Values::Boolean(values) => {
                column.typed::<BoolType>().write_batch(values, present, None)?;
                values.clear();
            }
        }
        self.present.clear();
        Ok(())
    }
}
