//! Connections: a pool for queries, and the settings that every connection has.

use crate::Error;
use crate::schema::{self, Flavor};
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Timeouts};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio_postgres::{Config, NoTls};

/// Connections for queries, each program. Writers have their own.
const POOL_CONNECTIONS: usize = 8;

/// How long a query waits for a free or new connection.
const POOL_WAIT: Duration = Duration::from_secs(5);

/// How long opening a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an unanswered packet keeps a connection alive: a server whose machine died says nothing.
const UNANSWERED_TIMEOUT: Duration = Duration::from_secs(30);

/// When a silent connection is first asked whether it still lives.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);

/// The longest that a query of the pool may run.
const QUERY_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a transaction may wait for its program: it holds locks that others wait for.
const IDLE_TRANSACTION_TIMEOUT: Duration = Duration::from_mins(1);

/// A database: cheap to clone, connects when used, and again after a loss.
#[derive(Debug, Clone)]
pub struct Store {
    pool: Pool,
    config: Arc<Config>,
    flavor: Arc<OnceCell<Flavor>>,
}

impl Store {
    /// A store that connects at its first use. It takes the schema as it is; ask [`schema::check`] before trusting it.
    ///
    /// # Errors
    /// [`Error::Url`] when the URL can't be read.
    pub fn new(url: &str) -> Result<Self, Error> {
        let config = config(url)?;
        let mut pooled = config.clone();
        set_limits(&mut pooled, QUERY_TIMEOUT);
        let manager = Manager::from_config(
            pooled,
            NoTls,
            ManagerConfig {
                recycling_method: RecyclingMethod::Fast,
            },
        );
        let timeouts = Timeouts {
            wait: Some(POOL_WAIT),
            create: Some(POOL_WAIT),
            recycle: Some(POOL_WAIT),
        };
        let pool = Pool::builder(manager)
            .max_size(POOL_CONNECTIONS)
            .timeouts(timeouts)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(Error::MakePool)?;
        Ok(Self {
            pool,
            config: Arc::new(config),
            flavor: Arc::default(),
        })
    }

    /// Connects and brings the schema up to date: what a collector does at its start. Several may do so at once.
    ///
    /// # Errors
    /// What [`schema::migrate`] refuses, and the connection's failures.
    pub async fn open(url: &str) -> Result<Self, Error> {
        let store = Self::new(url)?;
        schema::migrate(&store).await?;
        Ok(store)
    }

    /// What the sample tables are made of.
    ///
    /// # Errors
    /// When the database can't be asked.
    pub async fn flavor(&self) -> Result<Flavor, Error> {
        let ask = async || Flavor::of(&**self.get().await?).await;
        self.flavor.get_or_try_init(ask).await.copied()
    }

    /// A connection of the pool, for queries below [`QUERY_TIMEOUT`].
    pub(crate) async fn get(&self) -> Result<Object, Error> {
        self.pool.get().await.map_err(Error::Pool)
    }

    /// How to connect, for those that drive their connection themselves.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// A connection of its own, without a time limit for statements: migrations, retention.
    pub(crate) async fn dedicated(&self) -> Result<tokio_postgres::Client, Error> {
        connect(&self.config).await
    }
}

/// The settings in `url` with the time limits that every connection needs, and a name unless the URL gives one.
pub(crate) fn config(url: &str) -> Result<Config, Error> {
    let mut config: Config = url.parse().map_err(Error::Url)?;
    if config.get_application_name().is_none() {
        config.application_name("vmscope");
    }
    config
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_user_timeout(UNANSWERED_TIMEOUT)
        .keepalives_idle(KEEPALIVE_IDLE);
    Ok(config)
}

/// Limits what a connection may cost the server, beside the options of the URL: the time of each statement, and a
/// transaction left open by a program that hangs. Without jit, a week's series of one counter takes about a seventh less
/// (1.7 s against 2.0 s for 604,800 rows, on a busy machine); an hour's shows no difference.
pub(crate) fn set_limits(config: &mut Config, timeout: Duration) {
    let options = format!(
        "{} -c statement_timeout={} -c idle_in_transaction_session_timeout={} -c jit=off",
        config.get_options().unwrap_or_default(),
        timeout.as_millis(),
        IDLE_TRANSACTION_TIMEOUT.as_millis()
    );
    config.options(options.trim_start());
}

/// Opens a connection; its task ends when the client is dropped or the connection is lost.
pub(crate) async fn connect(config: &Config) -> Result<tokio_postgres::Client, Error> {
    let (client, connection) = config.connect(NoTls).await.map_err(Error::Connect)?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "database connection ended"
            );
        }
    });
    Ok(client)
}
