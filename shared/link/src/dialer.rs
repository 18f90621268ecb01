//! How agents and web servers reach a collector.

use crate::cause::Cause;
use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::identity::Identity;
use crate::limits::{Side, Timing, transport};
use crate::listener::peer;
use crate::role::Role;
use crate::session::{CloseCode, Session};
use crate::tls::{self, SERVER_NAME};
use quinn::{ClientConfig, Connecting, Connection, Endpoint, VarInt};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

/// The dialling end: one UDP socket for each address family, made at the first call and used for every session.
#[derive(Debug)]
pub struct Dialer {
    config: Mutex<ClientConfig>,
    timing: Timing,
    endpoints: Mutex<Endpoints>,
}

#[derive(Debug, Default)]
struct Endpoints {
    v4: Option<Endpoint>,
    v6: Option<Endpoint>,
}

impl Dialer {
    /// A dialer that shows `identity`.
    ///
    /// # Errors
    /// [`Error::Tls`] when the identity can't be used.
    pub fn new(identity: &Identity) -> Result<Self, Error> {
        Self::with_timing(identity, Timing::default())
    }

    /// The same with other times.
    ///
    /// # Errors
    /// [`Error::Tls`] when the identity can't be used.
    pub fn with_timing(identity: &Identity, timing: Timing) -> Result<Self, Error> {
        Ok(Self {
            config: Mutex::new(configuration(identity, timing)?),
            timing,
            endpoints: Mutex::default(),
        })
    }

    /// Shows `identity` in the sessions to come. Those that are open go on.
    ///
    /// # Errors
    /// [`Error::Tls`] when the identity can't be used.
    pub fn set_identity(&self, identity: &Identity) -> Result<(), Error> {
        let config = configuration(identity, self.timing)?;
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// Opens a session with the collector at `address`.
    ///
    /// TLS 1.3 lets a client finish first: that the collector rejects this side's certificate shows as
    /// [`Error::Rejected`] at the first receive. The collector learns of the session with the first message sent.
    ///
    /// # Errors
    /// [`Error::Bind`], [`Error::Dial`], [`Error::Connect`], [`Error::PeerRole`] and [`Error::NotCollector`] as they say.
    pub async fn connect(&self, address: SocketAddr) -> Result<Session, Error> {
        let connecting = self.begin(address)?;
        let connection = shake_hands(connecting, address, self.timing).await?;
        let peer = collector_and_certificate(&connection).inspect_err(|_| {
            connection.close(VarInt::from_u32(CloseCode::WrongRole as u32), b"no collector");
        })?;
        let (send, receive) = connection.open_bi().await?;
        Ok(Session::new(peer, connection, send, receive))
    }

    /// Closes every session of this dialer and waits until the peers have been told.
    pub async fn close(&self, reason: &str) {
        let endpoints = std::mem::take(&mut *self.endpoints.lock().unwrap_or_else(PoisonError::into_inner));
        for endpoint in [endpoints.v4, endpoints.v6].into_iter().flatten() {
            endpoint.close(VarInt::from_u32(CloseCode::Done as u32), reason.as_bytes());
            endpoint.wait_idle().await;
        }
    }

    fn begin(&self, address: SocketAddr) -> Result<Connecting, Error> {
        let mut endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        let (slot, local) = match address {
            SocketAddr::V4(_) => (&mut endpoints.v4, SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))),
            SocketAddr::V6(_) => (&mut endpoints.v6, SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))),
        };
        let endpoint = match slot.as_ref() {
            Some(endpoint) => endpoint,
            None => slot.insert(Endpoint::client(local).map_err(|source| Error::Bind {
                address: local,
                source,
            })?),
        };
        let config = self.config.lock().unwrap_or_else(PoisonError::into_inner).clone();
        endpoint
            .connect_with(config, address, SERVER_NAME)
            .map_err(|source| Error::Dial { address, source })
    }
}

fn configuration(identity: &Identity, timing: Timing) -> Result<ClientConfig, Error> {
    let mut config = ClientConfig::new(Arc::new(tls::client(identity)?));
    config.transport_config(transport(timing, Side::Client));
    Ok(config)
}

/// Waits for the end of the handshake, as long as `timing` allows.
pub(crate) async fn shake_hands(
    connecting: Connecting,
    address: SocketAddr,
    timing: Timing,
) -> Result<Connection, Error> {
    let failed = |cause, source| Error::Connect {
        address,
        cause,
        source,
    };
    match tokio::time::timeout(timing.handshake_deadline, connecting).await {
        Ok(result) => result.map_err(|error| failed(Cause::of(&error), Some(error))),
        Err(_) => Err(failed(Cause::HandshakeTimeout, None)),
    }
}

/// The collector at the other end.
pub(crate) fn collector(connection: &Connection) -> Result<Role, Error> {
    collector_and_certificate(connection).map(|(role, _)| role)
}

fn collector_and_certificate(connection: &Connection) -> Result<(Role, Fingerprint), Error> {
    match peer(connection).map_err(Error::PeerRole)? {
        peer @ (Role::Collector(_), _) => Ok(peer),
        (other, _) => Err(Error::NotCollector(other)),
    }
}
