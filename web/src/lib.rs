//! The web service of vmscope: the REST and WebSocket API, and the dashboard that is built into the binary.
//!
//! [`start`] binds both addresses at once and returns. History comes from the database, live samples from the collectors'
//! feeds; what is written is people, their rights and sessions, and the audit trail. When the database is down, the API says so
//! (503), nobody can log in, and live samples still flow to who is connected; when the feed is down, clients are told and
//! history still works. A database of a newer vmscope stops the service.

mod access;
pub mod api;
mod assets;
mod auth;
mod certificate;
pub mod cli;
pub mod config;
mod docs;
mod download;
pub mod error;
mod guard;
pub mod language;
pub mod limit;
pub mod live;
mod observe;
pub mod openapi;
mod router;
mod serve;
mod state;
pub mod tls;

pub use config::Config;
pub use state::App;

use auth::{Auth, Meter};
use live::Hub;
use prometheus_client::registry::Registry;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use vmscope_link::{Dialer, Identity};
use vmscope_service::admin::Check;
use vmscope_service::{Health, Lifecycle, admin};
use vmscope_storage::Storage;
use vmscope_store::{Store, schema};
use vmscope_vault::{KeySource, Vault};

/// How often the database is asked whether it is there, for `/readyz`.
const DATABASE_CHECK: Duration = Duration::from_secs(5);

/// Why the service could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address of the dashboard and the API can't be used.
    #[error("{address} can't be listened on")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// There is no certificate to serve with.
    #[error("https can't be served")]
    Certificate(#[source] tls::Error),
    /// The admin endpoint can't be served.
    #[error("admin endpoint can't be served")]
    Admin(#[source] admin::Error),
    /// The identity can't be used for dialling collectors.
    #[error("collectors can't be dialled")]
    Dial(#[source] vmscope_link::Error),
    /// The master keys can't be used.
    #[error("master keys can't be used")]
    Vault(#[source] vmscope_vault::Error),
    /// Nothing says where the master keys are.
    #[error("no master keys: set [vault] master_keys, or give the service the credential master-keys")]
    NoMasterKeys,
    /// The database can't be used.
    #[error("database can't be used")]
    Database(#[source] vmscope_store::Error),
}

/// A web service that runs.
#[derive(Debug, Clone, Copy)]
pub struct Web {
    /// Where the dashboard and the API listen (TCP).
    pub address: SocketAddr,
    /// Where the admin endpoint listens (TCP).
    pub admin: SocketAddr,
}

/// Starts a web service that lives as long as `lifecycle`; `identity` is what the caller loaded from `config.identity`.
///
/// Returns when both addresses are bound; the database and the collectors may be away.
///
/// # Errors
/// When an address can't be bound or the configuration can't be used.
pub async fn start(config: &Config, identity: &Identity, lifecycle: &Lifecycle) -> Result<Web, Error> {
    let store = Store::new(config.database.url.expose()).map_err(Error::Database)?;
    let keys = KeySource::find(&config.vault)
        .map_err(Error::Vault)?
        .ok_or(Error::NoMasterKeys)?;
    let dialer = Arc::new(Dialer::new(identity).map_err(Error::Dial)?);
    let listen = |source| Error::Listen {
        address: config.listen,
        source,
    };
    let listener = TcpListener::bind(config.listen).map_err(listen)?;
    serve::tune(&listener).map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let tls = tls::prepare(config, lifecycle)
        .await
        .map_err(Error::Certificate)?;
    let (health, mut registry) = (Health::new(), Registry::default());
    let requests = observe::Requests::new(&mut registry);
    let hub = Arc::new(Hub::new(&mut registry));
    let meter = Meter::new(&mut registry);
    certificate::watch(lifecycle, identity, &mut registry);
    let database = health.check("database");
    let admin = admin::serve(lifecycle, config.admin, registry, health)
        .await
        .map_err(Error::Admin)?;
    for collector in &config.collectors {
        let feed = live::feed::run(
            collector.clone(),
            dialer.clone(),
            hub.clone(),
            lifecycle.stopping(),
        );
        lifecycle.spawn("live feed", feed);
    }
    lifecycle.spawn(
        "database check",
        watch(store.clone(), database, lifecycle.clone()),
    );
    let vault = Vault::new(store.clone(), keys);
    let auth = Auth::new(&config.limits, &store, vault, tls.is_some(), meter);
    let app = App {
        store,
        auth: Arc::new(auth),
        hub,
        storage: Storage::find(&config.storage),
        exports: Arc::new(Semaphore::new(download::STREAMS)),
        lifecycle: lifecycle.clone(),
        stopping: lifecycle.stopping(),
    };
    limit::sweep(lifecycle, app.clone());
    auth::keep_up(lifecycle, app.clone());
    let is_secure = tls.is_some();
    let server = serve::run(listener, tls, router::build(app, requests), lifecycle.stopping());
    lifecycle.spawn("http", server);
    tracing::info!(web.address = %address, web.tls = is_secure, "dashboard and api listen");
    Ok(Web { address, admin })
}

/// Keeps `/readyz` true about the database. Ends with an error when its schema is newer than this build.
async fn watch(store: Store, check: Check, lifecycle: Lifecycle) -> Result<(), Error> {
    let stopping = lifecycle.stopping();
    let mut asked = false;
    loop {
        match schema::check(&store).await {
            Ok(()) => {
                check.up();
                if !std::mem::replace(&mut asked, true) {
                    warn_of_excess(&store).await;
                }
            }
            Err(error @ vmscope_store::Error::NewerSchema { .. }) => return Err(Error::Database(error)),
            // The causes stay out of the public answer, which needs no login; failing requests log them.
            Err(error) => check.down(error.to_string()),
        }
        tokio::select! {
            () = stopping.cancelled() => return Ok(()),
            () = tokio::time::sleep(DATABASE_CHECK) => {}
        }
    }
}

/// A web server that is broken into should not be able to change the audit trail: its role has no right to.
async fn warn_of_excess(store: &Store) {
    match schema::excess(store).await {
        Ok(rights) if rights.is_empty() => {}
        Ok(rights) => tracing::warn!(
            rights = rights.join(", "),
            "the database role has more rights than a web server needs: give it one of its own"
        ),
        Err(error) => {
            let error = format!("{:#}", anyhow::Error::from(error));
            tracing::warn!(error, "the rights of the database role can't be looked up");
        }
    }
}
