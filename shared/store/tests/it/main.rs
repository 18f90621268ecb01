//! The store against real servers: each test on TimescaleDB and on plain PostgreSQL.

mod entities;
mod fixture;
mod ingest;
mod lists;
mod schema;
mod series;
