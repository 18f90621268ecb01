//! What the newest rows say of each VM, kept in its own row for the lists.
//!
//! A change of state or host is written at once, and so is a value that was not known before; everything else at most every
//! [`REFRESH_US`] of sample time: a fleet would otherwise update each VM's row every second.
//!
//! What is older than the newest does not count, unless the newest is of a time still to come: then its host's clock was
//! wrong, and has been set back since.

use crate::{Error, instant};
use jiff::Timestamp;
use std::collections::{BTreeSet, HashMap};
use tokio_postgres::Transaction;
use vmscope_model::{Kind, Tick, Value, catalogue::vm};

/// Oldest that an unchanged VM's row may get, in microseconds of sample time.
const REFRESH_US: i64 = 10_000_000;

/// What is written at once when it changes: the host, the state and its reason, and how many of the other values are known.
type Urgent = (i32, State, usize);

/// State and its reason.
type State = (Option<i16>, Option<i16>);

/// The newest values of a VM. Cheap and dear rows alternate, so each value has its own last row.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    host_id: i32,
    time_us: i64,
    state: State,
    vcpus: Option<i32>,
    memory_maximum_bytes: Option<i64>,
    memory_used_bytes: Option<i64>,
    memory_used_source: Option<i16>,
    /// What the VM's row in the database says: its time, and what was urgent.
    written: Option<(i64, Urgent)>,
}

impl Seen {
    fn take(&mut self, host_id: i32, time_us: i64, values: &[Value]) -> Result<(), Error> {
        if time_us < self.time_us && self.time_us <= Timestamp::now().as_microsecond() {
            return Ok(());
        }
        (self.host_id, self.time_us) = (host_id, time_us);
        let newer = |column: usize, seen| values[column].get().or(seen);
        self.memory_maximum_bytes = newer(vm::MEMORY_MAXIMUM_BYTES, self.memory_maximum_bytes);
        self.memory_used_bytes = newer(vm::MEMORY_USED_BYTES, self.memory_used_bytes);
        if let Some(vcpus) = values[vm::VCPU_CURRENT].get() {
            let range = |_| Error::Range {
                what: "vcpu_current",
                number: vcpus.into(),
            };
            self.vcpus = Some(i32::try_from(vcpus).map_err(range)?);
        }
        if let Some(state) = code(values[vm::STATE])? {
            self.state = (Some(state), code(values[vm::STATE_REASON])?);
        }
        self.memory_used_source = code(values[vm::MEMORY_USED_SOURCE])?.or(self.memory_used_source);
        Ok(())
    }

    /// Values are never forgotten: another number of them means that one became known.
    fn urgent(&self) -> Urgent {
        let known = [
            self.vcpus.is_some(),
            self.memory_maximum_bytes.is_some(),
            self.memory_used_bytes.is_some(),
            self.memory_used_source.is_some(),
        ];
        let known = known.into_iter().filter(|known| *known).count();
        (self.host_id, self.state, known)
    }

    fn is_due(&self) -> bool {
        self.written.is_none_or(|(time_us, urgent)| {
            urgent != self.urgent() || (self.time_us - time_us).abs() >= REFRESH_US
        })
    }
}

fn code(value: Value) -> Result<Option<i16>, Error> {
    let range = |number: i64| {
        move |_| Error::Range {
            what: "state",
            number: number.into(),
        }
    };
    value
        .get()
        .map(|number| i16::try_from(number).map_err(range(number)))
        .transpose()
}

/// The newest values of all VMs that a writer has seen: about 100 bytes each.
#[derive(Debug, Default)]
pub(super) struct Latest {
    vms: HashMap<i32, Seen>,
}

impl Latest {
    /// Takes the VM rows of `ticks` and writes what is due; returns the VMs written, for [`Latest::committed`]. Those on another
    /// host than that for which their groups hold are added to `moved`.
    pub(super) async fn write(
        &mut self,
        transaction: &Transaction<'_>,
        ticks: &[(i32, &Tick)],
        moved: &mut BTreeSet<i32>,
    ) -> Result<Vec<i32>, Error> {
        // Sorted: rows are locked in one order.
        let mut touched = BTreeSet::new();
        for (host_id, tick) in ticks {
            for table in tick.tables.iter().filter(|table| table.kind == Kind::Vm) {
                for (entity_id, values) in table.rows() {
                    let vm_id = entity_id.cast_signed();
                    self.vms
                        .entry(vm_id)
                        .or_default()
                        .take(*host_id, tick.time_us, values)?;
                    touched.insert(vm_id);
                }
            }
        }
        let due: Vec<i32> = touched
            .into_iter()
            .filter(|vm_id| self.vms[vm_id].is_due())
            .collect();
        if !due.is_empty() {
            moved.extend(self.update(transaction, &due).await?);
        }
        Ok(due)
    }

    /// The transaction with these updates has committed.
    pub(super) fn committed(&mut self, written: &[i32]) {
        for vm_id in written {
            if let Some(seen) = self.vms.get_mut(vm_id) {
                seen.written = Some((seen.time_us, seen.urgent()));
            }
        }
    }

    /// Writes these; gives those that have moved.
    async fn update(&self, transaction: &Transaction<'_>, due: &[i32]) -> Result<Vec<i32>, Error> {
        // A late row, from a host that the VM has left, changes nothing.
        const UPDATE_VMS: &str = "\
-- update_vms
WITH written AS (
UPDATE vm SET host_id = s.host_id, last_seen_at = s.seen_at, archived_at = NULL, manual = false,
    state = coalesce(s.state, vm.state),
    state_reason = CASE WHEN s.state IS NULL THEN vm.state_reason ELSE s.state_reason END,
    vcpus = coalesce(s.vcpus, vm.vcpus),
    memory_maximum_bytes = coalesce(s.maximum, vm.memory_maximum_bytes),
    memory_used_bytes = coalesce(s.used, vm.memory_used_bytes),
    memory_used_source = coalesce(s.source, vm.memory_used_source)
FROM unnest($1::int4[], $2::int4[], $3::timestamptz[], $4::int2[], $5::int2[], $6::int4[], $7::int8[], $8::int8[], $9::int2[])
    AS s (id, host_id, seen_at, state, state_reason, vcpus, maximum, used, source)
WHERE vm.id = s.id AND (vm.last_seen_at IS NULL OR vm.last_seen_at <= s.seen_at OR vm.last_seen_at > now())
RETURNING vm.id, vm.host_id, vm.placed_on)
SELECT id FROM written WHERE host_id IS DISTINCT FROM placed_on";
        let seen: Vec<&Seen> = due.iter().map(|vm_id| &self.vms[vm_id]).collect();
        let hosts: Vec<i32> = seen.iter().map(|seen| seen.host_id).collect();
        let times = seen
            .iter()
            .map(|seen| instant::timestamp(seen.time_us))
            .collect::<Result<Vec<_>, _>>()?;
        let states: Vec<Option<i16>> = seen.iter().map(|seen| seen.state.0).collect();
        let reasons: Vec<Option<i16>> = seen.iter().map(|seen| seen.state.1).collect();
        let vcpus: Vec<Option<i32>> = seen.iter().map(|seen| seen.vcpus).collect();
        let maxima: Vec<Option<i64>> = seen.iter().map(|seen| seen.memory_maximum_bytes).collect();
        let used: Vec<Option<i64>> = seen.iter().map(|seen| seen.memory_used_bytes).collect();
        let sources: Vec<Option<i16>> = seen.iter().map(|seen| seen.memory_used_source).collect();
        let moved = transaction
            .query(
                UPDATE_VMS,
                &[
                    &due, &hosts, &times, &states, &reasons, &vcpus, &maxima, &used, &sources,
                ],
            )
            .await
            .map_err(Error::statement("update_vms"))?;
        Ok(moved.iter().map(|row| row.get(0)).collect())
    }
}
