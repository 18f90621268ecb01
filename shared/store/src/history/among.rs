//! Whose history: things by name, of a group, of hosts, or all that somebody may see.

use crate::access::{host_within, vm_within};
use crate::entity::{Reference, kind_code};
use crate::{Error, Store};
use std::collections::HashMap;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;
use vmscope_model::access::Reach;
use vmscope_model::{HostId, Kind, VmId};

/// A thing with what people call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thing {
    /// Its database id.
    pub id: i32,
    /// How the API names it.
    pub reference: Reference,
    /// Its name; that of a device is within its owner.
    pub name: String,
    /// UUID and name of its host; that of a VM which nobody samples may not be known.
    pub host: Option<(HostId, String)>,
    /// UUID and name of the VM that it is, or belongs to.
    pub vm: Option<(VmId, String)>,
}

/// Which things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Among {
    /// These, of the kind.
    Things(Vec<Reference>),
    /// The members of a group of VMs, the hosts that they are on, or their devices.
    Group(Uuid),
    /// These hosts, what runs on them, or all devices there.
    Hosts(Vec<HostId>),
    /// Everything.
    All,
}

/// What somebody may see.
#[derive(Debug, Clone, Copy)]
pub struct Sight<'a> {
    /// Hosts, and devices of their own.
    pub hosts: &'a Reach,
    /// Virtual machines and their devices.
    pub vms: &'a Reach,
}

/// Those things of a kind that exist and that somebody may see: in the order in which they are named, else by name. At most `limit`.
///
/// # Errors
/// The database's failures.
pub async fn find(
    store: &Store,
    kind: Kind,
    among: &Among,
    sight: Sight<'_>,
    limit: usize,
) -> Result<Vec<Thing>, Error> {
    let statement = statement(kind, among);
    let (uuids, ids) = keys(among);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let (hosts, vms) = (sight.hosts, sight.vms);
    let code = kind_code(kind);
    let parameters: [&(dyn ToSql + Sync); 8] = [
        &uuids,
        &ids,
        &code,
        &limit,
        &hosts.allowed(),
        &hosts.denied(),
        &vms.allowed(),
        &vms.denied(),
    ];
    let client = store.get().await?;
    let rows = client
        .query(&statement, &parameters)
        .await
        .map_err(Error::statement("history_things"))?;
    let mut things: Vec<Thing> = rows.iter().map(|row| thing(kind, row)).collect();
    if let Among::Things(references) = among {
        let place: HashMap<Reference, usize> = references.iter().copied().zip(0..).collect();
        things.sort_by_key(|thing| place.get(&thing.reference).copied());
    }
    Ok(things)
}

/// UUIDs and database ids that the statement looks for.
fn keys(among: &Among) -> (Vec<Uuid>, Vec<i32>) {
    match among {
        Among::Group(group) => (vec![*group], Vec::new()),
        Among::Hosts(hosts) => (hosts.iter().map(|host| host.0).collect(), Vec::new()),
        Among::All => (Vec::new(), Vec::new()),
        Among::Things(things) => {
            let uuid = |thing: &Reference| match thing {
                Reference::Host(host) => Some(host.0),
                Reference::Vm(vm) => Some(vm.0),
                Reference::Device { .. } => None,
            };
            let id = |thing: &Reference| match thing {
                Reference::Device { id, .. } => Some(*id),
                Reference::Host(_) | Reference::Vm(_) => None,
            };
            (
                things.iter().filter_map(uuid).collect(),
                things.iter().filter_map(id).collect(),
            )
        }
    }
}

fn statement(kind: Kind, among: &Among) -> String {
    let (from, id, uuid, name) = match kind {
        Kind::Host => ("host h LEFT JOIN vm v ON false", "h.id", "h.uuid", "h.name"),
        Kind::Vm => (
            "vm v LEFT JOIN host h ON h.id = v.host_id",
            "v.id",
            "v.uuid",
            "v.name",
        ),
        Kind::Vcpu | Kind::Disk | Kind::Nic => (
            "device d JOIN host h ON h.id = d.host_id LEFT JOIN vm v ON v.id = d.vm_id",
            "d.id",
            "NULL::uuid",
            "d.name",
        ),
    };
    let is_device = !matches!(kind, Kind::Host | Kind::Vm);
    let chosen = match among {
        Among::Things(_) if is_device => "d.id = ANY ($2)".to_owned(),
        Among::Things(_) => format!("{uuid} = ANY ($1)"),
        Among::Hosts(_) => "h.uuid = ANY ($1)".to_owned(),
        Among::Group(_) if kind == Kind::Host => {
            "EXISTS (SELECT FROM vm_group_member m JOIN vm g ON g.id = m.vm_id
        WHERE g.host_id = h.id AND m.group_id = ANY ($1))"
                .to_owned()
        }
        Among::Group(_) => {
            "EXISTS (SELECT FROM vm_group_member m WHERE m.vm_id = v.id AND m.group_id = ANY ($1))".to_owned()
        }
        Among::All => "true".to_owned(),
    };
    let is_kind = if is_device { "d.kind = $3" } else { "true" };
    let (host, vm) = (host_within("h.id", 5, 6), vm_within("v.id", 7, 8));
    let seen = match kind {
        Kind::Host => host,
        Kind::Vm => vm,
        _ => format!("CASE WHEN d.vm_id IS NULL THEN {host} ELSE {vm} END"),
    };
    // Naming every parameter once gives it a type, whichever of them this kind needs.
    format!(
        "-- history_things
SELECT {id} AS id, {uuid} AS uuid, {name} AS name, h.uuid AS host_uuid, h.name AS host_name, v.uuid AS vm_uuid, v.name AS vm_name
FROM {from}
WHERE {chosen} AND {is_kind} AND {seen}
AND num_nulls($1::uuid[], $2::int4[], $3::int2, $5::uuid[], $6::uuid[], $7::uuid[], $8::uuid[]) < 8
ORDER BY lower({name}), {id} LIMIT $4"
    )
}

fn thing(kind: Kind, row: &Row) -> Thing {
    let id = row.get("id");
    let reference = match kind {
        Kind::Host => Reference::Host(HostId(row.get("uuid"))),
        Kind::Vm => Reference::Vm(VmId(row.get("uuid"))),
        Kind::Vcpu | Kind::Disk | Kind::Nic => Reference::Device { kind, id },
    };
    let (host, vm): (Option<Uuid>, Option<Uuid>) = (row.get("host_uuid"), row.get("vm_uuid"));
    Thing {
        id,
        reference,
        name: row.get("name"),
        host: host.map(HostId).zip(row.get("host_name")),
        vm: vm.map(VmId).zip(row.get("vm_name")),
    }
}
