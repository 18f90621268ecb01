//! What is written is read back, by another implementation where there is one.

use super::{Encoder, Format};
use crate::{Cell, Column, ColumnKind};
use bytes::Bytes;
use jiff::Timestamp;
use parquet::basic::LogicalType;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::json;

fn columns() -> Vec<Column> {
    vec![
        Column::new("text", ColumnKind::Text),
        Column::new("integer", ColumnKind::Integer),
        Column::new("real", ColumnKind::Real),
        Column::new("boolean", ColumnKind::Boolean),
        Column::new("time", ColumnKind::Time),
        Column::new("json", ColumnKind::Json),
    ]
}

fn row(number: i64) -> Vec<Cell> {
    let time = Timestamp::from_microsecond(1_795_348_800_123_456 + number).expect("a time");
    let object = json!({ "number": number });
    if number % 3 == 0 {
        return vec![Cell::Null; 6];
    }
    vec![
        format!("\u{4e2d}-{number}").into(),
        number.into(),
        (-0.5).into(),
        (number % 2 == 0).into(),
        time.into(),
        object.into(),
    ]
}

/// The pieces of a file with so many rows, a batch of 500 at a time.
fn pieces(format: Format, rows: i64) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(format, &columns()).expect("an encoder");
    let mut pieces = vec![encoder.begin().expect("a beginning")];
    let numbers: Vec<i64> = (0..rows).collect();
    for batch in numbers.chunks(500) {
        let rows: Vec<Vec<Cell>> = batch.iter().map(|&number| row(number)).collect();
        pieces.push(encoder.write(&rows).expect("written"));
    }
    pieces.push(encoder.finish().expect("an end"));
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

fn read(rows: i64) -> SerializedFileReader<Bytes> {
    let file = pieces(Format::Parquet, rows).concat();
    SerializedFileReader::new(Bytes::from(file)).expect("a Parquet file")
}

#[test]
fn a_parquet_file_says_what_its_columns_are_and_gives_back_every_value() {
    let reader = read(10);
    let schema = reader.metadata().file_metadata().schema_descr();
    assert_eq!(schema.column(0).logical_type_ref(), Some(&LogicalType::String));
    assert_eq!(schema.column(5).logical_type_ref(), Some(&LogicalType::Json));
    let mut count = 0;
    for (number, found) in (0_i64..).zip(reader.get_row_iter(None).expect("rows")) {
        let found = found.expect("a row");
        let fields: Vec<Field> = found.into_columns().into_iter().map(|(_, field)| field).collect();
        let expected = match row(number).as_slice() {
            [Cell::Null, ..] => vec![Field::Null; 6],
            _ => vec![
                Field::Str(format!("\u{4e2d}-{number}")),
                Field::Long(number),
                Field::Double(-0.5),
                Field::Bool(number % 2 == 0),
                Field::TimestampMicros(1_795_348_800_123_456 + number),
                Field::Str(json!({ "number": number }).to_string()),
            ],
        };
        assert_eq!(fields, expected);
        count += 1;
    }
    assert_eq!(count, 10);
}

#[test]
fn a_parquet_file_comes_in_groups_so_that_memory_does_not_grow_with_it() {
    let file = pieces(Format::Parquet, 120_000);
    // Two full groups, then the rest with the end of the file.
    assert_eq!(file.len(), 3);
    let reader = read(120_000);
    let groups: Vec<i64> = reader
        .metadata()
        .row_groups()
        .iter()
        .map(RowGroupMetaData::num_rows)
        .collect();
    assert_eq!(groups, [50_000, 50_000, 20_000]);
}

#[test]
fn a_file_without_rows_is_one_all_the_same() {
    assert_eq!(read(0).metadata().file_metadata().num_rows(), 0);
    assert_eq!(
        pieces(Format::Csv, 0).concat(),
        b"text,integer,real,boolean,time,json\n"
    );
    assert_eq!(pieces(Format::Jsonl, 0).concat(), b"");
}

#[test]
fn all_formats_have_the_same_rows() {
    let text = |format| String::from_utf8(pieces(format, 1_001).concat()).expect("text");
    let lines = text(Format::Jsonl);
    let parsed: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(parsed.len(), 1_001);
    assert_eq!(parsed[1]["time"], json!("2026-11-22T12:00:00.123457Z"));
    assert_eq!(parsed[4]["json"], json!({"number": 4}));
    let csv = text(Format::Csv);
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let records: Vec<csv::StringRecord> = reader.records().map(|record| record.expect("CSV")).collect();
    assert_eq!(records.len(), 1_001);
    assert_eq!(&records[1][4], "2026-11-22T12:00:00.123457Z");
    assert_eq!(read(1_001).metadata().file_metadata().num_rows(), 1_001);
}
