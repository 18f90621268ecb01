//! One session with one collector: introduction, frames out, acknowledgements in.

use super::Uplink;
use super::window::Window;
use crate::buffer::{self, Batch};
use std::io;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use vmscope_link::{Fingerprint, Receiver, Sender, Session};
use vmscope_model::wire::{self, Frame, FrameEncoder, Message};
use vmscope_model::{Position, Record};

/// The refusal of a session that a newer one has replaced.
pub(super) const REPLACED: &str = "replaced";
/// The refusal of a session because too many begin.
pub(super) const TOO_MANY_SESSIONS: &str = "too_many_sessions";
/// A clock that differs by more from the collector's is warned of.
const CLOCK_OFFSET_LIMIT_US: u64 = 5_000_000;
/// What one frame takes from the buffer at most. A backlog goes out in frames of this size, a live tick in one of its own.
const FRAME: Batch = Batch {
    records: 128,
    bytes: 256 << 10,
};

/// Why a session could not be had, or ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The collector's name has no address.
    #[error("collector's address can't be found")]
    Resolve(#[source] io::Error),
    /// The connection could not be made, or broke.
    #[error("link failed")]
    Link(#[from] vmscope_link::Error),
    /// The collector did not answer the introduction in time.
    #[error("collector did not answer the introduction")]
    NoWelcome,
    /// The collector refuses this agent.
    #[error("collector refuses this agent: {code}, {advice}")]
    Refused {
        /// Stable code for programs.
        code: String,
        /// What a person can do.
        advice: String,
    },
    /// The collector ended the session.
    #[error("collector ended the session")]
    Ended,
    /// The collector sent something that has no place here.
    #[error("collector broke the protocol")]
    Protocol,
    /// The session's dictionary is full: the next session begins with an empty one.
    #[error("the session can't take more entities")]
    Full(#[source] wire::Error),
    /// The buffer does not answer.
    #[error("buffer failed")]
    Buffer(#[from] buffer::Error),
}

/// How long the collector may take to answer the introduction. It does so when its database has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// There is another collector to try.
    Short,
    /// There is none.
    Long,
}

impl Patience {
    const fn deadline(self) -> Duration {
        match self {
            Self::Short => Duration::from_secs(3),
            Self::Long => Duration::from_secs(15),
        }
    }
}

/// How a session came to its good end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Everything is acknowledged and nothing more will come.
    Delivered,
    /// The agent stops and can't wait any longer.
    Overdue,
}

/// Holds the session until it breaks or everything is delivered.
pub(super) async fn hold(
    uplink: &Uplink,
    window: &Window,
    session: Session,
    (collector, patience): (&str, Patience),
    finished: &CancellationToken,
) -> Result<Ending, Error> {
    let Session {
        mut sender,
        mut receiver,
        peer,
        remote,
        control,
        ..
    } = session;
    let introduction = introduce(&mut sender, &mut receiver);
    let (software, clock_us, committed) = tokio::time::timeout(patience.deadline(), introduction)
        .await
        .map_err(|_| Error::NoWelcome)??;
    let offset_us = clock_offset_us(clock_us, control.round_trip(), crate::now_us());
    note_clock(uplink, collector, offset_us);
    for position in committed {
        uplink.buffer.acknowledge(position).await?;
    }
    uplink.metrics.sessions.inc();
    uplink.metrics.connected.set(1);
    uplink.check.up();
    tracing::info!(collector, %remote, collector.name = peer.name(), collector.software = software, clock.offset_ms = offset_us / 1000, "collector takes samples");
    let outbound = Outbound {
        uplink,
        window,
        sender,
        encoder: FrameEncoder::new(uplink.host),
        fresh: true,
    };
    tokio::select! {
        sent = outbound.send_all(finished) => sent.map(|()| Ending::Delivered),
        error = take_acknowledgements(uplink, window, receiver) => Err(error),
    }
}

/// How far this host's clock is ahead of the collector's, which showed `said_us` half a `round_trip` ago.
fn clock_offset_us(said_us: i64, round_trip: Duration, now_us: i64) -> i64 {
    let half_us = i64::try_from(round_trip.as_micros() / 2).unwrap_or(i64::MAX);
    now_us.saturating_sub(said_us.saturating_add(half_us))
}

/// Shows the offset, and warns when the clock goes off or comes back. Samples stand at this host's time all the same.
fn note_clock(uplink: &Uplink, collector: &str, offset_us: i64) {
    let off = |offset_us: i64| offset_us.unsigned_abs() > CLOCK_OFFSET_LIMIT_US;
    let before_us = uplink.metrics.set_clock_offset_us(offset_us);
    match (off(before_us), off(offset_us)) {
        (false, true) => tracing::warn!(
            collector,
            clock.offset_ms = offset_us / 1000,
            "this host's clock differs from the collector's: is time synchronised on both?"
        ),
        (true, false) => {
            tracing::info!(
                collector,
                clock.offset_ms = offset_us / 1000,
                "this host's clock agrees with the collector's again"
            );
        }
        _ => {}
    }
}

/// Says hello; gives the collector's version and clock, and what it has committed.
async fn introduce(
    sender: &mut Sender,
    receiver: &mut Receiver,
) -> Result<(String, i64, Vec<Position>), Error> {
    let hello = Message::Hello {
        software: concat!("vmscope-agent ", env!("CARGO_PKG_VERSION")).to_owned(),
        clock_us: crate::now_us(),
        columns: wire::columns(),
    };
    sender.send(&hello).await?;
    match receiver.recv().await? {
        Some(Message::Welcome {
            software,
            clock_us,
            committed,
            ..
        }) => Ok((software, clock_us, committed)),
        Some(Message::Refuse { code, advice }) => Err(Error::Refused { code, advice }),
        Some(_) => Err(Error::Protocol),
        None => Err(Error::Ended),
    }
}

async fn take_acknowledgements(uplink: &Uplink, window: &Window, mut receiver: Receiver) -> Error {
    loop {
        let credentials = &uplink.credentials;
        let position = match receiver.recv().await {
            Ok(Some(Message::Ack(position))) => position,
            Ok(Some(Message::Issued {
                certificate,
                authority,
            })) => {
                credentials.accept(certificate, authority).await;
                continue;
            }
            Ok(Some(Message::NotRenewed { code, advice })) => {
                credentials.not_renewed(&code, &advice);
                continue;
            }
            Ok(Some(Message::Trust { roots })) => {
                credentials.compare(Fingerprint::new(roots));
                continue;
            }
            Ok(Some(Message::Refuse { code, advice })) => return Error::Refused { code, advice },
            Ok(Some(_)) => return Error::Protocol,
            Ok(None) => return Error::Ended,
            Err(error) => return error.into(),
        };
        uplink
            .metrics
            .ticks_acknowledged
            .inc_by(window.acknowledge(position));
        if let Err(error) = uplink.buffer.acknowledge(position).await {
            return error.into();
        }
    }
}

struct Outbound<'a> {
    uplink: &'a Uplink,
    window: &'a Window,
    sender: Sender,
    encoder: FrameEncoder,
    /// Nothing has been encoded in this session.
    fresh: bool,
}

impl Outbound<'_> {
    /// Sends everything in the buffer and everything that comes, until nothing more will come and all is acknowledged.
    async fn send_all(mut self, finished: &CancellationToken) -> Result<(), Error> {
        let mut status = self.uplink.buffer.status();
        let mut cursor = None;
        loop {
            self.window.open().await;
            if self.uplink.credentials.is_due()
                && let Some(request) = self.uplink.credentials.request().await
            {
                self.sender.send(&request).await?;
            }
            // Both before looking, so that what happens meanwhile makes for another look.
            let last_look = finished.is_cancelled();
            let seen = status.borrow_and_update().newest;
            let batch = self.uplink.buffer.peek(cursor, FRAME).await?;
            if let Some((last, _)) = batch.last() {
                cursor = Some(*last);
                for run in batch.chunk_by(|(a, _), (b, _)| a.epoch == b.epoch) {
                    self.send(run).await?;
                }
            } else if last_look {
                self.window.empty().await;
                return Ok(());
            } else {
                tokio::select! {
                    changed = status.wait_for(|status| status.newest != seen) => {
                        changed.map_err(|_| buffer::Error::Closed)?;
                    }
                    () = self.uplink.credentials.due() => {}
                    () = finished.cancelled() => {}
                }
            }
        }
    }

    /// Sends records of one epoch, in as many frames as they need.
    async fn send(&mut self, records: &[(Position, Record)]) -> Result<(), Error> {
        let mut rest = records;
        let mut count = rest.len();
        while !rest.is_empty() {
            let (head, tail) = rest.split_at(count.min(rest.len()));
            match self.encoder.encode(head) {
                Ok(frame) => {
                    self.fresh = false;
                    self.transmit(head, frame).await?;
                    rest = tail;
                }
                Err(_) if head.len() > 1 => count = head.len() / 2,
                Err(error) if !self.fresh => return Err(Error::Full(error)),
                Err(error) => {
                    // Not even in a session of its own: kept, it would block everything behind it for ever.
                    tracing::error!(position = ?head[0].0, %error, "a record can't be sent and is dropped");
                    self.uplink.buffer.discard(head[0].0).await?;
                    rest = tail;
                }
            }
        }
        Ok(())
    }

    async fn transmit(&mut self, records: &[(Position, Record)], frame: Frame) -> Result<(), Error> {
        let (Some((first, _)), Some((last, _))) = (records.first(), records.last()) else {
            return Ok(());
        };
        let (ticks, bytes) = (records.len() as u64, frame.body.len());
        // Noted before it is out: its acknowledgement may be faster than the return from here.
        self.window.sent(*first, *last, ticks, bytes);
        self.sender.send(&Message::Frame(frame)).await?;
        self.uplink.metrics.frames_sent.inc();
        self.uplink.metrics.ticks_sent.inc_by(ticks);
        self.uplink.metrics.bytes_sent.inc_by(bytes as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_round_trip_is_no_clock_offset() {
        let trip = Duration::from_millis(300);
        assert_eq!(clock_offset_us(1_000_000, trip, 1_150_000), 0);
        assert_eq!(clock_offset_us(1_000_000, trip, 7_150_000), 6_000_000);
        assert_eq!(clock_offset_us(i64::MAX, trip, 0), -i64::MAX);
    }
}
