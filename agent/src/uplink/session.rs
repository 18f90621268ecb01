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

/// How long the collector may take to answer the introduction.
const WELCOME_DEADLINE: Duration = Duration::from_secs(15);
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
    collector: &str,
    finished: &CancellationToken,
) -> Result<Ending, Error> {
    let Session {
        mut sender,
        mut receiver,
        peer,
        remote,
        ..
    } = session;
    let introduction = introduce(&mut sender, &mut receiver);
    let (software, committed) = tokio::time::timeout(WELCOME_DEADLINE, introduction)
        .await
        .map_err(|_| Error::NoWelcome)??;
    for position in committed {
        uplink.buffer.acknowledge(position).await?;
    }
    uplink.metrics.sessions.inc();
    uplink.metrics.connected.set(1);
    uplink.check.up();
    tracing::info!(collector, %remote, collector.name = peer.name(), collector.software = software, "collector takes samples");
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

async fn introduce(sender: &mut Sender, receiver: &mut Receiver) -> Result<(String, Vec<Position>), Error> {
    let hello = Message::Hello {
        software: concat!("vmscope-agent ", env!("CARGO_PKG_VERSION")).to_owned(),
        clock_us: crate::now_us(),
        columns: wire::columns(),
    };
    sender.send(&hello).await?;
    match receiver.recv().await? {
        Some(Message::Welcome {
            software, committed, ..
        }) => Ok((software, committed)),
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
