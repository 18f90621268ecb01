//! The agent of vmscope: samples a hypervisor host and its VMs, keeps the samples safe, and delivers them.
//!
//! [`start`] wires the three parts: `sampler` takes ticks, `buffer` makes each durable before anyone sends it, `uplink`
//! delivers them in order. At the stop they end in this order, so that every tick that was taken is at least on disk.

pub mod buffer;
pub mod cli;
pub mod config;
pub mod enrol;
pub mod host;
pub mod libvirt;
pub mod metrics;
pub mod qemu;
pub mod sampler;
pub mod uplink;

pub use config::Config;

use buffer::{Before, Buffer, Recovery};
use enrol::Credentials;
use metrics::Metrics;
use prometheus_client::registry::Registry;
use sampler::{SINK_RECORDS, Sampler};
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use uplink::Uplink;
use vmscope_link::{Identity, Role, Timing};
use vmscope_model::{Cause, Fact, HostId, Record, RunFacts};
use vmscope_service::{Health, Lifecycle, admin};

/// Why the agent can't start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The certificate is that of another kind of program.
    #[error("the certificate is for {role:?}, not for an agent")]
    NotAgent {
        /// What it says.
        role: Role,
    },
    /// The identity can't be used to connect.
    #[error("the agent's identity can't be used")]
    Identity(#[source] vmscope_link::Error),
    /// The buffer can't be opened.
    #[error("the buffer can't be opened")]
    Buffer(#[source] buffer::Error),
    /// The admin endpoint can't be served.
    #[error("the admin endpoint can't be served")]
    Admin(#[source] admin::Error),
}

/// An agent at work.
#[derive(Debug)]
pub struct Agent {
    /// Whose samples it takes.
    pub host: HostId,
    /// Where the admin endpoint listens, if it was asked for.
    pub admin_address: Option<SocketAddr>,
    /// Its buffer.
    pub buffer: Buffer,
    /// What the buffer found at the start.
    pub recovery: Recovery,
}

/// Starts the agent's tasks in `lifecycle`. The identity is given; its successors go where the configuration says.
///
/// # Errors
/// As [`Error`] says; nothing is left running then but tasks that end with `lifecycle`.
pub async fn start(config: &Config, identity: &Identity, lifecycle: &Lifecycle) -> Result<Agent, Error> {
    let Role::Agent(host) = *identity.role() else {
        return Err(Error::NotAgent {
            role: identity.role().clone(),
        });
    };
    if let Some(nice) = config.nice {
        yield_to_others(nice);
    }
    let (folder, limits) = (config.buffer_dir(), config.buffer.clone());
    let opened = tokio::task::spawn_blocking(move || Buffer::open(&folder, &limits)).await;
    let (buffer, recovery) = opened
        .unwrap_or(Err(buffer::Error::Closed))
        .map_err(Error::Buffer)?;
    let mut registry = Registry::default();
    let (metrics, health) = (Metrics::register(&mut registry), Health::new());
    metrics.recovered(&recovery);
    let (files, timing) = (config.identity_files(), Timing::default());
    let credentials =
        Credentials::new(host, identity.clone(), files, timing, metrics.clone()).map_err(Error::Identity)?;
    let check = health.check("uplink");
    let admin_address = match config.admin_address {
        Some(address) => Some(
            admin::serve(lifecycle, address, registry, health)
                .await
                .map_err(Error::Admin)?,
        ),
        None => None,
    };
    tracing::info!(%host, buffer.epoch = buffer.epoch(), buffer.records = recovery.records, "agent starts");

    let began = Fact::Run(RunFacts {
        epoch: buffer.epoch(),
        before: cause_of_absence(recovery.before, host::boot_time_us()),
    });
    let (sink, records) = mpsc::channel(SINK_RECORDS);
    let finished = CancellationToken::new();
    let collectors = config.collectors.clone();
    let sampler = Sampler::new(config.sampler.clone())
        .with_guests(config.guest.clone())
        .with_buffer(buffer.status());
    let stretch = sampler.stretch();
    let uplink = Uplink {
        host,
        collectors,
        credentials,
        buffer: buffer.clone(),
        metrics: metrics.clone(),
        check,
    };
    lifecycle.spawn("sampler", sampler.run(sink, lifecycle.stopping()));
    lifecycle.spawn(
        "recorder",
        keep(records, buffer.clone(), began, metrics, stretch, finished.clone()),
    );
    lifecycle.spawn("uplink", deliver(uplink, finished));
    Ok(Agent {
        host,
        admin_address,
        buffer,
        recovery,
    })
}

/// Why there were no ticks before this run. A host that was restarted took its agent along, however that ended.
const fn cause_of_absence(before: Option<Before>, boot_us: i64) -> Cause {
    match before {
        None => Cause::AgentDown,
        Some(Before { last_us, .. }) if boot_us > last_us => Cause::HostDown,
        Some(Before { closed: true, .. }) => Cause::AgentStopped,
        Some(_) => Cause::AgentKilled,
    }
}

/// Lowers the priority of this thread, and of all that it starts.
fn yield_to_others(nice: u8) {
    if let Err(error) = rustix::process::setpriority_process(None, nice.into()) {
        tracing::warn!(nice, %error, "the agent's priority can't be lowered");
    }
}

/// Hands every record to the buffer, the first with how the run began, until the sampler has ended.
async fn keep(
    mut records: mpsc::Receiver<Record>,
    buffer: Buffer,
    began: Fact,
    metrics: Metrics,
    stretch: watch::Receiver<u32>,
    finished: CancellationToken,
) -> Result<(), buffer::Error> {
    // However this ends, the uplink must not wait for more.
    let _finished = finished.drop_guard();
    let status = buffer.status();
    let mut began = Some(began);
    while let Some(mut record) = records.recv().await {
        record.tick.facts.extend(began.take());
        match buffer.append(record).await {
            Ok(_) => metrics.taken(&status.borrow(), *stretch.borrow(), now_us()),
            Err(error @ buffer::Error::Encode(_)) => {
                tracing::error!(error = %error, "a tick is lost: it does not fit the format");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn deliver(uplink: Uplink, finished: CancellationToken) {
    let buffer = uplink.buffer.clone();
    uplink.run(finished).await;
    buffer.close().await;
}

/// Now, in microseconds since the Unix epoch.
pub(crate) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
