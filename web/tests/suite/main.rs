//! The web service as its users meet it: real HTTP, real `WebSocket` connections, real databases, a real link to a collector.

#![cfg(test)]

mod contract;
mod fleet;
mod ledger;
mod live;
mod refusals;
mod resources;
mod support;
mod system;
