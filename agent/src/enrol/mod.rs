//! How this host gets a certificate, and keeps one.
//!
//! - [`exchange`]: the first certificate, for a token: once by command, or again and again while the agent runs without.
//! - [`Credentials`]: what the uplink shows, renewed within its sessions when two thirds of its life have passed or the
//!   authority has other roots, and read again when someone else has changed the files.
//! - [`host_id`]: which host this is, for ever.
//!
//! Nothing is deleted and nothing that works is replaced by something that does not: files change when their successor has
//! been checked, and the agent keeps its samples meanwhile.

mod config;
mod credentials;
mod exchange;
pub mod host_id;

pub use config::Config;
pub use credentials::Credentials;
pub use exchange::{Error, Exchange, TokenSource, until_enrolled};
