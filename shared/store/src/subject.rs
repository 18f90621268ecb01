//! What things are in, as rights see it.

use crate::entity::Reference;
use crate::{Error, Store};
use std::collections::HashMap;
use uuid::Uuid;
use vmscope_model::access::Subject;
use vmscope_model::{HostId, VmId};

/// What a virtual machine is in; `None` when there is no such.
///
/// # Errors
/// The database's failures.
pub async fn of_vm(store: &Store, vm: VmId) -> Result<Option<Subject>, Error> {
    Ok(of_vms(store, &[vm]).await?.remove(&vm))
}

/// What each of these virtual machines is in; those that do not exist are left out.
///
/// # Errors
/// The database's failures.
pub async fn of_vms(store: &Store, vms: &[VmId]) -> Result<HashMap<VmId, Subject>, Error> {
    const GROUPS_OF_VMS: &str = "\
-- groups_of_vms
SELECT v.uuid, array_remove(array_agg(m.group_id), NULL)
FROM vm v LEFT JOIN vm_group_member m ON m.vm_id = v.id WHERE v.uuid = ANY ($1) GROUP BY v.id";
    let ids: Vec<Uuid> = vms.iter().map(|vm| vm.0).collect();
    let rows = store
        .get()
        .await?
        .query(GROUPS_OF_VMS, &[&ids])
        .await
        .map_err(Error::statement("groups_of_vms"))?;
    let pair = |row: &tokio_postgres::Row| (VmId(row.get(0)), Subject::within(row.get::<_, Vec<Uuid>>(1)));
    Ok(rows.iter().map(pair).collect())
}

/// What each of these hosts is in: all groups of its virtual machines. Those that do not exist are left out.
///
/// # Errors
/// The database's failures.
pub async fn of_hosts(store: &Store, hosts: &[HostId]) -> Result<HashMap<HostId, Subject>, Error> {
    const GROUPS_OF_HOSTS: &str = "\
-- groups_of_hosts
SELECT h.uuid, array_remove(array_agg(DISTINCT m.group_id), NULL)
FROM host h LEFT JOIN vm v ON v.host_id = h.id LEFT JOIN vm_group_member m ON m.vm_id = v.id
WHERE h.uuid = ANY ($1) GROUP BY h.id";
    let ids: Vec<Uuid> = hosts.iter().map(|host| host.0).collect();
    let rows = store
        .get()
        .await?
        .query(GROUPS_OF_HOSTS, &[&ids])
        .await
        .map_err(Error::statement("groups_of_hosts"))?;
    let pair = |row: &tokio_postgres::Row| (HostId(row.get(0)), Subject::within(row.get::<_, Vec<Uuid>>(1)));
    Ok(rows.iter().map(pair).collect())
}

/// Whose a thing is: a host's, or a virtual machine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// A host, or a device of its own.
    Host,
    /// A virtual machine, or a device of its.
    Vm,
}

/// Whose a host, virtual machine or device is, and what that is in; `None` when there is no such.
///
/// # Errors
/// The database's failures.
pub async fn of_entity(store: &Store, entity: Reference) -> Result<Option<(Whose, Subject)>, Error> {
    const OWNER_OF_DEVICE: &str = "\
-- owner_of_device
SELECT h.uuid, v.uuid FROM device d JOIN host h ON h.id = d.host_id LEFT JOIN vm v ON v.id = d.vm_id WHERE d.id = $1";
    let (host, vm) = match entity {
        Reference::Host(host) => (host, None),
        Reference::Vm(vm) => return Ok(of_vm(store, vm).await?.map(|subject| (Whose::Vm, subject))),
        Reference::Device { id, .. } => {
            let row = store
                .get()
                .await?
                .query_opt(OWNER_OF_DEVICE, &[&id])
                .await
                .map_err(Error::statement("owner_of_device"))?;
            let Some(row) = row else { return Ok(None) };
            (HostId(row.get(0)), row.get::<_, Option<Uuid>>(1).map(VmId))
        }
    };
    if let Some(vm) = vm {
        return Ok(of_vm(store, vm).await?.map(|subject| (Whose::Vm, subject)));
    }
    let subject = of_hosts(store, &[host]).await?.remove(&host);
    Ok(subject.map(|subject| (Whose::Host, subject)))
}
