//! Agents that only the benchmark plays, over real sessions: what they send is made when it is due.
//!
//! Each second has a cheap tick, and each fifth a dear one behind it, as with a real agent; the host's own row is part of
//! the cheap tick. A live tick goes out in a frame of its own, a backlog in frames of [`FRAME_TICKS`].

use crate::series::{Host, INTERVAL_US};
use anyhow::Context;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use vmscope_harness::site::Site;
use vmscope_link::{Dialer, Receiver, Sender, Session};
use vmscope_model::wire::{self, FrameEncoder, Message};
use vmscope_model::{HostId, Position, Record};

/// Seconds between two dear ticks.
const DEAR_EVERY: u64 = 5;
/// Frames that may be unacknowledged, as with a real agent.
const WINDOW_FRAMES: u32 = 64;
/// Ticks in one frame of a backlog, as with a real agent.
const FRAME_TICKS: usize = 128;
/// The epoch of every simulated agent: each is a new host.
const EPOCH: u64 = 1;

/// When acknowledgements came, and how old what they acknowledge was.
#[derive(Debug, Default)]
pub(crate) struct Log {
    lags: Mutex<Vec<(Instant, Duration)>>,
    wakes: Mutex<Vec<(Instant, Duration)>>,
    flights: Mutex<Vec<Arc<Flight>>>,
}

impl Log {
    /// Seconds from the moment of each tick to its acknowledgement, of those acknowledged between the two moments.
    pub(crate) fn lags(&self, from: Instant, to: Instant) -> Vec<f64> {
        between(&self.lags, from, to)
    }

    /// Seconds by which the simulator itself was late to make a tick.
    pub(crate) fn late(&self, from: Instant, to: Instant) -> Vec<f64> {
        between(&self.wakes, from, to)
    }

    /// How old the oldest tick is that is not acknowledged.
    pub(crate) fn oldest(&self) -> Duration {
        let flights = locked(&self.flights);
        let oldest = flights
            .iter()
            .filter_map(|flight| locked(&flight.frames).front().map(|frame| frame.due));
        oldest.min().map_or(Duration::ZERO, |due| due.elapsed())
    }
}

fn between(entries: &Mutex<Vec<(Instant, Duration)>>, from: Instant, to: Instant) -> Vec<f64> {
    let entries = locked(entries);
    let inside = entries.iter().filter(|(at, _)| (from..to).contains(at));
    inside.map(|(_, duration)| duration.as_secs_f64()).collect()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A frame that waits for its acknowledgement.
#[derive(Debug)]
struct Unacknowledged {
    upto: Position,
    /// The moment of its last tick.
    due: Instant,
}

/// One agent's unacknowledged frames.
#[derive(Debug)]
struct Flight {
    frames: Mutex<VecDeque<Unacknowledged>>,
    window: Semaphore,
}

/// What one agent has sent and the collector has acknowledged.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sent {
    /// Rows for `vm_sample`.
    pub(crate) vm_rows: u64,
    /// Seconds of samples.
    pub(crate) seconds: u64,
}

/// A session that is open and has sent nothing yet.
#[derive(Debug)]
pub(crate) struct Agent {
    session: Session,
    /// Holds the socket for as long as the session lives.
    dialer: Dialer,
    encoder: FrameEncoder,
    series: Host,
    vms: u64,
    last: Position,
    log: Arc<Log>,
    flight: Arc<Flight>,
}

impl Agent {
    /// A new host of `site` with `vms` VMs, connected to its collector; its lags go to `log`.
    pub(crate) async fn connect(site: &Site, seed: u64, vms: usize, log: &Arc<Log>) -> anyhow::Result<Self> {
        let host = HostId(Uuid::new_v4());
        let dialer = Dialer::new(&site.agent_identity(host)?)?;
        let flight = Arc::new(Flight {
            frames: Mutex::default(),
            window: Semaphore::new(WINDOW_FRAMES as usize),
        });
        locked(&log.flights).push(Arc::clone(&flight));
        Ok(Self {
            session: open(&dialer, site.collector_address).await?,
            dialer,
            encoder: FrameEncoder::new(host),
            series: Host::new(seed, vms),
            vms: vms as u64,
            last: Position {
                epoch: EPOCH,
                sequence: 0,
            },
            log: Arc::clone(log),
            flight,
        })
    }

    /// Sends what each second brings, `phase` after its beginning, until the stop; then waits for acknowledgements.
    pub(crate) async fn live(self, phase: Duration, stop: CancellationToken) -> anyhow::Result<Sent> {
        let (mut outbound, receiving, _dialer) = self.split();
        let sending = async {
            let (begun, begun_us) = (Instant::now() + phase, wall_us()? + micros(phase)?);
            while !stop.is_cancelled() {
                let second = outbound.sent.seconds;
                let due = begun + Duration::from_secs(second);
                outbound.wake(due).await;
                let time_us = begun_us + i64::try_from(second)? * INTERVAL_US;
                for one in outbound.second(time_us) {
                    outbound.send(&[one], due).await?;
                }
            }
            outbound.finish().await
        };
        tokio::select! {
            sent = sending => sent,
            error = receiving => error.map(|never| match never {}),
        }
    }

    /// Sends `seconds` of samples that end now, as fast as they are taken, until `end`; then waits for acknowledgements.
    pub(crate) async fn drain(self, seconds: u64, end: Instant) -> anyhow::Result<Sent> {
        let (mut outbound, receiving, _dialer) = self.split();
        let sending = async {
            let begun_us = wall_us()? - i64::try_from(seconds)? * INTERVAL_US;
            let mut ticks = Vec::new();
            while outbound.sent.seconds < seconds && Instant::now() < end {
                let time_us = begun_us + i64::try_from(outbound.sent.seconds)? * INTERVAL_US;
                ticks.extend(outbound.second(time_us));
                // A second has up to two ticks.
                if ticks.len() + 2 > FRAME_TICKS {
                    outbound.send(&ticks, Instant::now()).await?;
                    ticks.clear();
                }
            }
            if !ticks.is_empty() {
                outbound.send(&ticks, Instant::now()).await?;
            }
            outbound.finish().await
        };
        tokio::select! {
            sent = sending => sent,
            error = receiving => error.map(|never| match never {}),
        }
    }

    fn split(self) -> (Outbound, impl Future<Output = anyhow::Result<Infallible>>, Dialer) {
        let Session { sender, receiver, .. } = self.session;
        let outbound = Outbound {
            sender,
            encoder: self.encoder,
            series: self.series,
            vms: self.vms,
            last: self.last,
            sent: Sent::default(),
            log: Arc::clone(&self.log),
            flight: Arc::clone(&self.flight),
        };
        let receiving = take_acknowledgements(receiver, self.flight, self.log);
        (outbound, receiving, self.dialer)
    }
}

/// The sending side of an agent.
struct Outbound {
    sender: Sender,
    encoder: FrameEncoder,
    series: Host,
    vms: u64,
    last: Position,
    sent: Sent,
    log: Arc<Log>,
    flight: Arc<Flight>,
}

impl Outbound {
    /// Waits for a tick's moment, and notes how late this program was then.
    async fn wake(&self, due: Instant) {
        if due > Instant::now() {
            tokio::time::sleep_until(due).await;
            let now = Instant::now();
            locked(&self.log.wakes).push((now, now - due));
        }
    }

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

    /// Sends one frame as soon as the window allows.
    async fn send(&mut self, ticks: &[(Position, Record)], due: Instant) -> anyhow::Result<()> {
        let frame = self.encoder.encode(ticks)?;
        let unacknowledged = Unacknowledged {
            upto: self.last_of(ticks),
            due,
        };
        self.flight.window.acquire().await?.forget();
        locked(&self.flight.frames).push_back(unacknowledged);
        Ok(self.sender.send(&Message::Frame(frame)).await?)
    }

    fn last_of(&self, ticks: &[(Position, Record)]) -> Position {
        ticks.last().map_or(self.last, |(position, _)| *position)
    }

    /// Waits until everything is acknowledged.
    async fn finish(&self) -> anyhow::Result<Sent> {
        let _whole = self.flight.window.acquire_many(WINDOW_FRAMES).await?;
        Ok(self.sent)
    }
}

async fn take_acknowledgements(
    mut receiver: Receiver,
    flight: Arc<Flight>,
    log: Arc<Log>,
) -> anyhow::Result<Infallible> {
    loop {
        let message = receiver.recv().await?;
        match message.context("the collector closed the session")? {
            Message::Ack(position) => acknowledge(position, &flight, &log),
            other => anyhow::bail!("the collector said {other:?}"),
        }
    }
}

fn acknowledge(position: Position, flight: &Flight, log: &Log) {
    let now = Instant::now();
    let mut frames = locked(&flight.frames);
    while let Some(frame) = frames.pop_front_if(|frame| frame.upto <= position) {
        flight.window.add_permits(1);
        locked(&log.lags).push((now, now - frame.due));
    }
}

/// Opens a session and says hello.
pub(crate) async fn open(dialer: &Dialer, address: SocketAddr) -> anyhow::Result<Session> {
    let mut session = dialer.connect(address).await?;
    let hello = Message::Hello {
        software: "bench".to_owned(),
        clock_us: wall_us()?,
        columns: wire::columns(),
    };
    session.sender.send(&hello).await?;
    match session.receiver.recv().await? {
        Some(Message::Welcome { .. }) => Ok(session),
        other => anyhow::bail!("the collector answered {other:?}"),
    }
}

/// Microseconds since the Unix epoch.
pub(crate) fn wall_us() -> anyhow::Result<i64> {
    micros(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?)
}

fn micros(duration: Duration) -> anyhow::Result<i64> {
    Ok(i64::try_from(duration.as_micros())?)
}
