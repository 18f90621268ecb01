//! What tests of the whole product share: real programs, real services, and ways to break them.

pub mod account;
pub mod centre;
pub mod clock;
pub mod daemon;
pub mod database;
pub mod faults;
pub mod fleet;
pub mod guests;
pub mod hostile;
pub mod live;
pub mod netns;
pub mod person;
pub mod pretended;
pub mod relay;
pub mod simulated;
pub mod site;
pub mod web;
pub mod wire;
