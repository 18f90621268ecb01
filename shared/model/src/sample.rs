//! Samples in memory: what an agent takes, what a collector stores, what a live feed carries.

use crate::entity::{Entity, Kind, VmId};
use crate::gap::{Cause, Gap};
use crate::guest::GuestFacts;
use bincode::{Decode, Encode};
use std::fmt;

/// One measured integer (value times the metric's `scale`), or nothing.
///
/// Eight bytes, because a collector holds millions: `i64::MIN` stands for "absent" and is no valid measurement.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Encode, Decode)]
pub struct Value(i64);

impl Value {
    /// No measurement.
    pub const ABSENT: Self = Self(i64::MIN);

    /// A measurement. `i64::MIN` can't be told from absence and becomes it.
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// The measurement, if there is one.
    pub const fn get(self) -> Option<i64> {
        if self.0 == i64::MIN { None } else { Some(self.0) }
    }

    /// The raw eight bytes, absence included.
    pub const fn raw(self) -> i64 {
        self.0
    }
}

impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        number.map_or(Self::ABSENT, Self::new)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.get() {
            Some(number) => number.fmt(f),
            None => f.write_str("-"),
        }
    }
}

/// Rows of one kind at one moment, row-major.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Which catalogue the columns follow.
    pub kind: Kind,
    /// One number a row: an index into the dictionary that comes with the table, or a database id.
    pub entities: Vec<u32>,
    /// `entities.len() * catalogue(kind).len()` values.
    pub values: Vec<Value>,
}

impl Table {
    /// An empty table for `kind`.
    pub const fn new(kind: Kind) -> Self {
        Self {
            kind,
            entities: Vec::new(),
            values: Vec::new(),
        }
    }

    /// The rows: number of the entity, and its values in catalogue order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = (u32, &[Value])> {
        let width = crate::catalogue::metrics(self.kind).len();
        self.entities.iter().copied().zip(self.values.chunks_exact(width))
    }

    /// Appends a row of absent values and returns it for filling, in catalogue order.
    pub fn push(&mut self, entity: u32) -> &mut [Value] {
        let width = crate::catalogue::metrics(self.kind).len();
        let start = self.values.len();
        self.entities.push(entity);
        self.values.resize(start + width, Value::ABSENT);
        &mut self.values[start..]
    }
}

/// What one sampling moment of one host found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tick {
    /// When, in microseconds since the Unix epoch: the moment the answer arrived.
    pub time_us: i64,
    /// At most one table a kind.
    pub tables: Vec<Table>,
    /// Facts that are new or have changed.
    pub facts: Vec<Fact>,
    /// What this moment should have found and did not, and what the buffer lost since the last tick.
    pub gaps: Vec<Gap>,
}

/// A tick that stands alone: table numbers index its own dictionary.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// The entities that the tick speaks of.
    pub dictionary: Vec<Entity>,
    /// The samples.
    pub tick: Tick,
}

impl Record {
    /// Appends a row of absent values for `entity`, of which the record must have none yet, and returns it for
    /// filling, in catalogue order.
    pub fn push(&mut self, entity: Entity) -> &mut [Value] {
        let kind = entity.kind();
        // A record speaks of one host: its things are far from 2^32.
        let number = u32::try_from(self.dictionary.len()).unwrap_or(u32::MAX);
        self.dictionary.push(entity);
        let tables = &mut self.tick.tables;
        let place = tables
            .iter()
            .position(|table| table.kind == kind)
            .unwrap_or_else(|| {
                tables.push(Table::new(kind));
                tables.len() - 1
            });
        tables[place].push(number)
    }
}

/// Where a record stands in what one agent has produced; records are sent and stored in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub struct Position {
    /// One run of one agent: grows with every start, never used twice.
    pub epoch: u64,
    /// Number within the epoch, from 1. Holes are ticks that the buffer dropped.
    pub sequence: u64,
}

/// Something that changes rarely; sent in the first tick of an epoch and when it changes.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Fact {
    /// About the host.
    Host(HostFacts),
    /// About a VM.
    Vm(VmFacts),
    /// About a run of the agent; told in its first tick.
    Run(RunFacts),
    /// About the system inside of a VM.
    Guest(GuestFacts),
}

/// How a run of the agent began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct RunFacts {
    /// Which run.
    pub epoch: u64,
    /// Why there were no ticks between the run before and this one.
    pub before: Cause,
}

/// Static facts of a host. Absent ones are empty or 0.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct HostFacts {
    /// Host name.
    pub name: String,
    /// Operating system with version (`Debian GNU/Linux 12`).
    pub os: String,
    /// Kernel release.
    pub kernel: String,
    /// Processor model.
    pub cpu_model: String,
    /// Logical processors.
    pub cpu_count: u32,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// `QEMU 7.2.17, libvirt 9.0.0`; empty when the agent reports the host alone.
    pub hypervisor: String,
    /// Version of the agent.
    pub agent_version: String,
    /// When the host started, microseconds since the Unix epoch.
    pub boot_time_us: i64,
}

/// Static facts of a VM.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct VmFacts {
    /// Which VM.
    pub vm: VmId,
    /// Name of the libvirt domain.
    pub name: String,
}
