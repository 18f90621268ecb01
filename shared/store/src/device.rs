//! Devices of VMs and hosts.

use crate::entity::Reference;
use crate::{Error, Store};
use vmscope_model::Kind;

/// A device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its database id.
    pub id: i32,
    /// Vcpu, disk or NIC.
    pub kind: Kind,
    /// Its name within its owner; the number of a processor.
    pub name: String,
}

/// The devices of a VM, or of a host itself; processors by number, the others by name. A device has none.
///
/// # Errors
/// The database's failures.
pub async fn list(store: &Store, owner: Reference) -> Result<Vec<Device>, Error> {
    const LIST_HOST_DEVICES: &str = "\
-- list_host_devices
SELECT d.id, d.kind, d.name FROM device d JOIN host h ON h.id = d.host_id
WHERE h.uuid = $1 AND d.vm_id IS NULL ORDER BY d.kind, length(d.name) * (d.kind = 2)::int4, d.name";
    const LIST_VM_DEVICES: &str = "\
-- list_vm_devices
SELECT d.id, d.kind, d.name FROM device d JOIN vm v ON v.id = d.vm_id
WHERE v.uuid = $1 ORDER BY d.kind, length(d.name) * (d.kind = 2)::int4, d.name";
    let (statement, uuid) = match owner {
        Reference::Host(host) => (LIST_HOST_DEVICES, host.0),
        Reference::Vm(vm) => (LIST_VM_DEVICES, vm.0),
        Reference::Device { .. } => return Ok(Vec::new()),
    };
    let client = store.get().await?;
    let rows = client
        .query(statement, &[&uuid])
        .await
        .map_err(Error::statement("list_devices"))?;
    let device = |row: &tokio_postgres::Row| {
        let code: i16 = row.get(1);
        let kind = usize::try_from(code)
            .ok()
            .and_then(|index| Kind::ALL.get(index))
            .copied();
        kind.map(|kind| Device {
            id: row.get(0),
            kind,
            name: row.get(2),
        })
    };
    // The table's check constraint keeps other kinds out.
    Ok(rows.iter().filter_map(device).collect())
}
