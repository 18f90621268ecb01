//! The schema: migrations for everything that is designed by hand, [`layout`] for the sample tables that follow the
//! metric catalogue.
//!
//! Both run under one advisory lock, so that any number of collectors may start at once. Migrations only go forward;
//! a database that a newer build has migrated is refused before anything is touched.

pub(crate) mod layout;
pub(crate) mod partition;
mod privilege;

pub use privilege::{WRITTEN_BY_WEB, excess, grant_web, make_login};

use crate::{Error, Store};
use refinery::Runner;
use tokio_postgres::{Client, GenericClient};

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// Key of the advisory lock for changes of the schema: "vmscope" in ASCII.
const SCHEMA_LOCK: i64 = 0x76_6d73_636f_7065;

/// The oldest server that has all that is used here (`date_bin`).
const OLDEST_SERVER: i32 = 140_000;

/// What the sample tables are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flavor {
    /// TimescaleDB hypertables, a chunk a day.
    Timescale,
    /// Declarative partitions of PostgreSQL, one a day (UTC).
    Postgres,
}

impl Flavor {
    /// What the sample tables in the database are.
    pub(crate) async fn of(client: &impl GenericClient) -> Result<Self, Error> {
        // A partitioned parent has relkind p, a hypertable is an ordinary table.
        const FLAVOR: &str = "\
-- flavor
SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass('vm_sample')";
        let row = client
            .query_opt(FLAVOR, &[])
            .await
            .map_err(Error::statement("flavor"))?;
        let partitioned: bool = row
            .ok_or(Error::OlderSchema {
                found: 0,
                known: newest(),
            })?
            .get(0);
        Ok(if partitioned {
            Self::Postgres
        } else {
            Self::Timescale
        })
    }
}

/// Brings the schema up to date and makes partitions for the days ahead. Idempotent.
///
/// # Errors
/// [`Error::OldServer`], [`Error::NewerSchema`], [`Error::Migrate`], or the connection's failures.
pub async fn migrate(store: &Store) -> Result<(), Error> {
    const LOCK: &str = "\
-- schema_lock
SELECT pg_advisory_lock($1)";
    let mut client = store.dedicated().await?;
    require_server(&client).await?;
    // Held until this connection closes, at the end of this function.
    client
        .execute(LOCK, &[&SCHEMA_LOCK])
        .await
        .map_err(Error::statement("schema_lock"))?;
    refuse_newer(&client).await?;
    let report = runner()
        .run_async(&mut client)
        .await
        .map_err(|error| Error::Migrate(Box::new(error)))?;
    for migration in report.applied_migrations() {
        tracing::info!(
            schema.version = migration.version(),
            "migrated the database schema"
        );
    }
    let flavor = layout::apply(&mut client).await?;
    if flavor == Flavor::Postgres {
        partition::make_ahead(&mut client).await?;
    }
    Ok(())
}

/// Whether this build can work with the database: what a program that does not migrate asks first.
///
/// # Errors
/// [`Error::NewerSchema`] or [`Error::OlderSchema`] when it can't, or the connection's failures.
pub async fn check(store: &Store) -> Result<(), Error> {
    let client = store.get().await?;
    let (found, known) = (version(&client).await?, newest());
    match found.cmp(&known) {
        std::cmp::Ordering::Less => Err(Error::OlderSchema { found, known }),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(Error::NewerSchema { found, known }),
    }
}

/// Makes the partitions of the days ahead; does nothing on TimescaleDB. Call it a few times a day.
///
/// # Errors
/// The database's failures.
pub async fn make_partitions(store: &Store) -> Result<(), Error> {
    match store.flavor().await? {
        Flavor::Timescale => Ok(()),
        Flavor::Postgres => partition::make_ahead(&mut store.dedicated().await?).await,
    }
}

fn runner() -> Runner {
    embedded::migrations::runner()
}

/// The schema version that this build makes.
fn newest() -> i32 {
    runner()
        .get_migrations()
        .iter()
        .map(refinery::Migration::version)
        .max()
        .unwrap_or(0)
}

async fn refuse_newer(client: &Client) -> Result<(), Error> {
    let (found, known) = (version(client).await?, newest());
    if found > known {
        Err(Error::NewerSchema { found, known })
    } else {
        Ok(())
    }
}

/// The schema version in the database, 0 when there is none.
async fn version(client: &Client) -> Result<i32, Error> {
    const EXISTS: &str = "\
-- schema_exists
SELECT to_regclass('refinery_schema_history') IS NOT NULL";
    const VERSION: &str = "\
-- schema_version
SELECT coalesce(max(version), 0)::int4 FROM refinery_schema_history";
    let exists = client
        .query_one(EXISTS, &[])
        .await
        .map_err(Error::statement("schema_exists"))?;
    if !exists.get::<_, bool>(0) {
        return Ok(0);
    }
    let row = client
        .query_one(VERSION, &[])
        .await
        .map_err(Error::statement("schema_version"))?;
    Ok(row.get(0))
}

async fn require_server(client: &Client) -> Result<(), Error> {
    const SERVER: &str = "\
-- server_version
SELECT current_setting('server_version_num')::int4, current_setting('server_version')";
    let row = client
        .query_one(SERVER, &[])
        .await
        .map_err(Error::statement("server_version"))?;
    if row.get::<_, i32>(0) < OLDEST_SERVER {
        return Err(Error::OldServer { found: row.get(1) });
    }
    Ok(())
}
