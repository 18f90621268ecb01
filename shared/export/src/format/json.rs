//! A JSON object a line, with every column in it; one that has no value is null.

use crate::{Cell, Column, Error};
use serde::ser::{Serialize, SerializeMap, Serializer};

pub(crate) struct Encoder {
    names: Vec<String>,
}

/// A row with the names of its columns.
struct Row<'a> {
    names: &'a [String],
    cells: &'a [Cell],
}

impl Encoder {
    pub(crate) fn new(columns: &[Column]) -> Self {
        Self {
            names: columns.iter().map(|column| column.name.clone()).collect(),
        }
    }

    /// A line each.
    pub(crate) fn lines(&self, rows: &[Vec<Cell>]) -> Result<Vec<u8>, Error> {
        let mut lines = Vec::new();
        for cells in rows {
            let row = Row {
                names: &self.names,
                cells,
            };
            serde_json::to_writer(&mut lines, &row)?;
            lines.push(b'\n');
        }
        Ok(lines)
    }
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.names.len()))?;
        for (name, cell) in self.names.iter().zip(self.cells) {
            map.serialize_key(name)?;
            match cell {
                Cell::Null => map.serialize_value(&())?,
                Cell::Text(text) => map.serialize_value(text)?,
                Cell::Integer(number) => map.serialize_value(number)?,
                Cell::Real(number) => map.serialize_value(number)?,
                Cell::Boolean(yes) => map.serialize_value(yes)?,
                Cell::Time(time) => map.serialize_value(time)?,
                Cell::Json(json) => map.serialize_value(json)?,
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ColumnKind;
    use serde_json::json;

    #[test]
    fn a_line_has_every_column_in_order() {
        let columns = ["a", "b", "c", "d"].map(|name| Column::new(name, ColumnKind::Text));
        let rows = [vec![
            Cell::from("x\n\"y\""),
            Cell::Null,
            Cell::from(0.25),
            Cell::from(json!({"z": [1]})),
        ]];
        let lines = Encoder::new(&columns).lines(&rows).expect("lines");
        assert_eq!(
            String::from_utf8(lines).expect("text"),
            "{\"a\":\"x\\n\\\"y\\\"\",\"b\":null,\"c\":0.25,\"d\":{\"z\":[1]}}\n"
        );
    }
}
