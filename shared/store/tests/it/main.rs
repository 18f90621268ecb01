//! The store against real servers: each test on TimescaleDB and on plain PostgreSQL.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at what fails"
)]

mod audit;
mod clock;
mod enrolment;
mod entities;
mod exports;
mod fixture;
mod gaps;
mod history;
mod ingest;
mod inventory;
mod ledger;
mod lists;
mod live;
mod logins;
mod manual;
mod moves;
mod people;
mod privilege;
mod reach;
mod retention;
mod rights;
mod rollup;
mod schema;
mod seams;
mod secret;
mod series;
mod sessions;
mod status;
mod system;
