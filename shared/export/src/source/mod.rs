//! Where rows come from.

mod cells;
mod history;

pub use history::{Entities, HistoryQuery};

use crate::{Cell, Column, Error};
use history::History;
use vmscope_model::access::{Effective, Reach};
use vmscope_store::export::{self, Cursor};
use vmscope_store::{Store, gap, host, label, vm};

/// Rows, a batch at a time.
pub struct Source {
    columns: Vec<Column>,
    rows: Rows,
}

enum Rows {
    Vms {
        cursor: Cursor<vm::Vm>,
        store: Store,
    },
    Hosts {
        cursor: Cursor<host::Host>,
        store: Store,
        /// Of the virtual machines, those within this are counted.
        reach: Reach,
    },
    Gaps(Cursor<gap::Entry>),
    History(Box<History>),
}

impl Source {
    pub(crate) fn vms(cursor: Cursor<vm::Vm>, store: &Store) -> Self {
        Self {
            columns: cells::columns(cells::VM),
            rows: Rows::Vms {
                cursor,
                store: store.clone(),
            },
        }
    }

    pub(crate) fn hosts(cursor: Cursor<host::Host>, store: &Store, reach: Reach) -> Self {
        Self {
            columns: cells::columns(cells::HOST),
            rows: Rows::Hosts {
                cursor,
                store: store.clone(),
                reach,
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
            Rows::Vms { cursor, .. } => cursor.count().await?,
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
            Rows::Vms { cursor, store } => {
                let vms = cursor.next().await?;
                let ids: Vec<i32> = vms.iter().map(|vm| vm.vm_id).collect();
                let mut labels = label::of_vms(store, &ids).await?;
                let with = |vm: vm::Vm| {
                    let labels = labels.remove(&vm.vm_id).unwrap_or_default();
                    cells::vm(vm, &labels)
                };
                vms.into_iter().map(with).collect()
            }
            Rows::Hosts { cursor, store, reach } => {
                let mut hosts = cursor.next().await?;
                export::count_vms(store, &mut hosts, reach).await?;
                let ids: Vec<i32> = hosts.iter().map(|host| host.host_id).collect();
                let mut labels = label::of_hosts(store, &ids).await?;
                let with = |host: host::Host| {
                    let labels = labels.remove(&host.host_id).unwrap_or_default();
                    cells::host(host, &labels)
                };
                hosts.into_iter().map(with).collect()
            }
            Rows::Gaps(cursor) => cursor.next().await?.into_iter().map(cells::gap).collect(),
            Rows::History(history) => return history.next().await,
        };
        Ok((!rows.is_empty()).then_some(rows))
    }
}
