//! What two programs say to each other.

use crate::entity::{HostId, Kind};
use crate::sample::Position;
use bincode::{Decode, Encode};

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
}

/// Samples of one host, coded against the earlier frames of the same session.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Frame {
    /// Whose samples.
    pub host: HostId,
    /// The columnar block, compressed.
    pub body: Vec<u8>,
}
