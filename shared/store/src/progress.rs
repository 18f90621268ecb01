//! How far each agent run's samples are stored.

use crate::{Error, Store};
use vmscope_model::Position;

/// The highest stored sequence of each known epoch of a host, by epoch.
///
/// # Errors
/// The database's failures.
pub async fn marks(store: &Store, host_id: i32) -> Result<Vec<Position>, Error> {
    const MARKS: &str = "\
-- marks
SELECT epoch, sequence FROM ingest_progress WHERE host_id = $1 ORDER BY epoch";
    let client = store.get().await?;
    let rows = client
        .query(MARKS, &[&host_id])
        .await
        .map_err(Error::statement("marks"))?;
    Ok(rows
        .iter()
        .map(|row| Position {
            epoch: row.get::<_, i64>(0).cast_unsigned(),
            sequence: row.get::<_, i64>(1).cast_unsigned(),
        })
        .collect())
}
