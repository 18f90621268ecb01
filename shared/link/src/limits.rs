//! What a peer may cost, and how long it may take.

use crate::role::Kind;
use quinn::{IdleTimeout, TransportConfig, VarInt};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of a session that are held unread on the receiving side.
const RECEIVE_WINDOW_BYTES: u32 = 1 << 20;
/// Bytes of a session that are held unacknowledged on the sending side; more makes the sender wait.
const SEND_WINDOW_BYTES: u64 = 1 << 20;
/// A session is one stream, opened by the client.
const STREAMS_OF_A_SESSION: u32 = 1;
/// The part of [`Limits::handshakes`] that may be busy before unknown addresses have to prove themselves.
pub(crate) const CALM_PART: usize = 2;
/// Connections that may wait to be handed out, for each of [`Limits::handshakes`]: more than one, so that those that come
/// in excess are handed out, refused and counted instead of vanishing inside QUIC.
pub(crate) const WAITING_PER_HANDSHAKE: usize = 2;
/// Bytes that are held for a connection before it is accepted.
pub(crate) const INCOMING_BYTES: u64 = 16 << 10;
/// Bytes that are held for all connections before they are accepted.
pub(crate) const INCOMING_TOTAL_BYTES: u64 = 4 << 20;

/// Bytes that a listener's socket should hold in each direction: a thousand hosts tick at the same moment.
pub(crate) const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// Times of a connection. The shorter idle time-out of the two sides holds, and never less than three of QUIC's probe
/// time-outs, which grow with the round trip.
///
/// The defaults let an agent be with another collector five seconds after its own has died: the last packet and the next
/// one sent are a second apart at most, three seconds of silence follow, the rest is for dialling. A bad path seldom looks
/// dead: where a fifth of all packets was lost in each direction, ten agents lost no session in four minutes at a round
/// trip of 300 ms, and one in six minutes at 600 ms. A session that is lost costs a handshake and no sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// A connection that is no session after this time is given up.
    pub handshake_deadline: Duration,
    /// An idle connection shows that it lives this often.
    pub keep_alive: Duration,
    /// A connection from which nothing has come for this time is lost.
    pub idle_timeout: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            handshake_deadline: Duration::from_secs(10),
            keep_alive: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(3),
        }
    }
}

/// What a listener puts up with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Handshakes at the same time; further ones are refused. Above half of it, clients first have to prove their
    /// address (stateless retry), so that forged addresses cost no handshake.
    pub handshakes: usize,
    /// Connections at the same time, handshakes included.
    pub connections: usize,
    /// Whom the listener lets in.
    pub admits: Vec<Kind>,
    /// Whether hosts without a certificate may ask for one ([`Incoming::receive`](crate::Incoming::receive)).
    pub enrolment: bool,
    /// Times of each connection.
    pub timing: Timing,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshakes: 256,
            connections: 16_384,
            admits: vec![Kind::Agent, Kind::Web],
            enrolment: false,
            timing: Timing::default(),
        }
    }
}

/// Which end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

pub(crate) fn transport(timing: Timing, side: Side) -> Arc<TransportConfig> {
    let streams = match side {
        Side::Client => 0,
        Side::Server => STREAMS_OF_A_SESSION,
    };
    // An idle time-out beyond what QUIC can say (2^62 ms) is none.
    let idle = IdleTimeout::try_from(timing.idle_timeout).ok();
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(streams))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::from_u32(RECEIVE_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(RECEIVE_WINDOW_BYTES))
        .send_window(SEND_WINDOW_BYTES)
        .keep_alive_interval(Some(timing.keep_alive))
        .max_idle_timeout(idle);
    Arc::new(config)
}
