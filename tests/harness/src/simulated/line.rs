//! The sending side of a session, and what comes back.

use super::log::{Flight, Log};
use super::wall_us;
use anyhow::Context;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::time::Instant;
use vmscope_link::{Dialer, Identity, Receiver, Sender, Session};
use vmscope_model::wire::{self, FrameEncoder, Message};
use vmscope_model::{HostId, Position, Record};

/// A session that sends frames of ticks. What comes back is taken by its [`Acknowledgements`], which must run beside it.
#[derive(Debug)]
pub struct Line {
    sender: Sender,
    encoder: FrameEncoder,
    flight: Arc<Flight>,
    log: Arc<Log>,
    /// Holds the socket for as long as the session lives.
    _dialer: Dialer,
}

impl Line {
    /// Opens a session of `host`, whose lags go to `log`.
    ///
    /// # Errors
    /// When the collector does not take it.
    pub async fn open(
        identity: &Identity,
        host: HostId,
        collector: SocketAddr,
        log: &Arc<Log>,
    ) -> anyhow::Result<(Self, Acknowledgements)> {
        let dialer = Dialer::new(identity)?;
        let Session { sender, receiver, .. } = open(&dialer, collector).await?;
        let flight = log.begin();
        let line = Self {
            sender,
            encoder: FrameEncoder::new(host),
            flight: Arc::clone(&flight),
            log: Arc::clone(log),
            _dialer: dialer,
        };
        let acknowledgements = Acknowledgements {
            receiver,
            flight,
            log: Arc::clone(log),
        };
        Ok((line, acknowledgements))
    }

    /// Waits for a tick's moment, and notes how late this program was then.
    pub async fn wake(&self, due: Instant) {
        if due > Instant::now() {
            tokio::time::sleep_until(due).await;
            self.log.woke(due.elapsed());
        }
    }

    /// Sends one frame as soon as the window allows; `due` is the moment of its last tick.
    ///
    /// # Errors
    /// When the ticks can't be coded or the session is over.
    pub async fn send(&mut self, ticks: &[(Position, Record)], due: Instant) -> anyhow::Result<()> {
        let Some((upto, _)) = ticks.last() else {
            return Ok(());
        };
        let frame = self.encoder.encode(ticks)?;
        self.flight.admit(*upto, due).await?;
        Ok(self.sender.send(&Message::Frame(frame)).await?)
    }

    /// Waits until everything is acknowledged.
    ///
    /// # Errors
    /// None that is known.
    pub async fn finish(&self) -> anyhow::Result<()> {
        self.flight.land().await
    }
}

/// What a collector says in a session.
#[derive(Debug)]
pub struct Acknowledgements {
    receiver: Receiver,
    flight: Arc<Flight>,
    log: Arc<Log>,
}

impl Acknowledgements {
    /// Runs `sending` while acknowledgements are taken.
    ///
    /// # Errors
    /// Those of `sending`, or that the session ended before it did.
    pub async fn beside<T>(self, sending: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        tokio::select! {
            sent = sending => sent,
            error = self.take() => error.map(|never| match never {}),
        }
    }

    async fn take(mut self) -> anyhow::Result<Infallible> {
        loop {
            let message = self.receiver.recv().await?;
            match message.context("the collector closed the session")? {
                Message::Ack(position) => self.log.acknowledge(&self.flight, position),
                other => anyhow::bail!("the collector said {other:?}"),
            }
        }
    }
}

/// Opens a session and says hello.
///
/// # Errors
/// When the collector does not take it.
pub async fn open(dialer: &Dialer, address: SocketAddr) -> anyhow::Result<Session> {
    let mut session = dialer.connect(address).await?;
    let hello = Message::Hello {
        software: "simulated".to_owned(),
        clock_us: wall_us()?,
        columns: wire::columns(),
    };
    session.sender.send(&hello).await?;
    match session.receiver.recv().await? {
        Some(Message::Welcome { .. }) => Ok(session),
        other => anyhow::bail!("the collector answered {other:?}"),
    }
}
