//! One stream of messages between two peers that know each other.
//!
//! On the stream each message stands behind its length (u32, little-endian). The receiver checks the length before it
//! holds anything, and then holds what has really come: a peer that announces 4 MiB and stays silent costs a few bytes.
//! Both directions can be used from different tasks. When the last part of a session is dropped, the connection closes.

use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::role::Role;
use bytes::{Buf, Bytes};
use quinn::{Connection, RecvStream, SendStream, VarInt};
use std::net::SocketAddr;
use std::time::Duration;
use vmscope_model::wire::{self, MAX_MESSAGE_BYTES, Message};

const PREFIX_BYTES: usize = 4;
/// The most that one read takes over from QUIC.
const READ_BYTES: usize = 64 << 10;
/// A receive buffer that a large message has grown beyond this is given back.
const KEPT_BYTES: usize = 256 << 10;
/// How long a refused peer has to take note of the reason.
const REFUSAL_DEADLINE: Duration = Duration::from_secs(2);

/// Why a session is closed, as the peer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum CloseCode {
    /// The work is done, or this side stops.
    Done = 0,
    /// This role is not let in here.
    WrongRole = 1,
    /// The peer opened no stream in time.
    NoStream = 2,
    /// The peer broke the protocol.
    Protocol = 3,
    /// A `Refuse` message said why.
    Refused = 4,
    /// A newer session took the place of this one.
    Replaced = 5,
}

/// Bytes of a connection, all of UDP's payload: handshake, messages, acknowledgements and repetitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WireBytes {
    /// Sent so far.
    pub sent: u64,
    /// Received so far.
    pub received: u64,
}

/// A peer whose certificate was verified, and the stream of messages from and to it.
#[derive(Debug)]
pub struct Session {
    /// Who the peer is.
    pub peer: Role,
    /// The SHA-256 of the peer's certificate.
    pub certificate: Fingerprint,
    /// Where the peer is.
    pub remote: SocketAddr,
    /// To the peer.
    pub sender: Sender,
    /// From the peer.
    pub receiver: Receiver,
    /// Ends and measures the connection, whoever holds the two above.
    pub control: Control,
}

impl Session {
    pub(crate) fn new(
        (peer, certificate): (Role, Fingerprint),
        connection: Connection,
        send: SendStream,
        receive: RecvStream,
    ) -> Self {
        Self {
            peer,
            certificate,
            remote: connection.remote_address(),
            sender: Sender::new(send),
            receiver: Receiver::new(receive, MAX_MESSAGE_BYTES),
            control: Control::new(connection),
        }
    }

    /// Closes the connection at once; what was sent and not yet acknowledged may be lost.
    pub fn close(&self, code: CloseCode, reason: &str) {
        self.control.close(code, reason);
    }

    /// Bytes of this connection so far.
    pub fn wire_bytes(&self) -> WireBytes {
        self.control.wire_bytes()
    }

    /// Tells the peer why it is refused, waits a moment until it has taken note, and closes.
    pub async fn refuse(self, code: &str, advice: &str) {
        refuse(self.sender, &self.control, self.remote, code, advice).await;
    }
}

/// Tells a peer why it is refused, waits a moment until it has taken note, and closes.
pub(crate) async fn refuse(
    mut sender: Sender,
    control: &Control,
    remote: SocketAddr,
    code: &str,
    advice: &str,
) {
    let message = Message::Refuse {
        code: code.to_owned(),
        advice: advice.to_owned(),
    };
    let told = async {
        sender.send(&message).await?;
        sender.finish().await
    };
    // The peer is refused in any case; at worst it does not learn why.
    if !matches!(tokio::time::timeout(REFUSAL_DEADLINE, told).await, Ok(Ok(()))) {
        tracing::debug!(%remote, code, "refusal not delivered");
    }
    control.close(CloseCode::Refused, code);
}

/// Ends and measures a session; clones are the same session.
#[derive(Debug, Clone)]
pub struct Control {
    connection: Connection,
}

impl Control {
    pub(crate) const fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// Closes the connection at once; what was sent and not yet acknowledged may be lost.
    pub fn close(&self, code: CloseCode, reason: &str) {
        self.connection
            .close(VarInt::from_u32(code as u32), reason.as_bytes());
    }

    /// Waits until the connection has ended and says how.
    pub async fn closed(&self) -> Error {
        self.connection.closed().await.into()
    }

    /// Bytes of this connection so far.
    pub fn wire_bytes(&self) -> WireBytes {
        let stats = self.connection.stats();
        WireBytes {
            sent: stats.udp_tx.bytes,
            received: stats.udp_rx.bytes,
        }
    }

    /// The current estimate of the time to the peer and back.
    pub fn round_trip(&self) -> Duration {
        self.connection.rtt()
    }
}

/// The sending half of a session.
#[derive(Debug)]
pub struct Sender {
    stream: SendStream,
    /// What is left of a message whose sending was cancelled.
    pending: Bytes,
}

impl Sender {
    pub(crate) const fn new(stream: SendStream) -> Self {
        Self {
            stream,
            pending: Bytes::new(),
        }
    }

    /// Sends a message, waiting while the peer (or the network) takes no more.
    ///
    /// Cancelling never tears the stream: the message was either not begun, or its rest goes out before the next one.
    /// Which of the two is not known, so who cancels and cares ends the session.
    ///
    /// # Errors
    /// [`Error::Encode`] (also when the message is too long) leaves the session usable; all others end it.
    pub async fn send(&mut self, message: &Message) -> Result<(), Error> {
        let framed = frame(message)?;
        self.flush().await?;
        self.pending = framed;
        self.flush().await
    }

    /// Ends this side's messages and waits until the peer has received them all.
    ///
    /// # Errors
    /// Those by which a session ends.
    pub async fn finish(&mut self) -> Result<(), Error> {
        self.flush().await?;
        self.stream.finish().map_err(|_| Error::Ended)?;
        match self.stream.stopped().await {
            Ok(None) => Ok(()),
            Ok(Some(code)) => Err(Error::Abandoned {
                code: code.into_inner(),
            }),
            Err(quinn::StoppedError::ConnectionLost(error)) => Err(error.into()),
            Err(quinn::StoppedError::ZeroRttRejected) => Err(Error::Ended),
        }
    }

    async fn flush(&mut self) -> Result<(), Error> {
        while !self.pending.is_empty() {
            let written = self.stream.write(&self.pending).await?;
            self.pending.advance(written);
        }
        Ok(())
    }
}

fn frame(message: &Message) -> Result<Bytes, Error> {
    let body = wire::encode(message).map_err(Error::Encode)?;
    let length = u32::try_from(body.len()).map_err(|_| Error::Oversized { bytes: body.len() })?;
    let mut framed = Vec::with_capacity(PREFIX_BYTES + body.len());
    framed.extend_from_slice(&length.to_le_bytes());
    framed.extend_from_slice(&body);
    Ok(framed.into())
}

/// The receiving half of a session.
#[derive(Debug)]
pub struct Receiver {
    stream: RecvStream,
    /// The beginning of the next message, prefix included; never more than that message.
    buffer: Vec<u8>,
    /// The longest message that is taken.
    limit_bytes: usize,
}

impl Receiver {
    pub(crate) const fn new(stream: RecvStream, limit_bytes: usize) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            limit_bytes,
        }
    }

    /// The next message; `None` when the peer has sent its last one. Cancel-safe.
    ///
    /// # Errors
    /// [`Error::Oversized`], [`Error::Truncated`], [`Error::Decode`] when the peer breaks the protocol, and those by
    /// which a session ends. After an error there is nothing more to receive.
    pub async fn recv(&mut self) -> Result<Option<Message>, Error> {
        loop {
            let missing = match self.missing()? {
                0 => return self.take().map(Some),
                missing => missing,
            };
            match self.stream.read_chunk(missing.min(READ_BYTES), true).await? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk.bytes),
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(Error::Truncated),
            }
        }
    }

    /// How many bytes of the prefix, or then of the message, have not come yet.
    fn missing(&self) -> Result<usize, Error> {
        let Some(prefix) = self.buffer.first_chunk::<PREFIX_BYTES>() else {
            return Ok(PREFIX_BYTES - self.buffer.len());
        };
        let bytes = usize::try_from(u32::from_le_bytes(*prefix)).unwrap_or(usize::MAX);
        if bytes > self.limit_bytes {
            return Err(Error::Oversized { bytes });
        }
        Ok((PREFIX_BYTES + bytes).saturating_sub(self.buffer.len()))
    }

    fn take(&mut self) -> Result<Message, Error> {
        let message = wire::decode(self.buffer.get(PREFIX_BYTES..).unwrap_or_default());
        self.buffer.clear();
        self.buffer.shrink_to(KEPT_BYTES);
        message.map_err(Error::Decode)
    }
}
