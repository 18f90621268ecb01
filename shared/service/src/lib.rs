//! What every daemon needs: configuration, telemetry, lifecycle, periodic work and the admin endpoint.
//!
//! A program is built in this order: [`config::load`], [`telemetry::init`], [`Lifecycle::new`], bind and spawn the
//! components, then [`Lifecycle::run`], whose exit code `main` returns. Several components may share one lifecycle, which
//! is how one process holds them all, and tests end theirs with [`Lifecycle::shutdown`].

pub mod admin;
pub mod config;
pub mod files;
pub mod lifecycle;
mod notify;
pub mod periodic;
pub mod telemetry;

pub use admin::Health;
pub use config::Secret;
pub use lifecycle::{Ending, Lifecycle};
