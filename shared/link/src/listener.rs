//! Where agents and web servers arrive.
//!
//! [`Listener::accept`] is quick and does no cryptography; [`Incoming::establish`] does it in a task of the caller's, under
//! a deadline and a limit on how many run at once. Whatever arrives, the listener goes on.

use crate::cause::{Cause, Reason, Refused};
use crate::enrolment::Enrolment;
use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::fork::Fork;
use crate::identity::Identity;
use crate::limits::{
    CALM_PART, INCOMING_BYTES, INCOMING_TOTAL_BYTES, Limits, SOCKET_BUFFER_BYTES, Side,
    WAITING_PER_HANDSHAKE, transport,
};
use crate::role::Role;
use crate::session::{CloseCode, Session};
use crate::tls;
use quinn::crypto::rustls::HandshakeData;
use quinn::{Connection, Endpoint, EndpointConfig, ServerConfig, TokioRuntime, VarInt};
use rustls::pki_types::CertificateDer;
use socket2::SockRef;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// The listening end.
#[derive(Debug)]
pub struct Listener {
    endpoint: Endpoint,
    handshakes: Arc<Semaphore>,
    limits: Arc<Limits>,
}

impl Listener {
    /// Binds a UDP address; port 0 takes a free one. Runs inside a tokio runtime.
    ///
    /// # Errors
    /// [`Error::Tls`] when the identity can't serve, [`Error::Bind`] when the address can't be bound.
    pub fn bind(address: SocketAddr, identity: &Identity, limits: Limits) -> Result<Self, Error> {
        let config = configuration(identity, &limits)?;
        let listen = || {
            let socket = bind_wide(address)?;
            let runtime = Arc::new(TokioRuntime);
            Endpoint::new(EndpointConfig::default(), Some(config), socket, runtime)
        };
        let endpoint = listen().map_err(|source| Error::Bind { address, source })?;
        let handshakes = Arc::new(Semaphore::new(limits.handshakes));
        Ok(Self {
            endpoint,
            handshakes,
            limits: Arc::new(limits),
        })
    }

    /// Shows `identity` from now on, and trusts what it trusts. Sessions go on.
    ///
    /// # Errors
    /// [`Error::Tls`] when the identity can't serve.
    pub fn set_identity(&self, identity: &Identity) -> Result<(), Error> {
        let config = configuration(identity, &self.limits)?;
        self.endpoint.set_server_config(Some(config));
        Ok(())
    }

    /// The address that is really bound.
    ///
    /// # Errors
    /// [`Error::Bind`] when the system does not say.
    pub fn local_addr(&self) -> Result<SocketAddr, Error> {
        let unspecified = SocketAddr::from(([0, 0, 0, 0], 0));
        self.endpoint.local_addr().map_err(|source| Error::Bind {
            address: unspecified,
            source,
        })
    }

    /// The next connection; `None` after [`close`](Self::close). Cancel-safe.
    pub async fn accept(&self) -> Option<Incoming> {
        loop {
            let incoming = self.endpoint.accept().await?;
            let calm = self.handshakes.available_permits() >= self.limits.handshakes / CALM_PART;
            if !calm && incoming.may_retry() && !incoming.remote_address_validated() {
                // Can't fail: the line above asked.
                let _ = incoming.retry();
                continue;
            }
            let full = self.endpoint.open_connections() >= self.limits.connections;
            let admission = match Arc::clone(&self.handshakes).try_acquire_owned() {
                _ if full => Err(Cause::TooManyConnections),
                Ok(permit) => Ok(permit),
                Err(_) => Err(Cause::Overloaded),
            };
            return Some(Incoming {
                connection: incoming,
                admission,
                limits: Arc::clone(&self.limits),
            });
        }
    }

    /// Lets nobody in any more: who comes gets no answer. Sessions go on.
    pub fn stop_accepting(&self) {
        self.endpoint.set_server_config(None);
    }

    /// Closes every session and the listener, and waits until the peers have been told.
    pub async fn close(&self, reason: &str) {
        self.endpoint
            .close(VarInt::from_u32(CloseCode::Done as u32), reason.as_bytes());
        self.endpoint.wait_idle().await;
    }
}

/// A socket with room for what a whole fleet sends at the same moment, as far as the system grants it
/// (`net.core.rmem_max`, `net.core.wmem_max`): what finds no room is lost, and QUIC has to send it again.
fn bind_wide(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    let options = SockRef::from(&socket);
    // The system grants less than asked for without saying so; what it gave before is enough for a small fleet.
    let _ = options.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    let _ = options.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    Ok(socket)
}

fn configuration(identity: &Identity, limits: &Limits) -> Result<ServerConfig, Error> {
    let sessions = Arc::new(tls::server(identity)?);
    let mut config = if limits.enrolment {
        ServerConfig::with_crypto(Arc::new(Fork {
            first: sessions,
            second: Arc::new(tls::enrolment_server(identity)?),
        }))
    } else {
        ServerConfig::with_crypto(sessions)
    };
    config
        .transport_config(transport(limits.timing, Side::Server))
        .max_incoming(limits.handshakes.saturating_mul(WAITING_PER_HANDSHAKE))
        .incoming_buffer_size(INCOMING_BYTES)
        .incoming_buffer_size_total(INCOMING_TOTAL_BYTES);
    Ok(config)
}

/// What a connection became.
#[derive(Debug)]
pub enum Arrival {
    /// A peer with a certificate.
    Session(Session),
    /// A host that asks for one.
    Enrolment(Enrolment),
}

/// A connection that has begun; dropped, it is refused.
#[derive(Debug)]
pub struct Incoming {
    connection: quinn::Incoming,
    admission: Result<OwnedSemaphorePermit, Cause>,
    limits: Arc<Limits>,
}

impl Incoming {
    /// From where.
    pub fn remote(&self) -> SocketAddr {
        self.connection.remote_address()
    }

    /// Does the handshake, checks who the peer is, and waits for its stream, which exists with its first message.
    ///
    /// # Errors
    /// [`Refused`] with its cause; the peer is told, as far as it can be.
    pub async fn establish(self) -> Result<Session, Refused> {
        let remote = self.remote();
        match self.receive().await? {
            Arrival::Session(session) => Ok(session),
            Arrival::Enrolment(_) => Err(Refused {
                cause: Cause::NoCertificate,
                remote,
                source: None,
            }),
        }
    }

    /// The same where hosts without a certificate may come as well ([`Limits::enrolment`]).
    ///
    /// # Errors
    /// [`Refused`] with its cause; the peer is told, as far as it can be.
    pub async fn receive(self) -> Result<Arrival, Refused> {
        let remote = self.remote();
        let refused = |cause, source| Refused {
            cause,
            remote,
            source,
        };
        let broken = |error| refused(Cause::of(&error), Some(Reason::Connection(error)));
        let _permit = match self.admission {
            Ok(permit) => permit,
            Err(cause) => {
                self.connection.refuse();
                return Err(refused(cause, None));
            }
        };
        let deadline = Instant::now() + self.limits.timing.handshake_deadline;
        let connecting = self.connection.accept().map_err(broken)?;
        let connection = match timeout_at(deadline, connecting).await {
            Ok(result) => result.map_err(broken)?,
            Err(_) => return Err(refused(Cause::HandshakeTimeout, None)),
        };
        // The name of the protocol was agreed on in the handshake: only the way without certificates has this one.
        let peer = if asks_for_enrolment(&connection) {
            None
        } else {
            Some(self.limits.admit(&connection).map_err(|(cause, reason)| {
                close(&connection, CloseCode::WrongRole);
                refused(cause, reason)
            })?)
        };
        match timeout_at(deadline, connection.accept_bi()).await {
            Ok(Ok((send, receive))) => Ok(match peer {
                Some(peer) => Arrival::Session(Session::new(peer, connection, send, receive)),
                None => Arrival::Enrolment(Enrolment::new(connection, send, receive)),
            }),
            Ok(Err(error)) => Err(broken(error)),
            Err(_) => {
                close(&connection, CloseCode::NoStream);
                Err(refused(Cause::NoStream, None))
            }
        }
    }
}

fn asks_for_enrolment(connection: &Connection) -> bool {
    let data = connection
        .handshake_data()
        .and_then(|any| any.downcast::<HandshakeData>().ok());
    data.and_then(|data| data.protocol)
        .is_some_and(|protocol| protocol == tls::ENROL_ALPN)
}

impl Limits {
    /// Who the peer is, if such a one is let in.
    fn admit(&self, connection: &Connection) -> Result<(Role, Fingerprint), (Cause, Option<Reason>)> {
        match peer(connection) {
            Ok(peer) if self.admits.contains(&peer.0.kind()) => Ok(peer),
            Ok(_) => Err((Cause::WrongRole, None)),
            Err(error) => Err((Cause::BadCertificate, Some(Reason::Role(error)))),
        }
    }
}

fn close(connection: &Connection, code: CloseCode) {
    let reason = match code {
        CloseCode::WrongRole => "role not admitted",
        CloseCode::NoStream => "no stream in time",
        _ => "",
    };
    connection.close(VarInt::from_u32(code as u32), reason.as_bytes());
}

/// The role in the certificate that TLS has verified, and that certificate's SHA-256.
pub(crate) fn peer(connection: &Connection) -> Result<(Role, Fingerprint), crate::role::Error> {
    let chain = connection
        .peer_identity()
        .and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok());
    let leaf = chain.as_ref().and_then(|chain| chain.first());
    let leaf: &[u8] = leaf.map_or(&[], |leaf| leaf);
    Ok((Role::from_certificate(leaf)?, Fingerprint::of(leaf)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_has_as_much_room_as_the_system_grants() {
        let granted = std::fs::read_to_string("/proc/sys/net/core/rmem_max").unwrap();
        let granted: usize = granted.trim().parse().unwrap();
        let socket = bind_wide(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        // Linux doubles what it is asked for, for its own bookkeeping.
        let room = SockRef::from(&socket).recv_buffer_size().unwrap();
        assert_eq!(room, 2 * granted.min(SOCKET_BUFFER_BYTES));
    }
}
