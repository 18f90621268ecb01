//! Facts of the ticks, into the rows of their hosts and VMs.

use crate::{Error, instant};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tokio_postgres::{Row, Transaction};
use vmscope_model::{Fact, GuestFacts, HostFacts, Tick, VmId};

/// Writes the facts of `ticks`, the last of each host and VM; `vm_ids` must hold every VM that they name. The VMs of which rules and
/// searches know something else now are added to `changed`.
pub(super) async fn write(
    transaction: &Transaction<'_>,
    ticks: &[(i32, &Tick)],
    vm_ids: &HashMap<VmId, i32>,
    changed: &mut BTreeSet<i32>,
) -> Result<(), Error> {
    // Sorted: rows are locked in one order.
    let (mut hosts, mut names, mut guests) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let id_of = |vm: &VmId| {
        vm_ids.get(vm).copied().ok_or(Error::Missing {
            operation: "write_vm_facts",
        })
    };
    for (host_id, tick) in ticks {
        for fact in &tick.facts {
            match fact {
                Fact::Host(facts) => {
                    hosts.insert(*host_id, facts);
                }
                Fact::Vm(facts) => {
                    let name = Named {
                        host_id: *host_id,
                        time_us: tick.time_us,
                        name: text(&facts.name),
                    };
                    let known = names.entry(id_of(&facts.vm)?).or_insert_with(|| name.clone());
                    // A host's own words come in order; another host's may be older.
                    if known.host_id == name.host_id || known.time_us <= name.time_us {
                        *known = name;
                    }
                }
                Fact::Guest(facts) => {
                    guests.insert(id_of(&facts.vm)?, facts);
                }
                // The ledger's.
                Fact::Run(_) => {}
            }
        }
    }
    for (host_id, facts) in hosts {
        changed.extend(write_host(transaction, host_id, facts).await?);
    }
    changed.extend(write_vms(transaction, names).await?);
    changed.extend(write_guests(transaction, guests).await?);
    Ok(())
}

/// Text as PostgreSQL can hold it: without NUL.
fn text(text: &str) -> String {
    text.replace('\0', "")
}

/// Gives the VMs of a host that has another name now.
async fn write_host(
    transaction: &Transaction<'_>,
    host_id: i32,
    facts: &HostFacts,
) -> Result<Vec<i32>, Error> {
    const WRITE_HOST_FACTS: &str = "\
-- write_host_facts
WITH known AS (SELECT id, name FROM host WHERE id = $1 FOR NO KEY UPDATE), written AS (
UPDATE host SET name = coalesce(nullif($2, ''), known.name), os = $3, kernel = $4, cpu_model = $5, cpu_count = $6,
    memory_bytes = $7, hypervisor = $8, agent_version = $9, boot_at = $10
FROM known WHERE host.id = known.id RETURNING host.name AS name, known.name AS old)
SELECT vm.id FROM written JOIN vm ON vm.host_id = $1 WHERE written.name <> written.old";
    let range = |what, number: u64| Error::Range {
        what,
        number: number.into(),
    };
    let cpu_count = i32::try_from(facts.cpu_count).map_err(|_| range("cpu_count", facts.cpu_count.into()))?;
    let memory_bytes =
        i64::try_from(facts.memory_bytes).map_err(|_| range("memory_bytes", facts.memory_bytes))?;
    // 0 means that the agent could not read it.
    let boot_at = (facts.boot_time_us != 0)
        .then(|| instant::timestamp(facts.boot_time_us))
        .transpose()?;
    let (name, os, kernel) = (text(&facts.name), text(&facts.os), text(&facts.kernel));
    let (cpu_model, hypervisor) = (text(&facts.cpu_model), text(&facts.hypervisor));
    let agent_version = text(&facts.agent_version);
    let renamed = transaction
        .query(
            WRITE_HOST_FACTS,
            &[
                &host_id,
                &name,
                &os,
                &kernel,
                &cpu_model,
                &cpu_count,
                &memory_bytes,
                &hypervisor,
                &agent_version,
                &boot_at,
            ],
        )
        .await
        .map_err(Error::statement("write_host_facts"))?;
    Ok(numbers(&renamed))
}

/// What a host says that a VM is called.
#[derive(Debug, Clone)]
struct Named {
    host_id: i32,
    time_us: i64,
    name: String,
}

/// Gives those that have another name now. What a host says late of a VM that has left it does not count, unless what is known is of a
/// time still to come: that host's clock was wrong.
async fn write_vms(transaction: &Transaction<'_>, names: BTreeMap<i32, Named>) -> Result<Vec<i32>, Error> {
    const WRITE_VM_FACTS: &str = "\
-- write_vm_facts
UPDATE vm SET name = f.name FROM unnest($1::int4[], $2::int4[], $3::timestamptz[], $4::text[]) AS f (id, host_id, said_at, name)
WHERE vm.id = f.id AND f.name <> '' AND vm.name <> f.name
    AND (vm.host_id = f.host_id OR vm.last_seen_at IS NULL OR vm.last_seen_at <= f.said_at OR vm.last_seen_at > now())
RETURNING vm.id";
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let (mut ids, mut hosts, mut times, mut texts) = (vec![], vec![], vec![], vec![]);
    for (id, named) in names {
        ids.push(id);
        hosts.push(named.host_id);
        times.push(instant::timestamp(named.time_us)?);
        texts.push(named.name);
    }
    let renamed = transaction
        .query(WRITE_VM_FACTS, &[&ids, &hosts, &times, &texts])
        .await
        .map_err(Error::statement("write_vm_facts"))?;
    Ok(numbers(&renamed))
}

/// The database ids that a statement has returned.
fn numbers(rows: &[Row]) -> Vec<i32> {
    rows.iter().map(|row| row.get(0)).collect()
}

/// Gives those that said something new about their names or addresses. Older facts don't replace newer ones, unless those are of a time still to come: their host's clock was wrong.
async fn write_guests(
    transaction: &Transaction<'_>,
    guests: BTreeMap<i32, &GuestFacts>,
) -> Result<Vec<i32>, Error> {
    const WRITE_GUEST_FACTS: &str = "\
-- write_guest_facts
WITH old AS (SELECT vm_id, facts FROM guest WHERE vm_id = ANY ($1)), written AS (
INSERT INTO guest AS g (vm_id, as_of, facts)
SELECT vm_id, as_of, facts::jsonb FROM unnest($1::int4[], $2::timestamptz[], $3::text[]) AS f (vm_id, as_of, facts)
ON CONFLICT (vm_id) DO UPDATE SET as_of = excluded.as_of, facts = excluded.facts
WHERE g.as_of <= excluded.as_of OR g.as_of > now()
RETURNING vm_id, facts)
SELECT w.vm_id FROM written w LEFT JOIN old USING (vm_id)
WHERE (w.facts -> 'host_name', w.facts -> 'interfaces') IS DISTINCT FROM (old.facts -> 'host_name', old.facts -> 'interfaces')";
    let (mut ids, mut times, mut facts) = (vec![], vec![], vec![]);
    for (id, guest) in guests {
        ids.push(id);
        times.push(instant::timestamp(guest.as_of_us)?);
        facts.push(serde_json::to_string(&guest.guest).map_err(Error::GuestFacts)?);
    }
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let news = transaction
        .query(WRITE_GUEST_FACTS, &[&ids, &times, &facts])
        .await
        .map_err(Error::statement("write_guest_facts"))?;
    Ok(numbers(&news))
}
