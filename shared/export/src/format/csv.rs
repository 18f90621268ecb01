//! Comma-separated values. Spreadsheets take a cell for a formula by how it begins, so a text that begins so gets a quote before it
//! (OWASP, "CSV injection"); numbers, times and what is empty stay as they are.

use crate::{Cell, Column, Error};
use std::borrow::Cow;

pub(crate) struct Encoder {
    names: Vec<String>,
}

impl Encoder {
    pub(crate) fn new(columns: &[Column]) -> Self {
        Self {
            names: columns.iter().map(|column| column.name.clone()).collect(),
        }
    }

    /// The line of headings.
    pub(crate) fn headings(&self) -> Result<Vec<u8>, Error> {
        let mut lines = csv::Writer::from_writer(Vec::new());
        for name in &self.names {
            lines.write_field(&*harmless(name))?;
        }
        lines.write_record(None::<&[u8]>)?;
        finished(lines)
    }
}

/// A line each.
pub(crate) fn lines(rows: &[Vec<Cell>]) -> Result<Vec<u8>, Error> {
    let mut lines = csv::Writer::from_writer(Vec::new());
    for row in rows {
        for cell in row {
            lines.write_field(&*text(cell))?;
        }
        lines.write_record(None::<&[u8]>)?;
    }
    finished(lines)
}

fn finished(lines: csv::Writer<Vec<u8>>) -> Result<Vec<u8>, Error> {
    lines
        .into_inner()
        .map_err(|error| Error::Csv(error.into_error().into()))
}

fn text(cell: &Cell) -> Cow<'_, str> {
    match cell {
        Cell::Null => "".into(),
        Cell::Text(text) => harmless(text),
        Cell::Integer(number) => number.to_string().into(),
        Cell::Real(number) => number.to_string().into(),
        Cell::Boolean(yes) => if *yes { "true" } else { "false" }.into(),
        Cell::Time(time) => time.to_string().into(),
        // Begins with a brace or a bracket.
        Cell::Json(json) => json.to_string().into(),
    }
}

/// A text that no spreadsheet takes for a formula.
fn harmless(text: &str) -> Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']) {
        format!("'{text}").into()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written(cells: Vec<Cell>) -> String {
        String::from_utf8(lines(&[cells]).expect("lines")).expect("text")
    }

    #[test]
    fn a_text_is_never_a_formula_and_a_number_stays_one() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"] {
            assert!(harmless(formula).starts_with('\''), "{formula:?}");
        }
        assert_eq!(
            written(vec![Cell::from(-1), Cell::from(-0.5), Cell::from("a-1")]),
            "-1,-0.5,a-1\n"
        );
    }

    #[test]
    fn every_kind_of_cell_is_read_back_as_it_was() {
        let time = "2026-11-22T12:00:00.5Z"
            .parse::<jiff::Timestamp>()
            .expect("a time");
        let cells = vec![
            Cell::from("a,\"b\"\nc"),
            Cell::Null,
            Cell::from(true),
            Cell::from(time),
            Cell::from(json!({"env": "prod"})),
        ];
        let text = written(cells);
        assert_eq!(
            text,
            "\"a,\"\"b\"\"\nc\",,true,2026-11-22T12:00:00.5Z,\"{\"\"env\"\":\"\"prod\"\"}\"\n"
        );
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(text.as_bytes());
        let record = reader.records().next().expect("a record").expect("CSV");
        assert_eq!(&record[0], "a,\"b\"\nc");
        assert_eq!(&record[4], "{\"env\":\"prod\"}");
    }

    #[test]
    fn a_row_with_one_empty_cell_is_a_line() {
        assert_eq!(written(vec![Cell::Null]), "\"\"\n");
    }
}
