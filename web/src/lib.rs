//! The web service of vmscope: the REST and WebSocket API, and the dashboard that is built into the binary.
//!
//! Reads history from the database and live samples from the collectors' feeds; writes nothing. When the database is down,
//! the API says so (503) and live samples still flow; when the feed is down, clients are told and history still works.

pub mod api;
pub mod error;
pub mod language;
pub mod live;
pub mod openapi;
mod router;
mod state;

pub use state::App;
