//! A cursor of the server over one statement.

use super::BATCH;
use crate::listing::Selection;
use crate::{Error, Store};
use tokio_postgres::{Client, Row};

/// The rows of one statement in one snapshot, [`BATCH`] at a time.
pub struct Cursor<T> {
    client: Client,
    selection: Selection,
    map: fn(&Row) -> T,
    is_declared: bool,
}

impl<T> Cursor<T> {
    /// Opens a snapshot. Nothing is read yet.
    pub(crate) async fn open(store: &Store, selection: Selection, map: fn(&Row) -> T) -> Result<Self, Error> {
        // All rows are wanted, not the first ones soon. Who takes the batches may be a slow download.
        const BEGIN_EXPORT: &str = "\
-- begin_export
SET jit = off;
SET statement_timeout = '2min';
SET idle_in_transaction_session_timeout = '10min';
SET cursor_tuple_fraction = 1;
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let client = store.dedicated().await?;
        client
            .batch_execute(BEGIN_EXPORT)
            .await
            .map_err(Error::statement("begin_export"))?;
        Ok(Self {
            client,
            selection,
            map,
            is_declared: false,
        })
    }

    /// How many rows there are, in the same snapshot.
    ///
    /// # Errors
    /// The database's failures.
    pub async fn count(&self) -> Result<i64, Error> {
        let count = format!(
            "-- count_export\nSELECT count(*) FROM ({}) AS chosen",
            self.selection.statement
        );
        let row = self
            .client
            .query_one(&count, &self.selection.parameters())
            .await
            .map_err(Error::statement("count_export"))?;
        Ok(row.get(0))
    }

    /// The next rows; none at the end.
    ///
    /// # Errors
    /// The database's failures, after which the cursor is of no use any more.
    pub async fn next(&mut self) -> Result<Vec<T>, Error> {
        if !self.is_declared {
            let declare = format!(
                "-- declare_export\nDECLARE export NO SCROLL CURSOR FOR {}",
                self.selection.statement
            );
            self.client
                .execute(&declare, &self.selection.parameters())
                .await
                .map_err(Error::statement("declare_export"))?;
            self.is_declared = true;
        }
        let fetch = format!("-- fetch_export\nFETCH {BATCH} FROM export");
        let rows = self
            .client
            .query(&fetch, &[])
            .await
            .map_err(Error::statement("fetch_export"))?;
        Ok(rows.iter().map(self.map).collect())
    }
}
