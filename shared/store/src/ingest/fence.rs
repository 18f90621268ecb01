//! The fence: whether a batch comes from the session that speaks for its host.

use super::HostBatch;
use crate::Error;
use std::collections::HashMap;
use tokio_postgres::Transaction;

/// Holds a share of the sessions of all hosts in `batches` until the transaction ends, and refuses batches of older ones.
///
/// No session of these hosts begins meanwhile. The shares are taken before the marks' locks, in the order of the hosts,
/// and the beginning of a session locks nothing else, so nobody waits in a circle.
///
/// # Errors
/// [`Error::Fenced`] with every batch whose session is not the newest.
pub(super) async fn check(transaction: &Transaction<'_>, batches: &[HostBatch]) -> Result<(), Error> {
    const CHECK_FENCES: &str = "\
-- check_fences
SELECT host_id, fence FROM host_session WHERE host_id = ANY ($1) ORDER BY host_id FOR SHARE";
    let mut hosts: Vec<i32> = batches.iter().map(|batch| batch.host_id).collect();
    hosts.sort_unstable();
    hosts.dedup();
    let rows = transaction
        .query(CHECK_FENCES, &[&hosts])
        .await
        .map_err(Error::statement("check_fences"))?;
    let newest: HashMap<i32, i64> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let old: Vec<usize> = batches
        .iter()
        .enumerate()
        .filter(|(_, batch)| newest.get(&batch.host_id) != Some(&batch.fence))
        .map(|(index, _)| index)
        .collect();
    if old.is_empty() {
        Ok(())
    } else {
        Err(Error::Fenced { batches: old })
    }
}
