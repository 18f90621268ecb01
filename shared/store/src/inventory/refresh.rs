//! Ingest: machines that are new, or have another name, host or guest, are put into their groups before anybody sees that.

use super::plan::{settle, write_search};
use super::{Graph, Which, load};
use crate::Error;
use std::collections::BTreeSet;
use tokio_postgres::GenericClient;

/// Key of the advisory lock for what membership follows from: "vmgroups" in ASCII.
const MEMBERSHIP_LOCK: i64 = 0x766d_6772_6f75_7073;

/// Keeps ingest from placing machines until the transaction ends: for changes of rules, parts, labels and members.
///
/// # Errors
/// The database's failures.
pub(crate) async fn lock(client: &impl GenericClient) -> Result<(), Error> {
    const LOCK_MEMBERSHIP: &str = "\
-- lock_membership
SELECT pg_advisory_xact_lock($1)";
    client
        .execute(LOCK_MEMBERSHIP, &[&MEMBERSHIP_LOCK])
        .await
        .map_err(Error::statement("lock_membership"))?;
    Ok(())
}

/// Puts these machines, by database id, where they belong now. The last thing in a transaction that takes locks: from here to
/// its end no rule changes.
///
/// # Errors
/// The database's failures.
pub(crate) async fn refresh(client: &impl GenericClient, vms: &BTreeSet<i32>) -> Result<(), Error> {
    const SHARE_MEMBERSHIP: &str = "\
-- share_membership
SELECT pg_advisory_xact_lock_shared($1)";
    // What another writer is about to say of the same machines and hosts is waited for.
    const HOLD_VMS: &str = "\
-- hold_vms
SELECT v.id FROM vm v JOIN host h ON h.id = v.host_id WHERE v.id = ANY ($1) ORDER BY v.id
FOR NO KEY UPDATE OF v FOR SHARE OF h";
    const MARK_PLACED: &str = "\
-- mark_placed
UPDATE vm SET placed_on = host_id WHERE id = ANY ($1) AND placed_on IS DISTINCT FROM host_id";
    if vms.is_empty() {
        return Ok(());
    }
    let vms: Vec<i32> = vms.iter().copied().collect();
    client
        .execute(SHARE_MEMBERSHIP, &[&MEMBERSHIP_LOCK])
        .await
        .map_err(Error::statement("share_membership"))?;
    client
        .execute(HOLD_VMS, &[&vms])
        .await
        .map_err(Error::statement("hold_vms"))?;
    let graph = Graph::load(client).await?;
    if !graph.is_plain() {
        settle(client, &graph, &load(client, Which::Numbers(&vms)).await?).await?;
    }
    write_search(client, &vms).await?;
    client
        .execute(MARK_PLACED, &[&vms])
        .await
        .map_err(Error::statement("mark_placed"))?;
    Ok(())
}
