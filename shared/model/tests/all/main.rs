//! Tests of the model through its public interface.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should fail")]

mod access;
mod catalogue;
mod corpus;
mod record;
mod rule;
mod size;
mod support;
mod wire;
