//! What guests last said of themselves.

use crate::{Error, Store};
use jiff::Timestamp;
use vmscope_model::{Guest, VmId};

/// What the system inside of a VM said, and when; `None` when it never said anything.
///
/// # Errors
/// The database's failures, or [`Error::GuestFacts`] for what a newer build may have stored.
pub async fn get(store: &Store, vm: VmId) -> Result<Option<(Timestamp, Guest)>, Error> {
    const GET_GUEST: &str = "\
-- get_guest
SELECT g.as_of, g.facts::text FROM guest g JOIN vm v ON v.id = g.vm_id WHERE v.uuid = $1";
    let client = store.get().await?;
    let row = client
        .query_opt(GET_GUEST, &[&vm.0])
        .await
        .map_err(Error::statement("get_guest"))?;
    let read = |row: tokio_postgres::Row| {
        let facts = serde_json::from_str(row.get(1)).map_err(Error::GuestFacts)?;
        Ok((row.get(0), facts))
    };
    row.map(read).transpose()
}
