//! Where rows come from.

mod cells;
mod history;

pub use history::{Entities, HistoryQuery};

use crate::{Cell, Column, Error};
use history::History;
use vmscope_model::access::Effective;
use vmscope_store::export::{self, Cursor};
use vmscope_store::{Store, gap, host, vm};

/// Rows, a batch at a time.
pub struct Source {
    columns: Vec<Column>,
    rows: Rows,
}

enum Rows {
    Vms(Cursor<vm::Vm>),
    Hosts {
        cursor: Cursor<host::Host>,
        store: Store,
        filter: host::Filter,
    },
    Gaps(Cursor<gap::Entry>),
    History(Box<History>),
}

impl Source {
    pub(crate) fn vms(cursor: Cursor<vm::Vm>) -> Self {
        Self {
            columns: cells::columns(cells::VM),
            rows: Rows::Vms(cursor),
        }
    }

    pub(crate) fn hosts(cursor: Cursor<host::Host>, store: &Store, filter: host::Filter) -> Self {
        Self {
            columns: cells::columns(cells::HOST),
            rows: Rows::Hosts {
                cursor,
                store: store.clone(),
                filter,
            },
        }
    }

    pub(crate) fn gaps(cursor: Cursor<gap::Entry>) -> Self {
        Self {
            columns: cells::columns(cells::GAP),
            rows: Rows::Gaps(cursor),
        }
    }

    pub(crate) async fn history(
        store: &Store,
        query: HistoryQuery,
        rights: &Effective,
    ) -> Result<Self, Error> {
        let history = History::open(store, query, rights).await?;
        Ok(Self {
            columns: history.columns(),
            rows: Rows::History(Box::new(history)),
        })
    }

    /// What each row has, in this order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// How many rows there are, where that can be known before.
    pub(crate) async fn total(&self) -> Result<Option<u64>, Error> {
        let count = match &self.rows {
            Rows::Vms(cursor) => cursor.count().await?,
            Rows::Hosts { cursor, .. } => cursor.count().await?,
            Rows::Gaps(cursor) => cursor.count().await?,
            Rows::History(_) => return Ok(None),
        };
        Ok(u64::try_from(count).ok())
    }

    /// The next rows, which may be few; none at the end.
    ///
    /// # Errors
    /// The database's failures.
    pub async fn next(&mut self) -> Result<Option<Vec<Vec<Cell>>>, Error> {
        let rows: Vec<Vec<Cell>> = match &mut self.rows {
            Rows::Vms(cursor) => cursor.next().await?.into_iter().map(cells::vm).collect(),
            Rows::Hosts {
                cursor,
                store,
                filter,
            } => {
                let mut hosts = cursor.next().await?;
                export::count_vms(store, &mut hosts, filter).await?;
                hosts.into_iter().map(cells::host).collect()
            }
            Rows::Gaps(cursor) => cursor.next().await?.into_iter().map(cells::gap).collect(),
            Rows::History(history) => return history.next().await,
        };
        Ok((!rows.is_empty()).then_some(rows))
    }
}
