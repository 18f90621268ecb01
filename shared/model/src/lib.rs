//! The vocabulary of vmscope: what is measured, how a measurement is named, held and put on the wire.
//!
//! Pure: no I/O, no clock, no async. Every other package speaks in these words.

pub mod access;
pub mod catalogue;
mod codec;
pub mod entity;
pub mod gap;
pub mod guest;
pub mod label;
pub mod metric;
pub mod rate;
pub mod record;
pub mod rule;
pub mod sample;
pub mod wire;

pub use entity::{Entity, HostId, Kind, Owner, VmId};
pub use gap::{Cause, Gap, Group, Span};
pub use guest::{Guest, GuestFacts};
pub use metric::{Metric, Unit};
pub use sample::{Fact, HostFacts, Position, Record, RunFacts, Table, Tick, Value, VmFacts};
