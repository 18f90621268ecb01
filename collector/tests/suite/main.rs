//! The collector as its peers and its database see it.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod audit;
mod certificates;
mod cli;
mod exports;
mod failures;
mod feed;
mod flow;
mod ingest;
mod keys;
mod refusals;
mod relay;
mod rollup;
mod sessions;
mod support;
mod users;
