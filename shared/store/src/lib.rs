//! The only SQL of vmscope: schema, ingest, rollup, retention and the queries behind the API.
//!
//! Runs on PostgreSQL 14 or later; where the TimescaleDB extension can be created the sample tables become hypertables,
//! else declarative partitions by day ([`Flavor`]). Which of the two is decided once, when the sample tables are made.
//!
//! Invariants: a tick's rows and its progress mark commit together ([`ingest`]), so a tick is stored exactly once
//! whatever dies. Sample columns follow the catalogue of `vmscope-model` by name. A schema newer than this build is
//! refused ([`Error::NewerSchema`]).
//!
//! Failure: every function returns [`Error`]; [`Error::is_transient`] says whether the same call may succeed later.

mod binary;
mod error;
mod instant;
mod listing;
mod page;
mod pool;
mod tier;

pub mod access;
pub mod audit;
pub mod certificate;
pub mod collector;
pub mod device;
pub mod enrolment;
pub mod entity;
pub mod export;
pub mod gap;
pub mod grant;
pub mod group;
pub mod guest;
pub mod history;
pub mod host;
pub mod ingest;
pub mod inventory;
pub mod label;
pub mod live;
pub mod lockout;
pub mod login;
pub mod overview;
pub mod progress;
pub mod retention;
pub mod revocation;
pub mod role;
pub mod rollup;
pub mod schema;
pub mod second_factor;
pub mod secret;
pub mod series;
pub mod session;
pub mod setup;
pub mod signing_key;
pub mod size;
pub mod slow;
pub mod subject;
pub mod system;
#[cfg(feature = "testing")]
pub mod testing;
pub mod token;
pub mod user;
pub mod vm;

pub use error::Error;
pub use listing::{Cursor, Key, Part};
pub use page::{Order, Page, Paging};
pub use pool::Store;
pub use schema::Flavor;
pub use tier::Tier;

/// A host or VM counts as reporting while its last sample is not older than this.
pub const REPORTING_S: i64 = 15;
