//! What is kept of things: since when in which tier, and how far it is rolled up.

use super::parts::{Held, Subject};
use super::{Query, Tier};
use crate::Error;
use crate::instant::BELIEVED_US;
use jiff::Timestamp;
use tokio_postgres::GenericClient;
use vmscope_model::Kind;

/// Before this moment nothing is believed to have been sampled.
pub(super) fn first() -> Timestamp {
    Timestamp::from_microsecond(BELIEVED_US.start).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The things with these ids, with their hosts.
pub(super) async fn subjects(
    client: &impl GenericClient,
    kind: Kind,
    entities: &[i32],
) -> Result<Vec<Subject>, Error> {
    let things = match kind {
        Kind::Host => "SELECT id, id AS host_id FROM host",
        Kind::Vm => "SELECT id, host_id FROM vm",
        Kind::Vcpu | Kind::Disk | Kind::Nic => "SELECT id, host_id FROM device",
    };
    let statement =
        format!("-- history_subjects\nSELECT t.id, t.host_id FROM ({things}) t WHERE t.id = ANY ($1)");
    let rows = client
        .query(&statement, &[&entities])
        .await
        .map_err(Error::statement("history_subjects"))?;
    let subject = |row: &tokio_postgres::Row| Subject {
        entity_id: row.get(0),
        host_id: row.get(1),
        rolled_until: first(),
    };
    Ok(rows.iter().map(subject).collect())
}

/// Since when there is what.
pub(super) async fn held(_client: &impl GenericClient, _kind: Kind) -> Result<Held, Error> {
    Ok(Held {
        raw_from: first(),
        hour_from: first(),
    })
}

/// Whether a rolled tier has something of the things in a span.
pub(super) async fn has(
    _client: &impl GenericClient,
    _query: &Query,
    _tier: Tier,
    _from: Timestamp,
    _to: Timestamp,
) -> Result<bool, Error> {
    Ok(false)
}
