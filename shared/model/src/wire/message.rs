//! What two programs say to each other.

use crate::entity::{HostId, Kind};
use crate::sample::Position;
use bincode::{Decode, Encode};
use std::fmt;

/// The names of one kind's metrics, in the order the sender writes their columns.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Columns {
    /// Which kind.
    pub kind: Kind,
    /// Metric names.
    pub names: Vec<String>,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Message {
    /// An agent or a web server opens its session.
    Hello {
        /// Version of the program that speaks.
        software: String,
        /// The sender's clock, microseconds since the Unix epoch.
        clock_us: i64,
        /// How the sender writes its frames.
        columns: Vec<Columns>,
    },
    /// The collector accepts the session.
    Welcome {
        /// Version of the collector.
        software: String,
        /// The collector's clock, microseconds since the Unix epoch.
        clock_us: i64,
        /// How the collector writes its frames (live feed).
        columns: Vec<Columns>,
        /// What is already committed of this agent: the highest sequence of each known epoch.
        committed: Vec<Position>,
    },
    /// The collector refuses the session and closes it.
    Refuse {
        /// Stable code for programs (`host_mismatch`).
        code: String,
        /// What a person can do.
        advice: String,
    },
    /// Samples, from an agent to a collector or from a collector to a web server.
    Frame(Frame),
    /// Everything of this epoch up to this sequence is committed.
    Ack(Position),
    /// A web server says which hosts' samples it wants from now on.
    Subscribe {
        /// Whose samples; `None` for every host's.
        hosts: Option<Vec<HostId>>,
    },
    /// A host without a certificate asks for its first one.
    Enrol {
        /// What entitles it.
        token: Token,
        /// Which host it says it is.
        host: HostId,
        /// The request for a certificate: PKCS #10, in DER.
        request: Vec<u8>,
        /// Version of the program that speaks.
        software: String,
    },
    /// An agent asks for the successor of its certificate, within its session.
    Renew {
        /// The request for a certificate: PKCS #10, in DER.
        request: Vec<u8>,
    },
    /// The certificate that was asked for.
    Issued {
        /// The certificate, in PEM.
        certificate: String,
        /// The authority's certificates, in PEM.
        authority: String,
    },
    /// There is no successor now; the session goes on.
    NotRenewed {
        /// Stable code for programs (`authority_missing`).
        code: String,
        /// What a person can do.
        advice: String,
    },
    /// Which roots the collector's authority has now. An agent that trusts others asks for a new certificate early.
    Trust {
        /// The name of the set of roots: a SHA-256.
        roots: [u8; 32],
    },
}

/// The text of an enrolment token; never shown by `Debug`.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct Token(pub String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Samples of one host, coded against the earlier frames of the same session.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Frame {
    /// Whose samples.
    pub host: HostId,
    /// The columnar block, compressed.
    pub body: Vec<u8>,
}
