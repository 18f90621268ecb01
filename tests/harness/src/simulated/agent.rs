//! An agent whose samples wander.

use super::series::{Host, INTERVAL_US};
use super::{Acknowledgements, DEAR_EVERY, FRAME_TICKS, Line, Log, micros, wall_us};
use crate::site::Site;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use vmscope_model::{HostId, Position, Record};

/// The epoch of every simulated agent: each is a new host.
const EPOCH: u64 = 1;

/// What one agent has sent and the collector has acknowledged.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sent {
    /// Rows for `vm_sample`.
    pub vm_rows: u64,
    /// Seconds of samples.
    pub seconds: u64,
}

/// A session that is open and has sent nothing yet.
#[derive(Debug)]
pub struct Agent {
    acknowledgements: Acknowledgements,
    outbound: Outbound,
}

impl Agent {
    /// A new host of `site` with `vms` VMs, connected to its collector; its lags go to `log`.
    ///
    /// # Errors
    /// When the collector does not take it.
    pub async fn connect(site: &Site, seed: u64, vms: usize, log: &Arc<Log>) -> anyhow::Result<Self> {
        let host = HostId(Uuid::new_v4());
        let identity = site.agent_identity(host)?;
        let (line, acknowledgements) = Line::open(&identity, host, site.collector_address, log).await?;
        let outbound = Outbound {
            line,
            series: Host::new(seed, vms),
            vms: vms as u64,
            last: Position {
                epoch: EPOCH,
                sequence: 0,
            },
            sent: Sent::default(),
        };
        Ok(Self {
            acknowledgements,
            outbound,
        })
    }

    /// Sends what each second brings, `phase` after its beginning, until the stop; then waits for acknowledgements.
    ///
    /// # Errors
    /// When the session breaks.
    pub async fn live(self, phase: Duration, stop: CancellationToken) -> anyhow::Result<Sent> {
        let mut outbound = self.outbound;
        let sending = async {
            let (begun, begun_us) = (Instant::now() + phase, wall_us()? + micros(phase)?);
            while !stop.is_cancelled() {
                let second = outbound.sent.seconds;
                let due = begun + Duration::from_secs(second);
                outbound.line.wake(due).await;
                let time_us = begun_us + i64::try_from(second)? * INTERVAL_US;
                for one in outbound.second(time_us) {
                    outbound.line.send(&[one], due).await?;
                }
            }
            outbound.finish().await
        };
        self.acknowledgements.beside(sending).await
    }

    /// Sends `seconds` of samples that end now, as fast as they are taken, until `end`; then waits for acknowledgements.
    ///
    /// # Errors
    /// When the session breaks.
    pub async fn drain(self, seconds: u64, end: Instant) -> anyhow::Result<Sent> {
        let mut outbound = self.outbound;
        let sending = async {
            let begun_us = wall_us()? - i64::try_from(seconds)? * INTERVAL_US;
            let mut ticks = Vec::new();
            while outbound.sent.seconds < seconds && Instant::now() < end {
                let time_us = begun_us + i64::try_from(outbound.sent.seconds)? * INTERVAL_US;
                ticks.extend(outbound.second(time_us));
                // A second has up to two ticks.
                if ticks.len() + 2 > FRAME_TICKS {
                    outbound.line.send(&ticks, Instant::now()).await?;
                    ticks.clear();
                }
            }
            outbound.line.send(&ticks, Instant::now()).await?;
            outbound.finish().await
        };
        self.acknowledgements.beside(sending).await
    }
}

/// The sending side of an agent.
#[derive(Debug)]
struct Outbound {
    line: Line,
    series: Host,
    vms: u64,
    last: Position,
    sent: Sent,
}

impl Outbound {
    /// The ticks of the next second.
    fn second(&mut self, time_us: i64) -> Vec<(Position, Record)> {
        let cheap = self.series.cheap(time_us);
        let mut ticks = vec![(self.next(), cheap)];
        if self.sent.seconds.is_multiple_of(DEAR_EVERY) {
            let dear = self.series.dear(time_us);
            ticks.push((self.next(), dear));
        }
        self.sent.seconds += 1;
        self.sent.vm_rows += self.vms * ticks.len() as u64;
        ticks
    }

    fn next(&mut self) -> Position {
        self.last.sequence += 1;
        self.last
    }

    /// Waits until everything is acknowledged.
    async fn finish(&self) -> anyhow::Result<Sent> {
        self.line.finish().await?;
        Ok(self.sent)
    }
}
