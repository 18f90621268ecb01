//! `vmscope`: collector, web service and an agent for this host in one process, over a private PostgreSQL.
//!
//! The three programs run unchanged and speak to each other as they would across a network: QUIC with mutual TLS on
//! loopback, certificates from an authority in the data directory. For one box, or for a first look.

pub mod cli;
mod database;
mod identities;
mod parts;
pub mod postgres;
mod ready;
