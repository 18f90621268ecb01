//! Sends what the buffer holds to a collector and lets go of it when the collector has committed it.
//!
//! - Records go out in order of [`Position`](vmscope_model::Position), in frames coded against the earlier frames of the
//!   same session. A session begins with everything that is not acknowledged, so nothing depends on what a lost session
//!   had got through; the collector drops what it has committed already, and says so in its welcome.
//! - At most [`window`] frames are unacknowledged. A collector that can't store stops acknowledging, the window fills, and
//!   the samples stay in the buffer: memory does not grow.
//! - Collectors are dialled in a [`race`]: the one that served last, then the others in the order of preference, each a
//!   little after the one before. The first that answers gets the introduction, the others are left. One that does not
//!   welcome the agent soon is left for the next; never are two introduced at the same time, since the second session
//!   takes the host over from the first. An agent stays where it is served: it does not go back by itself.
//! - After a round without success comes a pause with jitter that grows. A refusal is for a person to mend: after a round
//!   of those the pause is long. A collector that has too much to do, or a session that another one replaced, is none.
//! - At the stop the sampler ends first; then a session that lives has a few seconds to deliver the rest.

mod race;
mod session;
mod window;

pub use session::Error;

use crate::buffer::Buffer;
use crate::enrol::Credentials;
use crate::metrics::Metrics;
use race::Race;
use session::{Ending, Patience};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use vmscope_link::{Backoff, Session};
use vmscope_model::HostId;
use vmscope_service::admin::Check;

/// Bound of the first pause between rounds.
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// Bound of the longest pause between rounds.
const PAUSE_MAX: Duration = Duration::from_secs(20);
/// Pause after a round in which a collector refused this agent.
const REFUSED_PAUSE: Duration = Duration::from_mins(1);
/// Bound of the first pause after another session took this host over.
const REPLACED_MIN: Duration = Duration::from_secs(1);
/// Bound of the longest of these pauses; a session that lived for so long was not fought over.
const REPLACED_MAX: Duration = Duration::from_mins(1);
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
        let mut fought_over = Backoff::new(REPLACED_MIN, REPLACED_MAX);
        let mut first = 0;
        while !finished.is_cancelled() {
            let begun = Instant::now();
            let pause = match self.round(&mut first, &finished).await {
                Visit::Over => Duration::ZERO,
                Visit::Served => {
                    backoff.reset();
                    backoff.next_delay()
                }
                Visit::Replaced => {
                    if begun.elapsed() >= REPLACED_MAX {
                        fought_over.reset();
                    }
                    fought_over.next_delay()
                }
                Visit::Refused => REFUSED_PAUSE,
                Visit::Failed => backoff.next_delay(),
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

    /// One attempt at each collector, until one has served: `first` before the others. Tells which one did, in `first`.
    async fn round(&self, first: &mut usize, finished: &CancellationToken) -> Visit {
        let others = (0..self.collectors.len()).filter(|number| number != first);
        let mut left: Vec<usize> = std::iter::once(*first)
            .filter(|number| *number < self.collectors.len())
            .chain(others)
            .collect();
        let mut round = Visit::Failed;
        while !left.is_empty() {
            let Some((number, session)) = self.connect(&mut left, finished).await else {
                break;
            };
            let patience = if left.is_empty() {
                Patience::Long
            } else {
                Patience::Short
            };
            match self.hold(number, session, patience, finished).await {
                Visit::Served => {
                    *first = number;
                    return Visit::Served;
                }
                Visit::Refused => round = Visit::Refused,
                Visit::Failed => {}
                visit @ (Visit::Over | Visit::Replaced) => return visit,
            }
        }
        if finished.is_cancelled() {
            Visit::Over
        } else {
            round
        }
    }

    /// Connects with the first of the collectors `left` that answers; takes it, and those that failed, out of them.
    async fn connect(&self, left: &mut Vec<usize>, finished: &CancellationToken) -> Option<(usize, Session)> {
        let mut race = Race::new(left.iter().map(|number| self.dial(*number)).collect());
        loop {
            let (number, session) = tokio::select! {
                ended = race.next() => ended?,
                () = finished.cancelled() => return None,
            };
            left.retain(|other| *other != number);
            if let Some(session) = session {
                return Some((number, session));
            }
        }
    }

    /// Connects with a collector, at whichever of its addresses.
    async fn dial(&self, number: usize) -> (usize, Option<Session>) {
        let collector = &self.collectors[number];
        let addresses: Vec<SocketAddr> = match tokio::net::lookup_host(collector).await {
            Ok(addresses) => addresses.collect(),
            Err(error) => {
                self.failed(collector, &Error::Resolve(error));
                return (number, None);
            }
        };
        self.credentials.refresh().await;
        let dialer = self.credentials.dialer();
        let attempts = addresses.iter().map(|address| dialer.connect(*address));
        let mut race = Race::new(attempts.collect());
        while let Some(connected) = race.next().await {
            match connected {
                Ok(session) => return (number, Some(session)),
                Err(error) => self.failed(collector, &Error::Link(error)),
            }
        }
        (number, None)
    }

    async fn hold(
        &self,
        number: usize,
        session: Session,
        patience: Patience,
        finished: &CancellationToken,
    ) -> Visit {
        let (collector, remote) = (&self.collectors[number], session.remote);
        let window = window::Window::default();
        let held = tokio::select! {
            held = session::hold(self, &window, session, (collector, patience), finished) => held,
            () = overdue(finished) => Ok(Ending::Overdue),
        };
        self.metrics.connected.set(0);
        match held {
            Ok(Ending::Delivered) => Visit::Over,
            Ok(Ending::Overdue) => {
                tracing::info!(collector, oldest = ?window.oldest(), "uplink stops before everything is acknowledged: the buffer keeps it");
                Visit::Over
            }
            Err(Error::Refused { code, advice }) => self.refused((collector, remote), &code, &advice),
            Err(error) => {
                self.failed(collector, &error);
                if window.was_acknowledged() {
                    Visit::Served
                } else {
                    Visit::Failed
                }
            }
        }
    }

    fn refused(&self, (collector, remote): (&str, SocketAddr), code: &str, advice: &str) -> Visit {
        self.metrics.refusals.inc();
        self.check.down(format!("refused: {code}"));
        let visit = match code {
            session::REPLACED => Visit::Replaced,
            session::TOO_MANY_SESSIONS => Visit::Failed,
            _ => Visit::Refused,
        };
        if matches!(visit, Visit::Refused) {
            tracing::error!(collector, %remote, code, advice, "collector refuses this agent");
        } else {
            tracing::warn!(collector, %remote, code, advice, "collector ends the session; another one follows");
        }
        visit
    }

    fn failed(&self, collector: &str, error: &Error) {
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
    }
}

/// How an attempt at one collector ended.
#[derive(Debug, Clone, Copy)]
enum Visit {
    /// The agent stops.
    Over,
    /// There was a session that committed something, and it has ended.
    Served,
    /// A newer session took the host over.
    Replaced,
    /// A person has to mend something.
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
