//! Live samples, from the collectors' feeds to WebSocket clients, past the database.
//!
//! `feed` keeps one session with each collector and asks it for every host: what nobody watches costs one delta-coded row
//! a second and is dropped here, and a client that subscribes is served from the next sample on, with its rates.
//! [`Hub`] turns counters into rates and lays samples into the mailboxes of those who asked for them; `client` speaks with
//! one WebSocket.
//!
//! Nothing here waits for a slow client: its mailbox holds at most one sample per entity, into which newer values are
//! merged. When a collector goes away the feed dials it again for ever, with back-off; clients are told when the last
//! one is gone and when the first one is back. Samples missed meanwhile are in `/series`.

pub(crate) mod client;
pub(crate) mod feed;
mod hub;
mod meter;
pub mod protocol;
pub(crate) mod watch;

pub use hub::Hub;
