//! Sends what the buffer holds to a collector and lets go of it when the collector has committed it.
//!
//! - Records go out in order of [`Position`](vmscope_model::Position), in frames coded against the earlier frames of the
//!   same session. A session begins with everything that is not acknowledged, so nothing depends on what a lost session
//!   had got through; the collector drops what it has committed already, and says so in its welcome.
//! - At most [`window`] frames are unacknowledged. A collector that can't store stops acknowledging, the window fills, and
//!   the samples stay in the buffer: memory does not grow.
//! - Collectors are tried in turn, each address of each name, the next one at once; after a whole round without success
//!   comes a pause with jitter that grows. A refusal is for a person to mend: after a round of refusals the pause is long.
//! - At the stop the sampler ends first; then a session that lives has a few seconds to deliver the rest.

mod session;
mod window;

pub use session::Error;

use crate::buffer::Buffer;
use crate::enrol::Credentials;
use crate::metrics::Metrics;
use session::Ending;
use std::net::SocketAddr;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use vmscope_link::Backoff;
use vmscope_model::HostId;
use vmscope_service::admin::Check;

/// Bound of the first pause between rounds.
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// Bound of the longest pause between rounds.
const PAUSE_MAX: Duration = Duration::from_secs(20);
/// Pause after a round in which a collector refused this agent.
const REFUSED_PAUSE: Duration = Duration::from_mins(1);
/// How long the rest may take to be delivered after the stop.
const DRAIN_DEADLINE: Duration = Duration::from_secs(5);
/// How long telling the collector of the end may take.
const FAREWELL_DEADLINE: Duration = Duration::from_millis(500);

/// The way from the buffer to the collectors.
#[derive(Debug)]
pub struct Uplink {
    /// Whose samples; the certificate says the same.
    pub host: HostId,
    /// Collectors as `host:port`, in order of preference; resolved at each attempt.
    pub collectors: Vec<String>,
    /// Makes the sessions, and shows who this is.
    pub credentials: Credentials,
    /// Where the records are.
    pub buffer: Buffer,
    /// Counts what happens.
    pub metrics: Metrics,
    /// Up while a collector takes samples.
    pub check: Check,
}

impl Uplink {
    /// Delivers until `finished` is cancelled (nothing more is appended) and the rest is delivered or its time is over.
    pub async fn run(self, finished: CancellationToken) {
        let mut backoff = Backoff::new(PAUSE_MIN, PAUSE_MAX);
        let mut turn = 0;
        while !finished.is_cancelled() {
            let mut refused = false;
            for _ in 0..self.collectors.len() {
                let collector = &self.collectors[turn % self.collectors.len()];
                match self.visit(collector, &finished).await {
                    Visit::Over => break,
                    // The same collector again: it may have been restarted.
                    Visit::Served => {
                        backoff.reset();
                        refused = false;
                        break;
                    }
                    Visit::Refused => refused = true,
                    Visit::Failed => {}
                }
                turn += 1;
            }
            let pause = if refused {
                REFUSED_PAUSE
            } else {
                backoff.next_delay()
            };
            tokio::select! {
                () = finished.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
                () = self.credentials.replaced() => {}
            }
        }
        // A handshake that nobody answers would keep the farewell waiting for seconds.
        if tokio::time::timeout(FAREWELL_DEADLINE, self.credentials.dialer().close("agent stops"))
            .await
            .is_err()
        {
            tracing::debug!("collector may not have been told that the agent stops");
        }
    }

    /// One attempt at one collector, with the whole session if it comes to one.
    async fn visit(&self, collector: &str, finished: &CancellationToken) -> Visit {
        let addresses: Vec<SocketAddr> = match tokio::net::lookup_host(collector).await {
            Ok(addresses) => addresses.collect(),
            Err(error) => return self.failed(collector, &Error::Resolve(error)),
        };
        self.credentials.refresh().await;
        let mut visit = Visit::Failed;
        for address in addresses {
            let connected = tokio::select! {
                connected = self.credentials.dialer().connect(address) => connected,
                () = finished.cancelled() => return Visit::Over,
            };
            visit = match connected {
                Ok(session) => self.hold(collector, session, finished).await,
                Err(error) => self.failed(collector, &Error::Link(error)),
            };
            if !matches!(visit, Visit::Failed) {
                break;
            }
        }
        visit
    }

    async fn hold(
        &self,
        collector: &str,
        session: vmscope_link::Session,
        finished: &CancellationToken,
    ) -> Visit {
        let remote = session.remote;
        let window = window::Window::default();
        let held = tokio::select! {
            held = session::hold(self, &window, session, collector, finished) => held,
            () = overdue(finished) => Ok(Ending::Overdue),
        };
        self.metrics.connected.set(0);
        match held {
            Ok(Ending::Delivered) => Visit::Over,
            Ok(Ending::Overdue) => {
                tracing::info!(collector, oldest = ?window.oldest(), "uplink stops before everything is acknowledged: the buffer keeps it");
                Visit::Over
            }
            Err(Error::Refused { code, advice }) => {
                self.metrics.refusals.inc();
                self.check.down(format!("refused: {code}"));
                tracing::error!(collector, %remote, code, advice, "collector refuses this agent");
                Visit::Refused
            }
            Err(error) => match self.failed(collector, &error) {
                _ if window.was_acknowledged() => Visit::Served,
                visit => visit,
            },
        }
    }

    fn failed(&self, collector: &str, error: &Error) -> Visit {
        self.metrics.failures.inc();
        self.check.down(format!("not connected to {collector}"));
        let advice = match error {
            Error::Link(link) => self.credentials.advice(link),
            _ => None,
        };
        if let Some(advice) = advice {
            tracing::error!(collector, error = chain(error), advice, "certificates don't fit");
        } else {
            tracing::warn!(collector, error = chain(error), "no session with the collector");
        }
        Visit::Failed
    }
}

/// How an attempt at one collector ended.
enum Visit {
    /// The agent stops.
    Over,
    /// There was a session that committed something, and it has ended.
    Served,
    Refused,
    Failed,
}

async fn overdue(finished: &CancellationToken) {
    finished.cancelled().await;
    tokio::time::sleep(DRAIN_DEADLINE).await;
}

/// An error with all its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
