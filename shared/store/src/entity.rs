//! Database ids of the things that are measured.
//!
//! Ids are given once and never change; asking again gives the same. Any number of collectors may ask at once: what two
//! insert at the same time, one of them inserts and both read.

use crate::{Error, Store, inventory};
use deadpool_postgres::Object;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use tokio_postgres::GenericClient;
use uuid::Uuid;
use vmscope_model::{Entity, HostId, Kind, Owner, VmId};

/// A thing as the API names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reference {
    /// A host.
    Host(HostId),
    /// A VM.
    Vm(VmId),
    /// A device, by its database id.
    Device {
        /// Its kind.
        kind: Kind,
        /// Its database id.
        id: i32,
    },
}

impl Reference {
    /// Which kind of thing it is.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Host(_) => Kind::Host,
            Self::Vm(_) => Kind::Vm,
            Self::Device { kind, .. } => kind,
        }
    }
}

/// The database id of a host, which is made known when it is new.
///
/// # Errors
/// The database's failures.
pub async fn register_host(store: &Store, host: HostId) -> Result<i32, Error> {
    const REGISTER_HOST: &str = "\
-- register_host
INSERT INTO host (uuid, name) VALUES ($1, $2) ON CONFLICT (uuid) DO NOTHING";
    if let Some(id) = find(store, Reference::Host(host)).await? {
        return Ok(id);
    }
    let client = store.get().await?;
    client
        .execute(REGISTER_HOST, &[&host.0, &host.to_string()])
        .await
        .map_err(Error::statement("register_host"))?;
    drop(client);
    find(store, Reference::Host(host)).await?.ok_or(Error::Missing {
        operation: "register_host",
    })
}

/// The database ids of `entities` of a host, in their order; what is new is made known, in one round for all.
///
/// # Errors
/// The database's failures.
pub async fn resolve(store: &Store, host_id: i32, entities: &[Entity]) -> Result<Vec<i32>, Error> {
    let mut client = store.get().await?;
    let vms: BTreeSet<VmId> = entities.iter().filter_map(vm_of).collect();
    let vm_ids = known_vms(&mut client, host_id, &vms).await?;
    let devices: BTreeSet<Device> = entities
        .iter()
        .filter_map(|entity| Device::new(entity, &vm_ids))
        .collect();
    let device_ids = resolve_devices(&**client, host_id, &devices).await?;
    let id = |entity: &Entity| match entity {
        Entity::Host => Some(host_id),
        Entity::Vm(vm) => vm_ids.get(vm).copied(),
        device => Device::new(device, &vm_ids).and_then(|device| device_ids.get(&device).copied()),
    };
    entities
        .iter()
        .map(|entity| id(entity).ok_or(Error::Missing { operation: "resolve" }))
        .collect()
}

/// The database id of a thing that the API names, if it exists.
///
/// # Errors
/// The database's failures.
pub async fn find(store: &Store, reference: Reference) -> Result<Option<i32>, Error> {
    const FIND_HOST: &str = "\
-- find_host
SELECT id FROM host WHERE uuid = $1";
    const FIND_VM: &str = "\
-- find_vm
SELECT id FROM vm WHERE uuid = $1";
    const FIND_DEVICE: &str = "\
-- find_device
SELECT id FROM device WHERE id = $1 AND kind = $2";
    let client = store.get().await?;
    let row = match reference {
        Reference::Host(host) => client.query_opt(FIND_HOST, &[&host.0]).await,
        Reference::Vm(vm) => client.query_opt(FIND_VM, &[&vm.0]).await,
        Reference::Device { kind, id } => client.query_opt(FIND_DEVICE, &[&id, &kind_code(kind)]).await,
    };
    Ok(row.map_err(Error::statement("find"))?.map(|row| row.get(0)))
}

/// The number of a kind in the database; the order of [`Kind::ALL`], which never changes.
pub(crate) const fn kind_code(kind: Kind) -> i16 {
    kind as i16
}

fn vm_of(entity: &Entity) -> Option<VmId> {
    match entity {
        Entity::Host => None,
        Entity::Vm(vm) => Some(*vm),
        Entity::Vcpu { owner, .. } | Entity::Disk { owner, .. } | Entity::Nic { owner, .. } => match owner {
            Owner::Host => None,
            Owner::Vm(vm) => Some(*vm),
        },
    }
}

/// A device as its row says it. Sorted, so that concurrent inserts take their locks in one order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Device {
    vm_id: Option<i32>,
    kind: i16,
    name: String,
}

impl Device {
    fn new(entity: &Entity, vm_ids: &HashMap<VmId, i32>) -> Option<Self> {
        let (owner, name) = match entity {
            Entity::Host | Entity::Vm(_) => return None,
            Entity::Vcpu { owner, index } => (owner, index.to_string()),
            // PostgreSQL's text has no place for NUL.
            Entity::Disk { owner, name } | Entity::Nic { owner, name } => (owner, name.replace('\0', "")),
        };
        let vm_id = match owner {
            Owner::Host => None,
            Owner::Vm(vm) => Some(*vm_ids.get(vm)?),
        };
        Some(Self {
            vm_id,
            kind: kind_code(entity.kind()),
            name,
        })
    }
}

/// Database ids of VMs; new ones are made known and put into their groups at once.
async fn known_vms(
    client: &mut Object,
    host_id: i32,
    vms: &BTreeSet<VmId>,
) -> Result<HashMap<VmId, i32>, Error> {
    if vms.is_empty() {
        return Ok(HashMap::new());
    }
    let transaction = client
        .transaction()
        .await
        .map_err(Error::statement("resolve_vms"))?;
    let mut new = BTreeSet::new();
    let ids = resolve_vms(&*transaction, host_id, vms, &mut new).await?;
    inventory::refresh::refresh(&*transaction, &new).await?;
    transaction
        .commit()
        .await
        .map_err(Error::statement("resolve_vms"))?;
    Ok(ids)
}

/// Database ids of VMs; those that are inserted, with their UUID for a name, are in `new` and have to be
/// [refreshed](inventory::refresh::refresh) in the same transaction.
pub(crate) async fn resolve_vms(
    client: &impl GenericClient,
    host_id: i32,
    vms: &BTreeSet<VmId>,
    new: &mut BTreeSet<i32>,
) -> Result<HashMap<VmId, i32>, Error> {
    const SELECT_VMS: &str = "\
-- select_vms
SELECT uuid, id FROM vm WHERE uuid = ANY ($1)";
    // Inserting only what is missing: each attempt, even one that conflicts, uses up an id.
    const INSERT_VMS: &str = "\
-- insert_vms
INSERT INTO vm (uuid, host_id, name) SELECT u, $2, u::text FROM unnest($1::uuid[]) AS u ORDER BY 1
ON CONFLICT (uuid) DO NOTHING RETURNING id";
    let mut ids = HashMap::with_capacity(vms.len());
    let mut unknown: Vec<Uuid> = vms.iter().map(|vm| vm.0).collect();
    for inserted in [false, true] {
        if unknown.is_empty() {
            break;
        }
        if inserted {
            let inserted = client
                .query(INSERT_VMS, &[&unknown, &host_id])
                .await
                .map_err(Error::statement("insert_vms"))?;
            new.extend(inserted.iter().map(|row| row.get::<_, i32>(0)));
        }
        let rows = client
            .query(SELECT_VMS, &[&unknown])
            .await
            .map_err(Error::statement("select_vms"))?;
        ids.extend(rows.iter().map(|row| (VmId(row.get(0)), row.get(1))));
        unknown.retain(|uuid| !ids.contains_key(&VmId(*uuid)));
    }
    let vm_ids: Vec<i32> = ids.values().copied().collect();
    note_host(client, host_id, &vm_ids).await?;
    Ok(ids)
}

/// Notes that a host samples these VMs: rollups of it look after them even when they have moved.
async fn note_host(client: &impl GenericClient, host_id: i32, vm_ids: &[i32]) -> Result<(), Error> {
    const NOTE_HOST: &str = "\
-- note_host
INSERT INTO vm_source (host_id, vm_id) SELECT $1, vm_id FROM unnest($2::int4[]) AS u (vm_id)
WHERE NOT EXISTS (SELECT FROM vm_source s WHERE s.host_id = $1 AND s.vm_id = u.vm_id)
ORDER BY vm_id ON CONFLICT DO NOTHING";
    if vm_ids.is_empty() {
        return Ok(());
    }
    client
        .execute(NOTE_HOST, &[&host_id, &vm_ids])
        .await
        .map(drop)
        .map_err(Error::statement("note_host"))
}

async fn resolve_devices(
    client: &impl GenericClient,
    host_id: i32,
    devices: &BTreeSet<Device>,
) -> Result<HashMap<Device, i32>, Error> {
    const SELECT_DEVICES: &str = "\
-- select_devices
SELECT d.vm_id, d.kind, d.name, d.id
FROM unnest($2::int4[], $3::int2[], $4::text[]) AS w (vm_id, kind, name)
JOIN device d ON d.kind = w.kind AND d.name = w.name AND d.vm_id = w.vm_id
UNION ALL
SELECT d.vm_id, d.kind, d.name, d.id
FROM unnest($2::int4[], $3::int2[], $4::text[]) AS w (vm_id, kind, name)
JOIN device d ON d.kind = w.kind AND d.name = w.name AND w.vm_id IS NULL AND d.vm_id IS NULL AND d.host_id = $1";
    const INSERT_DEVICES: &str = "\
-- insert_devices
INSERT INTO device (host_id, vm_id, kind, name)
SELECT $1, vm_id, kind, name FROM unnest($2::int4[], $3::int2[], $4::text[]) AS w (vm_id, kind, name)
ORDER BY vm_id, kind, name
ON CONFLICT DO NOTHING";
    let mut ids = HashMap::with_capacity(devices.len());
    for inserted in [false, true] {
        let unknown: Vec<&Device> = devices
            .iter()
            .filter(|device| !ids.contains_key(*device))
            .collect();
        if unknown.is_empty() {
            break;
        }
        let vm_ids: Vec<Option<i32>> = unknown.iter().map(|device| device.vm_id).collect();
        let kinds: Vec<i16> = unknown.iter().map(|device| device.kind).collect();
        let names: Vec<&str> = unknown.iter().map(|device| device.name.as_str()).collect();
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 4] = [&host_id, &vm_ids, &kinds, &names];
        if inserted {
            client
                .execute(INSERT_DEVICES, &parameters)
                .await
                .map_err(Error::statement("insert_devices"))?;
        }
        let rows = client
            .query(SELECT_DEVICES, &parameters)
            .await
            .map_err(Error::statement("select_devices"))?;
        ids.extend(rows.iter().map(|row| {
            (
                Device {
                    vm_id: row.get(0),
                    kind: row.get(1),
                    name: row.get(2),
                },
                row.get::<_, i32>(3),
            )
        }));
    }
    Ok(ids)
}
