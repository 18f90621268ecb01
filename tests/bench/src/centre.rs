//! What a group measures against: a database of its own, and a real collector over it.

use crate::{http, process};
use anyhow::Context;
use std::collections::HashMap;
use std::time::Duration;
use tokio_postgres::Client;
use vmscope_harness::daemon::Daemon;
use vmscope_harness::site::{Site, eventually};
use vmscope_store::Flavor;
use vmscope_store::testing::Database;

/// How long a collector may take to make its tables.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A collector at work.
#[derive(Debug)]
pub(crate) struct Centre {
    pub(crate) collector: Daemon,
    pub(crate) site: Site,
    /// A connection of the benchmark's own.
    pub(crate) client: Client,
    /// PostgreSQL's first process.
    pub(crate) postmaster: u32,
    http: http::Client,
    _database: Database,
}

impl Centre {
    /// Starts a collector on a new database and waits until it is ready.
    pub(crate) async fn start(flavor: Flavor) -> anyhow::Result<Self> {
        Self::over(Database::create(flavor).await?).await
    }

    /// The same on a database that there is.
    pub(crate) async fn over(database: Database) -> anyhow::Result<Self> {
        let site = Site::new(database.url())?;
        let collector = site.start_collector()?;
        let client = site.connect().await?;
        let http = http::Client::new();
        let ready = format!("http://{}/readyz", site.collector_admin);
        eventually("the collector is ready", START_LIMIT, async || {
            http.fetch(ready.clone()).await.map(|_| true)
        })
        .await?;
        Ok(Self {
            postmaster: process::postmaster(&client).await?,
            collector,
            site,
            client,
            http,
            _database: database,
        })
    }

    /// What the collector says of itself, by metric name.
    pub(crate) async fn metrics(&self) -> anyhow::Result<HashMap<String, f64>> {
        let url = format!("http://{}/metrics", self.site.collector_admin);
        Ok(http::sums(&self.http.fetch(url).await?))
    }

    /// Rows in `vm_sample`.
    pub(crate) async fn vm_rows(&self) -> anyhow::Result<u64> {
        let counted: i64 = self
            .client
            .query_one("SELECT count(*) FROM vm_sample", &[])
            .await?
            .get(0);
        u64::try_from(counted).context("a count")
    }
}
