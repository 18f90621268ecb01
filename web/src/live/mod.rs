//! Live samples, from the collectors' feeds to WebSocket clients, past the database.
//!
//! `feed` keeps one session with each collector and asks it for every host: what nobody watches costs one delta-coded row
//! a second and its last values here, and a client that subscribes gets those first, then every sample.
//! [`Hub`] turns counters into rates and notes for those who watch what is new; `client` writes to one WebSocket,
//! `conversation` hears it, `watch` says what it may see, `session` keeps its subscriptions over a loss.
//!
//! Nothing here waits for a slow client: for it a number an entity is kept, and what it missed is merged when it reads again.
//! When a collector goes away the feed dials it again for ever, with back-off; clients are told when the last
//! one is gone and when the first one is back. Samples missed meanwhile are in the history. While the database is away samples flow;
//! what needs it (groups, rights that are not for everything, last values that no feed has told) waits or is refused.

pub(crate) mod client;
mod conversation;
pub(crate) mod feed;
mod group;
mod hub;
mod latest;
mod meter;
mod past;
pub mod protocol;
mod session;
mod topic;
pub(crate) mod watch;

pub use hub::Hub;
