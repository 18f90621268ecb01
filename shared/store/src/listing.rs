//! Lists that are filtered, sorted and cut up by the database: one way for all of them.
//!
//! A list is sorted by several keys and, at last, by the database id, so that no two rows are in the same place and a [`Cursor`] says
//! exactly where to go on: what comes and goes meanwhile neither repeats nor hides other rows. Keys are texts or integers,
//! never null.
//!
//! A statement has only the conditions that are asked for, so that it is planned for them; what people type is bound, never
//! part of the statement.

use crate::{Error, Order, Paging, Store};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use vmscope_model::access::Reach;

/// A statement without a limit, with its parameters: a list and its export run the same one.
pub(crate) struct Selection {
    /// `SELECT ... ORDER BY ...`, after the line with its name.
    pub(crate) statement: String,
    /// Its parameters.
    pub(crate) parameters: Vec<Box<dyn ToSql + Sync + Send>>,
}

impl Selection {
    /// The parameters as statements take them.
    pub(crate) fn parameters(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.parameters
            .iter()
            .map(|parameter| &**parameter as _)
            .collect()
    }
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<T> {
    /// The items.
    pub items: Vec<T>,
    /// Items of the whole list.
    pub total: i64,
    /// Where the next part begins; `None` at the end.
    pub next: Option<Cursor>,
}

/// Where a part of a list ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The keys of its last item, in the order of the sort.
    pub keys: Vec<Key>,
    /// Its database id.
    pub id: i32,
}

/// What a row is sorted by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Key {
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
}

/// A key of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Column {
    /// Of type `text` or `bigint`, never null.
    pub(crate) expression: &'static str,
    pub(crate) is_text: bool,
}

impl Column {
    pub(crate) const fn text(expression: &'static str) -> Self {
        Self {
            expression,
            is_text: true,
        }
    }

    pub(crate) const fn number(expression: &'static str) -> Self {
        Self {
            expression,
            is_text: false,
        }
    }
}

/// By what a list can be sorted.
pub(crate) trait Sorted: Copy {
    /// The column of the key.
    fn column(self) -> Column;
}

impl Cursor {
    /// Whether it can come from a list in this order.
    pub(crate) fn fits<K: Sorted>(&self, order: &[Order<K>]) -> bool {
        let alike = |(key, order): (&Key, &Order<K>)| match key {
            Key::Text(text) => order.by.column().is_text && !text.contains('\0'),
            Key::Number(_) => !order.by.column().is_text,
        };
        self.keys.len() == order.len() && self.keys.iter().zip(order).all(alike)
    }

    /// The place of a row whose key columns begin at `first`.
    fn of<K: Sorted>(row: &Row, id: &str, first: usize, order: &[Order<K>]) -> Self {
        let key = |(number, order): (usize, &Order<K>)| {
            if order.by.column().is_text {
                Key::Text(row.get(first + number))
            } else {
                Key::Number(row.get(first + number))
            }
        };
        Self {
            keys: order.iter().enumerate().map(key).collect(),
            id: row.get(id),
        }
    }
}

/// The conditions of a list.
#[derive(Default)]
pub(crate) struct Conditions {
    text: Vec<String>,
    parameters: Vec<Box<dyn ToSql + Sync + Send>>,
}

impl Conditions {
    /// Binds a value; gives its number for the statement.
    pub(crate) fn bind(&mut self, value: impl ToSql + Sync + Send + 'static) -> u8 {
        self.parameters.push(Box::new(value));
        // Filters have a few dozen values at most: labels are bounded by the API.
        u8::try_from(self.parameters.len()).unwrap_or(u8::MAX)
    }

    /// Only rows for which this is so.
    pub(crate) fn require(&mut self, condition: impl Into<String>) {
        self.text.push(condition.into());
    }

    /// Only rows for which `condition`, given the value's number, is so; all without a value.
    pub(crate) fn if_given<T: ToSql + Sync + Send + 'static>(
        &mut self,
        value: Option<T>,
        condition: impl FnOnce(u8) -> String,
    ) {
        if let Some(value) = value {
            let number = self.bind(value);
            self.require(condition(number));
        }
    }

    /// Only what is within the reach, as `within` says it for the numbers of its groups.
    pub(crate) fn within(&mut self, reach: &Reach, within: impl FnOnce(u8, u8) -> String) {
        if *reach == Reach::Everything {
            return;
        }
        let allowed = self.bind(reach.allowed().map(<[uuid::Uuid]>::to_vec));
        let denied = self.bind(reach.denied().to_vec());
        self.require(within(allowed, denied));
    }

    /// Only rows behind the cursor.
    pub(crate) fn behind<K: Sorted>(&mut self, cursor: &Cursor, order: &[Order<K>], id: &str) {
        let mut alternatives = Vec::new();
        let mut before = String::new();
        for (key, order) in cursor.keys.iter().zip(order) {
            let expression = order.by.column().expression;
            let number = match key {
                Key::Text(text) => self.bind(text.clone()),
                Key::Number(number) => self.bind(*number),
            };
            let sign = if order.descending { '<' } else { '>' };
            alternatives.push(format!("{before}{expression} {sign} ${number}"));
            let _ = write!(before, "{expression} = ${number} AND ");
        }
        let number = self.bind(cursor.id);
        alternatives.push(format!("{before}{id} > ${number}"));
        self.require(format!("({})", alternatives.join(" OR ")));
    }

    /// `WHERE`, if there is any condition.
    pub(crate) fn clause(&self) -> String {
        if self.text.is_empty() {
            String::new()
        } else {
            format!("\nWHERE {}", self.text.join("\n  AND "))
        }
    }

    /// The statement with these conditions.
    pub(crate) fn select(self, statement: String) -> Selection {
        Selection {
            statement,
            parameters: self.parameters,
        }
    }
}

/// `ORDER BY` for these keys, with `id` at last.
pub(crate) fn order_by<K: Sorted>(order: &[Order<K>], id: &str) -> String {
    let mut clause = "\nORDER BY ".to_owned();
    for order in order {
        let direction = if order.descending { "DESC" } else { "ASC" };
        let _ = write!(clause, "{} {direction}, ", order.by.column().expression);
    }
    clause + id
}

/// The columns of these keys, behind a comma each.
pub(crate) fn key_columns<K: Sorted>(order: &[Order<K>]) -> String {
    order.iter().fold(String::new(), |columns, order| {
        columns + ", " + order.by.column().expression
    })
}

/// What is listed.
pub(crate) struct Listed {
    /// Name of the statement that counts.
    pub(crate) count: &'static str,
    /// Name of the statement that lists.
    pub(crate) list: &'static str,
    /// `FROM ...`, with a column `id`.
    pub(crate) from: &'static str,
    /// How many columns come before the keys.
    pub(crate) columns: usize,
}

impl Listed {
    /// Counts what fulfils `conditions`, and reads a part of it by `page`: that of `paging`, or what is behind the cursor of `page`.
    pub(crate) async fn read<K: Sorted>(
        &self,
        store: &Store,
        conditions: Conditions,
        page: &Selection,
        paging: Paging,
        is_behind_cursor: bool,
        order: &[Order<K>],
    ) -> Result<Part<Row>, Error> {
        let clause = conditions.clause();
        let count = conditions.select(format!("-- {}\nSELECT count(*){}{clause}", self.count, self.from));
        let limit = paging.limit();
        let offset = if is_behind_cursor { 0 } else { paging.offset() };
        // One row too many tells whether there is more.
        let statement = format!(
            "-- {}{} LIMIT {} OFFSET {offset}",
            self.list,
            page.statement,
            limit + 1
        );
        let client = store.get().await?;
        let total = client
            .query_one(&count.statement, &count.parameters())
            .await
            .map_err(Error::statement(self.count))?;
        let mut items = client
            .query(&statement, &page.parameters())
            .await
            .map_err(Error::statement(self.list))?;
        let next = cut(&mut items, limit, ("id", self.columns), order);
        Ok(Part {
            items,
            total: total.get(0),
            next,
        })
    }
}

/// Cuts what was asked for with one row too many; the keys begin at column `first`.
fn cut<K: Sorted>(
    rows: &mut Vec<Row>,
    limit: i64,
    (id, first): (&str, usize),
    order: &[Order<K>],
) -> Option<Cursor> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if rows.len() <= limit {
        return None;
    }
    rows.truncate(limit);
    rows.last().map(|last| Cursor::of(last, id, first, order))
}
