//! How agents and web servers reach a collector.

use crate::cause::Cause;
use crate::error::Error;
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
    config: ClientConfig,
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
        let mut config = ClientConfig::new(Arc::new(tls::client(identity)?));
        config.transport_config(transport(timing, Side::Client));
        Ok(Self {
            config,
            timing,
            endpoints: Mutex::default(),
        })
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
        let connect = |cause, source| Error::Connect {
            address,
            cause,
            source,
        };
        let connection = match tokio::time::timeout(self.timing.handshake_deadline, connecting).await {
            Ok(result) => result.map_err(|error| connect(Cause::of(&error), Some(error)))?,
            Err(_) => return Err(connect(Cause::HandshakeTimeout, None)),
        };
        let peer = collector(&connection).inspect_err(|_| {
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
        endpoint
            .connect_with(self.config.clone(), address, SERVER_NAME)
            .map_err(|source| Error::Dial { address, source })
    }
}

fn collector(connection: &Connection) -> Result<Role, Error> {
    match peer(connection).map_err(Error::PeerRole)? {
        peer @ Role::Collector(_) => Ok(peer),
        other => Err(Error::NotCollector(other)),
    }
}
