//! The collector: takes samples from agents, commits them, acknowledges them, and feeds them live to web servers.
//!
//! [`start`] binds both addresses at once and returns; the database may be away and is waited for. The parts:
//! `ingest` (sessions, budget, writers), `feed` (live samples past the database), `enrol` (certificates: who gets one, who is
//! let in), `upkeep` (partitions, retention, size), `rollup` (hours and days), `job` (exports), `audit` (signs the trail), `status` (what
//! it says of itself for the health page).
//!
//! Invariants: what is acknowledged is committed; what is committed is committed once; memory is bounded whoever sends
//! and however slow the database is.

mod archive;
mod audit;
pub mod cli;
pub mod config;
mod database;
mod enrol;
mod feed;
mod ingest;
mod job;
mod metrics;
mod rollup;
mod setup;
mod status;
mod upkeep;

pub use config::Config;

use database::{Availability, Database, Failure};
use enrol::Registrar;
use enrol::authority::{Keeper, Standing};
use enrol::gate::Gate;
use ingest::Centre;
use metrics::Metrics;
use prometheus_client::registry::Registry;
use status::Heart;
use std::net::SocketAddr;
use std::sync::Arc;
use vmscope_link::{Identity, Limits, Listener};
use vmscope_service::{Health, Lifecycle, admin};
use vmscope_vault::KeySource;

/// Why a collector could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address for sessions can't be used.
    #[error("sessions can't be listened for")]
    Listen(#[source] vmscope_link::Error),
    /// The admin endpoint can't be served.
    #[error("admin endpoint can't be served")]
    Admin(#[source] admin::Error),
    /// The authority can't be used.
    #[error("certificates can't be signed")]
    Authority(#[source] enrol::authority::Error),
    /// The master keys can't be used.
    #[error("the vault can't be used")]
    Vault(#[source] vmscope_vault::Error),
    /// The database refuses to be used.
    #[error("database can't be used")]
    Database(#[source] vmscope_store::Error),
}

/// A collector that runs.
#[derive(Debug, Clone, Copy)]
pub struct Collector {
    /// Where agents and web servers reach it (UDP).
    pub address: SocketAddr,
    /// Where its admin endpoint listens (TCP).
    pub admin: SocketAddr,
}

/// Starts a collector that lives as long as `lifecycle`; `identity` is what the caller loaded from `config.identity`.
///
/// Returns when both addresses are bound. The database is opened in the background: until it answers, sessions wait and
/// `/readyz` says so. A database that answers and can't be used (a newer schema, a wrong password) stops the lifecycle.
///
/// # Errors
/// When an address can't be bound.
pub async fn start(config: &Config, identity: &Identity, lifecycle: &Lifecycle) -> Result<Collector, Error> {
    let mut registry = Registry::default();
    let metrics = Metrics::new(&mut registry);
    let health = Health::new();
    let availability = Availability::new(health.check("database"), metrics.clone(), lifecycle.stopping());
    let standing = Standing::new(identity.clone(), config.authority.as_ref()).map_err(Error::Authority)?;
    let keys = KeySource::find(&config.vault).map_err(Error::Vault)?;
    let limits = Limits {
        enrolment: true,
        ..Limits::default()
    };
    let listener = Listener::bind(config.listen, &standing.identity, limits).map_err(Error::Listen)?;
    let listener = Arc::new(listener);
    let address = listener.local_addr().map_err(Error::Listen)?;
    let admin = admin::serve(lifecycle, config.admin, registry, health)
        .await
        .map_err(Error::Admin)?;
    tracing::info!(collector.address = %address, "collector listens");
    let keeper = Keeper::new(config, standing, Arc::clone(&listener), metrics.clone());
    let seals = keeper.seals();
    lifecycle.spawn("certificates", keeper.run(lifecycle.stopping()));
    let part = Part {
        name: identity.role().name(),
        address,
        config: config.clone(),
        seals,
        keys,
        metrics,
        lifecycle: lifecycle.clone(),
    };
    lifecycle.spawn("ingest", ingest(part, listener, availability));
    Ok(Collector { address, admin })
}

/// Brings the database's schema up to date, and the rights of the web servers' role. [`start`] does it too, but in the background.
///
/// # Errors
/// When the database does not answer or can't be used.
pub async fn migrate(config: &config::Database) -> Result<(), Error> {
    database::prepare(config)
        .await
        .map(|_| ())
        .map_err(Error::Database)
}

/// Makes the code that makes the first user, for whoever starts the program to see; `None` when there is a user. [`start`] tells
/// one in the log unless one was made before.
///
/// # Errors
/// When the database does not answer or can't be used.
pub async fn setup_code(config: &config::Database) -> Result<Option<String>, Error> {
    let store = vmscope_store::Store::new(config.url.expose()).map_err(Error::Database)?;
    setup::offer(&store, false).await.map_err(Error::Database)
}

/// What the collector's work needs once the database is open.
struct Part {
    name: String,
    address: SocketAddr,
    config: Config,
    seals: enrol::Seals,
    keys: Option<KeySource>,
    metrics: Metrics,
    lifecycle: Lifecycle,
}

/// Opens the database, then takes sessions until the stop.
async fn ingest(part: Part, listener: Arc<Listener>, availability: Availability) -> Result<(), Error> {
    match Database::open(&part.config.database, availability).await {
        Ok(database) => part.serve(Arc::new(database), listener).await,
        Err(failure) => Err(failure),
    }
    .or_else(|failure| match failure {
        Failure::Stopping => Ok(()),
        Failure::Refused(error) => Err(Error::Database(error)),
    })
}

impl Part {
    async fn serve(self, database: Arc<Database>, listener: Arc<Listener>) -> Result<(), Failure> {
        let Self {
            name,
            address,
            config,
            seals,
            keys,
            metrics,
            lifecycle,
        } = self;
        match database
            .availability
            .insist(|| setup::announce(&database.store))
            .await
        {
            // An audit trail that takes no entry keeps people out, not samples.
            Err(Failure::Refused(error)) => {
                tracing::error!(error = database::chain(&error), "no set-up code can be offered");
            }
            told => told?,
        }
        let writers = config.database.writers.get();
        let introduction = status::introduce(&database, name.clone(), address.to_string(), writers).await?;
        let mut work = upkeep::spawn(&lifecycle, &database, &config);
        work.push(rollup::spawn(&lifecycle, &database, &metrics));
        work.extend(audit::spawn(&lifecycle, &database, keys));
        work.push(archive::spawn(
            &lifecycle,
            &database,
            config.inventory.archive_after_hours,
        ));
        work.extend(job::spawn(
            &lifecycle,
            &database,
            &name,
            &config.storage,
            &config.exports,
        ));
        let heart = Heart::new(Arc::clone(&database), introduction, metrics.clone(), work);
        lifecycle.spawn("status", heart.run(lifecycle.stopping()));
        let gate = Arc::new(Gate::new(Arc::clone(&database)));
        lifecycle.spawn("revocations", Arc::clone(&gate).watch(lifecycle.stopping()));
        let registrar = Arc::new(Registrar::new(Arc::clone(&database), metrics.clone(), seals));
        let door = ingest::Door { gate, registrar };
        let centre = Centre::start(name, database, door, &config, &metrics, &lifecycle);
        ingest::accept(listener, centre, lifecycle).await;
        Ok(())
    }
}
