//! The collector as its peers and its database see it.

mod failures;
mod feed;
mod ingest;
mod refusals;
mod relay;
mod support;
