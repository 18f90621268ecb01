//! The REST resources, one module each: parameters, response, documentation and handler together.

pub mod account;
pub mod agent;
pub mod audit;
mod counts;
pub mod document;
pub mod entity;
pub mod envelope;
pub mod extract;
pub mod gap;
pub mod group;
pub mod guest;
pub mod history;
pub mod host;
pub mod key;
pub mod live;
pub mod login;
pub mod me;
pub mod metric;
pub mod overview;
pub mod page;
pub mod rights;
pub mod role;
pub mod scope;
pub mod series;
pub mod session;
pub mod setup;
pub mod system;
pub mod token;
pub mod totp;
pub mod user;
pub mod user_access;
pub mod vm;

pub use envelope::{Empty, Envelope};
