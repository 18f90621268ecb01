//! Writing ticks: exactly once, many at a time.
//!
//! [`Writer::commit`] puts batches of any number of hosts into one transaction: it checks that each comes from its host's
//! newest session, locks the progress marks, drops ticks at or below them, writes facts, gaps and rows
//! (`COPY ... FROM STDIN (FORMAT binary)`, sorted by entity and time), moves the marks and commits.
//!
//! Invariants: a tick's rows are in the database if and only if its mark is at or above its sequence. Batches of one
//! (host, epoch) must come in the order of their sequences; what comes late counts as a duplicate.
//!
//! Failure: [`Error::Fenced`] names the batches of replaced sessions: nothing is stored, and the others can be committed
//! without them. When `commit` fails otherwise, nothing of the batches is stored, or (the connection was lost while the server answered)
//! all of it. Either way committing the same batches again is right: the marks make what is there fall out.
//! [`Error::is_transient`] is false when the data itself is refused; the caller may then halve the batches to find it.

mod copy;
mod facts;
mod fence;
mod gaps;
mod latest;
mod ledger;
mod marks;
mod range;
mod rows;
mod writer;

pub use writer::Writer;

use vmscope_model::{Position, Tick};

/// Ticks of one run of one host's agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostBatch {
    /// Database id of the host ([`crate::entity::register_host`]).
    pub host_id: i32,
    /// Fence of the session that they came in ([`crate::session::begin`]).
    pub fence: i64,
    /// The agent's run.
    pub epoch: u64,
    /// (sequence, tick), sequences ascending. The tables' entities are database ids ([`crate::entity::resolve`]).
    pub ticks: Vec<(u64, Tick)>,
}

/// What a commit did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Committed {
    /// Rows written to sample tables.
    pub rows: u64,
    /// Ticks that were new.
    pub ticks: u64,
    /// Ticks that had been stored before.
    pub duplicates: u64,
    /// (host id, highest stored sequence) of each host and epoch in the batches.
    pub marks: Vec<(i32, Position)>,
}
