//! The web service as its users meet it: real HTTP, real `WebSocket` connections, real databases, a real link to a collector.

#![cfg(test)]

mod account;
mod attack;
mod contract;
mod export_jobs;
mod exports;
mod fleet;
mod history;
mod inventory;
mod ledger;
mod live;
mod login;
mod matrix;
mod refusals;
mod resources;
mod roles;
mod slow;
mod support;
mod system;
