//! Two ways into one port: for sessions, where a client has to show its certificate, and for enrolment, where it has none.
//!
//! Which of the two a client wants is its TLS protocol name (ALPN). The first configuration is tried as if it were the only
//! one; only when it knows none of the client's protocols is the same hello given to the second. So sessions are checked
//! exactly as without enrolment, alerts included, and nothing here interprets what a client sends.

use quinn::crypto::{
    ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, ServerConfig, Session, UnsupportedVersion,
};
use quinn::{ConnectionId, Side};
use quinn_proto::TransportError;
use quinn_proto::TransportErrorCode;
use quinn_proto::transport_parameters::TransportParameters;
use std::any::Any;
use std::sync::Arc;

/// TLS alert `no_application_protocol` (RFC 7301).
const NO_APPLICATION_PROTOCOL: u8 = 120;

/// The two configurations.
pub(crate) struct Fork {
    pub(crate) first: Arc<dyn ServerConfig>,
    pub(crate) second: Arc<dyn ServerConfig>,
}

impl ServerConfig for Fork {
    fn initial_keys(&self, version: u32, dst_cid: &ConnectionId) -> Result<Keys, UnsupportedVersion> {
        self.first.initial_keys(version, dst_cid)
    }

    fn retry_tag(&self, version: u32, orig_dst_cid: &ConnectionId, packet: &[u8]) -> [u8; 16] {
        self.first.retry_tag(version, orig_dst_cid, packet)
    }

    fn start_session(self: Arc<Self>, version: u32, params: &TransportParameters) -> Box<dyn Session> {
        Box::new(Forked {
            current: Arc::clone(&self.first).start_session(version, params),
            other: Some(Other {
                config: Arc::clone(&self.second),
                version,
                params: *params,
                seen: Vec::new(),
            }),
        })
    }
}

/// A handshake that goes one of two ways.
struct Forked {
    current: Box<dyn Session>,
    /// There while the way is not decided.
    other: Option<Other>,
}

struct Other {
    config: Arc<dyn ServerConfig>,
    version: u32,
    params: TransportParameters,
    /// What the client has said so far: at most one hello, whose length TLS bounds.
    seen: Vec<u8>,
}

impl Session for Forked {
    fn read_handshake(&mut self, buf: &[u8]) -> Result<bool, TransportError> {
        let Some(mut other) = self.other.take() else {
            return self.current.read_handshake(buf);
        };
        other.seen.extend_from_slice(buf);
        match self.current.read_handshake(buf) {
            Err(error) if error.code == TransportErrorCode::crypto(NO_APPLICATION_PROTOCOL) => {
                self.current = other.config.start_session(other.version, &other.params);
                self.current.read_handshake(&other.seen)
            }
            // The hello is not whole.
            Ok(false) if self.current.handshake_data().is_none() => {
                self.other = Some(other);
                Ok(false)
            }
            decided => decided,
        }
    }

    fn initial_keys(&self, dst_cid: &ConnectionId, side: Side) -> Keys {
        self.current.initial_keys(dst_cid, side)
    }

    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        self.current.handshake_data()
    }

    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        self.current.peer_identity()
    }

    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        self.current.early_crypto()
    }

    fn early_data_accepted(&self) -> Option<bool> {
        self.current.early_data_accepted()
    }

    fn is_handshaking(&self) -> bool {
        self.current.is_handshaking()
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        self.current.transport_parameters()
    }

    fn write_handshake(&mut self, buf: &mut Vec<u8>) -> Option<Keys> {
        self.current.write_handshake(buf)
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        self.current.next_1rtt_keys()
    }

    fn is_valid_retry(&self, orig_dst_cid: &ConnectionId, header: &[u8], payload: &[u8]) -> bool {
        self.current.is_valid_retry(orig_dst_cid, header, payload)
    }

    fn export_keying_material(
        &self,
        output: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        self.current.export_keying_material(output, label, context)
    }
}
