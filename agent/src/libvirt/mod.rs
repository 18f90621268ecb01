//! A client of libvirt's own RPC over its Unix socket, and what its statistics mean.
//!
//! The protocol is the published one of libvirt's `virnetprotocol.x` and `remote_protocol.x`: XDR behind a fixed
//! header. Only the few procedures that sampling needs are spoken, on a read-only connection; libvirt lets a guest's agent be
//! asked on a read-write one only, which is made for that alone and is off by default.
//! [`xdr`] reads and writes the encoding, [`protocol`] the messages, [`Client`] holds a connection, [`rows`] turns
//! statistics into rows of the catalogue, [`guest`] a guest agent's answer into facts.
//!
//! Nothing that a server sends makes this module panic or allocate beyond [`protocol::MAX_MESSAGE_BYTES`]: every
//! length is checked against what has really arrived.

mod client;
mod fields;
pub mod guest;
pub mod protocol;
pub mod rows;
pub mod xdr;

pub use client::{Client, Versions};
pub use protocol::Domain;

use std::io;
use std::path::PathBuf;

/// Why libvirt could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no socket, or nobody listens on it.
    #[error("can't connect to libvirt at {}", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The server wants to know who asks, in a way that is not ours.
    #[error("libvirt wants authentication on {}; it must be none, or polkit for writing (auth_unix_ro, auth_unix_rw)", path.display())]
    Authentication {
        /// The socket.
        path: PathBuf,
    },
    /// A call could not be written.
    #[error("can't send libvirt procedure {procedure}")]
    Send {
        /// Number of the procedure.
        procedure: u32,
        /// What the system said.
        source: io::Error,
    },
    /// The connection ended before the answer.
    #[error("can't receive the answer to libvirt procedure {procedure}")]
    Receive {
        /// Number of the procedure.
        procedure: u32,
        /// What the system said.
        source: io::Error,
    },
    /// The answer is shorter than a header or longer than any libvirt sends.
    #[error(
        "libvirt announces a message of {bytes} bytes; from {} to {} can be",
        protocol::MIN_MESSAGE_BYTES,
        protocol::MAX_MESSAGE_BYTES
    )]
    Length {
        /// What it announces, in bytes.
        bytes: u32,
    },
    /// The answer belongs to another call.
    #[error("libvirt answered procedure {got} instead of {expected}")]
    Procedure {
        /// What was asked.
        expected: u32,
        /// What came.
        got: u32,
    },
    /// The answer's content is no valid XDR of what was asked.
    #[error("can't read the answer to libvirt procedure {procedure}")]
    Malformed {
        /// Number of the procedure.
        procedure: u32,
        /// What is wrong with it.
        source: xdr::Error,
    },
    /// libvirt heard and refused.
    #[error("libvirt refused procedure {procedure}: {message} (code {code})")]
    Refused {
        /// Number of the procedure.
        procedure: u32,
        /// libvirt's `virErrorNumber`.
        code: i32,
        /// libvirt's own words.
        message: String,
    },
    /// The answer did not come in the time that the caller had.
    #[error("libvirt did not answer in time")]
    Deadline,
    /// An earlier call was given up half-way, so that this connection can't be used any more.
    #[error("libvirt still owes an answer on this connection")]
    Unanswered,
}
