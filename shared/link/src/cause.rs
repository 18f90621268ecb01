//! Why a connection was refused, in words that can be counted.

use crate::role;
use quinn::ConnectionError;
use std::fmt;
use std::net::SocketAddr;

/// Why a connection did not become a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The peer showed no certificate.
    NoCertificate,
    /// Another authority signed the peer's certificate.
    UnknownAuthority,
    /// The peer's certificate is not valid at this time: expired, or not yet valid.
    Expired,
    /// The peer's certificate is for another role.
    WrongRole,
    /// The peer's certificate or signature is broken, or it names no role.
    BadCertificate,
    /// The peer speaks another protocol or another version.
    Protocol,
    /// The handshake took too long.
    HandshakeTimeout,
    /// The peer connected and then did not open its stream.
    NoStream,
    /// Too many handshakes at this moment.
    Overloaded,
    /// Too many connections.
    TooManyConnections,
    /// The peer ended the connection, because it does not trust this side or changed its mind.
    ClosedByPeer,
    /// The connection broke.
    Transport,
}

/// TLS alerts of RFC 8446, section 6, that are told apart.
mod alert {
    pub(super) const BAD_CERTIFICATE: u64 = 42;
    pub(super) const UNSUPPORTED_CERTIFICATE: u64 = 43;
    pub(super) const CERTIFICATE_REVOKED: u64 = 44;
    pub(super) const CERTIFICATE_EXPIRED: u64 = 45;
    pub(super) const CERTIFICATE_UNKNOWN: u64 = 46;
    pub(super) const UNKNOWN_CA: u64 = 48;
    pub(super) const ACCESS_DENIED: u64 = 49;
    pub(super) const DECRYPT_ERROR: u64 = 51;
    pub(super) const CERTIFICATE_REQUIRED: u64 = 116;
}

/// The codes by which QUIC carries TLS alerts (RFC 9001, section 4.8): 256 and the alert.
const CRYPTO_CODES: std::ops::Range<u64> = 0x100..0x200;

impl Cause {
    /// Every cause, for counters that start at zero.
    pub const ALL: [Self; 12] = [
        Self::NoCertificate,
        Self::UnknownAuthority,
        Self::Expired,
        Self::WrongRole,
        Self::BadCertificate,
        Self::Protocol,
        Self::HandshakeTimeout,
        Self::NoStream,
        Self::Overloaded,
        Self::TooManyConnections,
        Self::ClosedByPeer,
        Self::Transport,
    ];

    /// The name in counters and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoCertificate => "no_certificate",
            Self::UnknownAuthority => "unknown_authority",
            Self::Expired => "expired",
            Self::WrongRole => "wrong_role",
            Self::BadCertificate => "bad_certificate",
            Self::Protocol => "protocol",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::NoStream => "no_stream",
            Self::Overloaded => "overloaded",
            Self::TooManyConnections => "too_many_connections",
            Self::ClosedByPeer => "closed_by_peer",
            Self::Transport => "transport",
        }
    }

    /// What this side found wrong with the peer.
    pub(crate) fn of(error: &ConnectionError) -> Self {
        match error {
            ConnectionError::TransportError(error) => {
                alert_of(error.code.into()).map_or(Self::Transport, Self::of_alert)
            }
            ConnectionError::VersionMismatch => Self::Protocol,
            ConnectionError::ConnectionClosed(_)
            | ConnectionError::ApplicationClosed(_)
            | ConnectionError::Reset => Self::ClosedByPeer,
            ConnectionError::TimedOut => Self::HandshakeTimeout,
            ConnectionError::LocallyClosed | ConnectionError::CidsExhausted => Self::Transport,
        }
    }

    /// What the peer says is wrong with this side's certificate, if that is why it closed.
    pub(crate) fn told(error: &ConnectionError) -> Option<Self> {
        let ConnectionError::ConnectionClosed(close) = error else {
            return None;
        };
        alert_of(close.error_code.into()).map(Self::of_alert)
    }

    const fn of_alert(alert: u64) -> Self {
        match alert {
            alert::CERTIFICATE_REQUIRED => Self::NoCertificate,
            alert::UNKNOWN_CA => Self::UnknownAuthority,
            alert::CERTIFICATE_EXPIRED => Self::Expired,
            // What rustls answers to a server's certificate that is meant for clients, and the reverse.
            alert::UNSUPPORTED_CERTIFICATE => Self::WrongRole,
            alert::BAD_CERTIFICATE
            | alert::CERTIFICATE_REVOKED
            | alert::CERTIFICATE_UNKNOWN
            | alert::ACCESS_DENIED
            | alert::DECRYPT_ERROR => Self::BadCertificate,
            _ => Self::Protocol,
        }
    }
}

fn alert_of(code: u64) -> Option<u64> {
    CRYPTO_CODES.contains(&code).then(|| code - CRYPTO_CODES.start)
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A connection that did not become a session.
#[derive(Debug, Clone, thiserror::Error)]
#[error("connection from {remote} refused: {cause}")]
pub struct Refused {
    /// Why.
    pub cause: Cause,
    /// From where.
    pub remote: SocketAddr,
    /// What went wrong, where there is more to say.
    #[source]
    pub source: Option<Reason>,
}

/// What lies behind a refusal.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Reason {
    /// QUIC or TLS failed.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// The certificate's role can't be read.
    #[error(transparent)]
    Role(#[from] role::Error),
}
