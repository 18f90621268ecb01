//! The things whose history is exported: their ids and names.

use crate::access::vm_within;
use crate::entity::Reference;
use crate::export::BATCH;
use crate::{Error, Store};
use uuid::Uuid;
use vmscope_model::access::Reach;
use vmscope_model::{HostId, VmId};

/// A thing with a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entity {
    /// As the API names it.
    pub reference: Reference,
    /// Its database id.
    pub id: i32,
    /// Its name; of a device, within its owner.
    pub name: String,
}

/// One thing; whose it is, and whether somebody may see it, is not asked here ([`crate::subject::of_entity`]).
///
/// # Errors
/// The database's failures.
pub async fn find(store: &Store, reference: Reference) -> Result<Option<Entity>, Error> {
    const EXPORT_ENTITY: &str = "\
-- export_entity
SELECT id, name FROM host WHERE uuid = $1
UNION ALL SELECT id, name FROM vm WHERE uuid = $2
UNION ALL SELECT id, name FROM device WHERE id = $3 AND kind = $4";
    let (mut host, mut vm, mut device) = (None, None, None);
    match reference {
        Reference::Host(id) => host = Some(id.0),
        Reference::Vm(id) => vm = Some(id.0),
        Reference::Device { id, .. } => device = Some(id),
    }
    let kind = crate::entity::kind_code(reference.kind());
    let row = store
        .get()
        .await?
        .query_opt(EXPORT_ENTITY, &[&host, &vm, &device, &kind])
        .await
        .map_err(Error::statement("export_entity"))?;
    Ok(row.map(|row| Entity {
        reference,
        id: row.get(0),
        name: row.get(1),
    }))
}

/// Which virtual machines: all, or those of a group or of hosts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Members {
    /// Only those of this group.
    pub group: Option<Uuid>,
    /// Only those of these hosts.
    pub hosts: Option<Vec<HostId>>,
    /// Only those within this.
    pub reach: Reach,
}

/// The next virtual machines with a database id above `after`, by it; and how many there are above it.
///
/// # Errors
/// The database's failures.
pub async fn members(store: &Store, members: &Members, after: i32) -> Result<(Vec<Entity>, i64), Error> {
    let statement = format!(
        "-- export_members
SELECT v.uuid, v.id, v.name, count(*) OVER () FROM vm v JOIN host h ON h.id = v.host_id
WHERE v.id > $1 AND ($2::uuid IS NULL OR EXISTS (SELECT FROM vm_group_member m WHERE m.vm_id = v.id AND m.group_id = $2))
    AND ($3::uuid[] IS NULL OR h.uuid = ANY ($3))
    AND {}
ORDER BY v.id LIMIT $6",
        vm_within("v.id", 4, 5)
    );
    let hosts: Option<Vec<Uuid>> = members
        .hosts
        .as_ref()
        .map(|hosts| hosts.iter().map(|host| host.0).collect());
    let (allowed, denied) = (members.reach.allowed(), members.reach.denied());
    let rows = store
        .get()
        .await?
        .query(
            &statement,
            &[&after, &members.group, &hosts, &allowed, &denied, &BATCH],
        )
        .await
        .map_err(Error::statement("export_members"))?;
    let left = rows.first().map_or(0, |row| row.get(3));
    let entity = |row: &tokio_postgres::Row| Entity {
        reference: Reference::Vm(VmId(row.get(0))),
        id: row.get(1),
        name: row.get(2),
    };
    Ok((rows.iter().map(entity).collect(), left))
}
