//! Throwaway databases on real servers, for the tests of every package.
//!
//! The servers are those that `packaging/dev/services up` starts. Where they are is said by
//! `VMSCOPE_TEST_TIMESCALE_URL` and `VMSCOPE_TEST_POSTGRES_URL`, in the environment or in `.dev/env` in a folder above the
//! package. A server that is missing is an error, never a reason to skip.

mod fill;
pub mod plain;

pub use fill::{Fleet, FleetHost, fill, fill_tier, make_known, name, sample};

use crate::{Error as StoreError, Flavor, Store, pool};
use std::path::PathBuf;
use tokio_postgres::Config;
use uuid::Uuid;

/// Why there is no test database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing says where the server is.
    #[error("no test server: {variable} is not set and no .dev/env names it; run packaging/dev/services up")]
    Unset {
        /// The missing variable.
        variable: &'static str,
    },
    /// The server does not do what a test needs.
    #[error("the test server does not answer; run packaging/dev/services up")]
    Server(#[source] StoreError),
}

/// A database of a test's own, with an up-to-date schema. Dropped with it, connections and all.
#[derive(Debug)]
pub struct Database {
    name: String,
    admin: Config,
    url: String,
    store: Store,
    dropped: bool,
}

impl Database {
    /// Makes a database on the server of `flavor` and brings its schema up to date.
    ///
    /// # Errors
    /// When the server is missing or refuses.
    pub async fn create(flavor: Flavor) -> Result<Self, Error> {
        let database = Self::create_empty(flavor).await?;
        crate::schema::migrate(&database.store)
            .await
            .map_err(Error::Server)?;
        Ok(database)
    }

    /// Makes a database without any schema.
    ///
    /// # Errors
    /// When the server is missing or refuses.
    pub async fn create_empty(flavor: Flavor) -> Result<Self, Error> {
        let admin_url = server_url(flavor)?;
        let admin = pool::config(&admin_url).map_err(Error::Server)?;
        let name = format!("test_{}", Uuid::new_v4().simple());
        execute(&admin, &format!("CREATE DATABASE {name}"))
            .await
            .map_err(Error::Server)?;
        let url = with_database(&admin_url, &name);
        let store = Store::new(&url).map_err(Error::Server)?;
        Ok(Self {
            name,
            admin,
            url,
            store,
            dropped: false,
        })
    }

    /// URL of the database.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The database.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// A plain connection, for looking at what is stored.
    ///
    /// # Errors
    /// The database's failures.
    pub async fn client(&self) -> Result<tokio_postgres::Client, StoreError> {
        self.store.dedicated().await
    }

    /// Ends every connection to the database except the one that asks, as a restart of the server would; returns how many.
    ///
    /// # Errors
    /// The database's failures.
    pub async fn cut_connections(&self) -> Result<u64, StoreError> {
        const CUT: &str = "\
-- cut_connections
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()";
        let client = pool::connect(&self.admin).await?;
        let rows = client
            .query(CUT, &[&self.name])
            .await
            .map_err(StoreError::statement("cut_connections"))?;
        Ok(rows.len() as u64)
    }

    /// Drops the database now and says when that fails.
    ///
    /// # Errors
    /// The database's failures.
    pub async fn close(mut self) -> Result<(), StoreError> {
        self.dropped = true;
        execute(&self.admin, &drop_statement(&self.name)).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if self.dropped {
            return;
        }
        let (admin, statement) = (self.admin.clone(), drop_statement(&self.name));
        // A test's own runtime can't be blocked on from inside. What is left behind goes with the servers' data.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .ok()?;
            runtime.block_on(execute(&admin, &statement)).ok()
        });
        let _ = dropping.join();
    }
}

async fn execute(admin: &Config, statement: &str) -> Result<(), StoreError> {
    let client = pool::connect(admin).await?;
    client
        .batch_execute(statement)
        .await
        .map_err(StoreError::statement("test_database"))
}

fn drop_statement(name: &str) -> String {
    format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")
}

/// `postgres://user@host:port/database?options` with another database.
fn with_database(url: &str, name: &str) -> String {
    let (base, options) = url
        .split_once('?')
        .map_or((url, None), |(base, options)| (base, Some(options)));
    let authority = base.find("://").map_or(0, |scheme| scheme + 3);
    let end = base[authority..]
        .find('/')
        .map_or(base.len(), |slash| authority + slash);
    let options = options.map(|options| format!("?{options}")).unwrap_or_default();
    format!("{}/{name}{options}", &base[..end])
}

/// Where the server of `flavor` is.
fn server_url(flavor: Flavor) -> Result<String, Error> {
    let variable = match flavor {
        Flavor::Timescale => "VMSCOPE_TEST_TIMESCALE_URL",
        Flavor::Postgres => "VMSCOPE_TEST_POSTGRES_URL",
    };
    let set = std::env::var(variable).ok().or_else(|| from_file(variable));
    set.filter(|url| !url.is_empty()).ok_or(Error::Unset { variable })
}

/// `variable` in the `.dev/env` of the checkout.
fn from_file(variable: &str) -> Option<String> {
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let text = package
        .ancestors()
        .find_map(|folder| std::fs::read_to_string(folder.join(".dev/env")).ok())?;
    let value = text.lines().find_map(|line| {
        line.trim()
            .trim_start_matches("export ")
            .strip_prefix(variable)?
            .strip_prefix('=')
    })?;
    Some(value.trim_matches(['"', '\'']).to_owned())
}

/// Makes each test a module of two: `on_timescale` and `on_postgres`. Each gets a [`Database`] of its own.
///
/// ```text
/// vmscope_store::on_both_flavors! {
///     async fn stores_a_row(database: Database) { ... }
/// }
/// ```
#[macro_export]
macro_rules! on_both_flavors {
    ($($(#[$attribute:meta])* async fn $name:ident($database:ident: Database) $body:block)+) => {$(
        $(#[$attribute])*
        mod $name {
            #[allow(unused_imports, clippy::allow_attributes, reason = "not every test needs all of its file's imports")]
            use super::*;

            async fn check($database: $crate::testing::Database) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_timescale() {
                check($crate::testing::Database::create($crate::Flavor::Timescale).await.unwrap()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                check($crate::testing::Database::create($crate::Flavor::Postgres).await.unwrap()).await;
            }
        }
    )+};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_the_database_in_a_url() {
        assert_eq!(
            with_database("postgres://u@h:1/postgres", "x"),
            "postgres://u@h:1/x"
        );
        assert_eq!(with_database("postgres://u@h:1", "x"), "postgres://u@h:1/x");
        assert_eq!(
            with_database("postgres://u@h:1/p?sslmode=disable", "x"),
            "postgres://u@h:1/x?sslmode=disable"
        );
    }
}
