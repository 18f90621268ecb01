//! What can go wrong on this side of a link.

use crate::cause::Cause;
use crate::fingerprint::Fingerprint;
use crate::role::{self, Role};
use quinn::crypto::rustls::NoInitialCipherSuite;
use quinn::{ConnectError, ConnectionError, ReadError, WriteError};
use rustls::server::VerifierBuilderError;
use std::io;
use std::net::SocketAddr;
use vmscope_model::wire;

/// Why a listener, a dialer or a session failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// TLS can't be set up with this identity.
    #[error("TLS can't be set up")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The address can't be bound.
    #[error("{address} can't be bound")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// No connection can be begun.
    #[error("{address} can't be dialled")]
    Dial {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: ConnectError,
    },
    /// The collector could not be reached, or one side does not trust the other.
    #[error("no connection to {address}: {cause}")]
    Connect {
        /// The address.
        address: SocketAddr,
        /// What this side found wrong.
        cause: Cause,
        /// What QUIC or TLS says; nothing at a deadline.
        #[source]
        source: Option<ConnectionError>,
    },
    /// The collector's authority is not the one that was pinned.
    #[error(
        "the collector at {address} has another authority than the pinned one (it shows {shown:?}): compare --ca-sha256 with \
         what the collector's `enrol token create` printed; nothing was sent"
    )]
    WrongPin {
        /// The address.
        address: SocketAddr,
        /// The fingerprints of the roots that it shows.
        shown: Vec<Fingerprint>,
    },
    /// The certificate of the peer names no role.
    #[error("peer's certificate has no role")]
    PeerRole(#[source] role::Error),
    /// Whoever answered is no collector.
    #[error("{0} answered where a collector should")]
    NotCollector(Role),
    /// The collector does not accept this side's certificate.
    #[error("the peer rejects this side's certificate: {0}")]
    Rejected(Cause),
    /// The peer closed the session.
    #[error("session closed by the peer with code {code}: {reason}")]
    Closed {
        /// A [`CloseCode`](crate::CloseCode) or a number of the peer's own.
        code: u64,
        /// The peer's words.
        reason: String,
    },
    /// This side has closed the session or finished its stream.
    #[error("session ended on this side")]
    Ended,
    /// The connection broke, or nothing has come for too long.
    #[error("connection lost")]
    Lost(#[source] ConnectionError),
    /// A message can't be put into bytes.
    #[error("message can't be encoded")]
    Encode(#[source] wire::Error),
    /// The peer sent what is no message.
    #[error("message can't be decoded")]
    Decode(#[source] wire::Error),
    /// A message is longer than is allowed.
    #[error("message of {bytes} bytes is too long")]
    Oversized {
        /// How long it is, or claims to be.
        bytes: usize,
    },
    /// The peer's stream ended within a message.
    #[error("stream ended within a message")]
    Truncated,
    /// The peer gave up its stream or does not read this side's.
    #[error("stream abandoned by the peer with code {code}")]
    Abandoned {
        /// The peer's code.
        code: u64,
    },
}

impl Error {
    /// A stable name for counters.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Tls(_) => "tls",
            Self::Bind { .. } => "bind",
            Self::Dial { .. } => "dial",
            Self::Connect { cause, .. } => cause.name(),
            Self::WrongPin { .. } => "wrong_pin",
            Self::PeerRole(_) => "peer_role",
            Self::NotCollector(_) => "not_collector",
            Self::Rejected(_) => "rejected",
            Self::Closed { .. } => "closed",
            Self::Ended => "ended",
            Self::Lost(_) => "lost",
            Self::Encode(_) => "encode",
            Self::Decode(_) => "bad_message",
            Self::Oversized { .. } => "oversized_message",
            Self::Truncated => "truncated_message",
            Self::Abandoned { .. } => "abandoned",
        }
    }

    pub(crate) fn tls(error: rustls::Error) -> Self {
        Self::Tls(error.into())
    }

    pub(crate) fn verifier(error: VerifierBuilderError) -> Self {
        Self::Tls(error.into())
    }

    pub(crate) fn suite(error: NoInitialCipherSuite) -> Self {
        Self::Tls(error.into())
    }
}

impl From<ConnectionError> for Error {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::ApplicationClosed(close) => Self::Closed {
                code: close.error_code.into_inner(),
                reason: String::from_utf8_lossy(&close.reason).into_owned(),
            },
            ConnectionError::LocallyClosed => Self::Ended,
            error => Cause::told(&error).map_or(Self::Lost(error), Self::Rejected),
        }
    }
}

impl From<WriteError> for Error {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Stopped(code) => Self::Abandoned {
                code: code.into_inner(),
            },
            WriteError::ConnectionLost(error) => error.into(),
            WriteError::ClosedStream | WriteError::ZeroRttRejected => Self::Ended,
        }
    }
}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Reset(code) => Self::Abandoned {
                code: code.into_inner(),
            },
            ReadError::ConnectionLost(error) => error.into(),
            ReadError::ClosedStream | ReadError::IllegalOrderedRead | ReadError::ZeroRttRejected => {
                Self::Ended
            }
        }
    }
}
