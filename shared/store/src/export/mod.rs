//! Lists of any length: a batch at a time, as they were at one moment, with bounded memory at both ends.
//!
//! A [`Cursor`] has a connection and a transaction of its own, so that nobody waits for one of the pool because somebody
//! downloads slowly. Dropping it ends both. Whoever holds one bounds how many there are, and for how long: an open snapshot
//! keeps the database from cleaning up.

mod cursor;
mod entity;
pub mod job;

pub use cursor::Cursor;
pub use entity::{Entity, Members, find, members};

use crate::gap::{self, Entry};
use crate::host::{self, Host};
use crate::vm::{self, Vm};
use crate::{Error, Store};
use vmscope_model::access::Reach;

/// Rows at a time.
pub const BATCH: i64 = 500;

/// The VMs of a filter in its order, on all pages.
///
/// # Errors
/// The database's failures.
pub async fn vms(store: &Store, filter: &vm::Filter) -> Result<Cursor<Vm>, Error> {
    Cursor::open(store, vm::selection(filter), vm::vm).await
}

/// The hosts of a filter in its order, on all pages; [`count_vms`] makes them whole.
///
/// # Errors
/// The database's failures.
pub async fn hosts(store: &Store, filter: &host::Filter) -> Result<Cursor<Host>, Error> {
    Cursor::open(store, host::selection(filter), host::host).await
}

/// Counts the virtual machines of a batch of hosts by what they do now, those within `reach`.
///
/// # Errors
/// The database's failures.
pub async fn count_vms(store: &Store, hosts: &mut [Host], reach: &Reach) -> Result<(), Error> {
    host::count_states(store, hosts, reach).await
}

/// The entries of the loss ledger of a filter, the newest first, on all pages.
///
/// # Errors
/// The database's failures.
pub async fn gaps(store: &Store, filter: &gap::Filter) -> Result<Cursor<Entry>, Error> {
    Cursor::open(store, gap::selection(filter), gap::entry).await
}
