//! A listener that tells what became of every connection, and clients of all kinds.
#![expect(dead_code, reason = "each test binary uses its own part")]
#![expect(clippy::expect_used, reason = "a helper of tests fails by panicking")]

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint};
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;
use vmscope_link::{Authority, Dialer, Identity, Issued, Limits, Listener, Refused, Role, Session, Validity};
use vmscope_model::HostId;
use vmscope_model::sample::Position;
use vmscope_model::wire::Message;

/// Long enough for a busy machine; a test that waits this long has failed.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("it happens before the deadline")
}

pub(crate) fn agent() -> Role {
    Role::Agent(HostId(uuid::Uuid::from_u128(7)))
}

pub(crate) fn collector() -> Role {
    Role::Collector("north".to_owned())
}

pub(crate) fn web() -> Role {
    Role::Web("wall".to_owned())
}

pub(crate) fn message(sequence: u64) -> Message {
    Message::Ack(Position { epoch: 1, sequence })
}

pub(crate) fn issue(authority: &Authority, role: &Role) -> Issued {
    authority.issue(role, Validity::default()).expect("signed")
}

pub(crate) fn identity(authority: &Authority, role: &Role) -> Identity {
    issue(authority, role).identity().expect("usable")
}

pub(crate) fn expired() -> Validity {
    let hours = |count| Duration::from_hours(count);
    let now = SystemTime::now();
    Validity {
        not_before: now - hours(48),
        not_after: now - hours(24),
    }
}

/// A collector's door: accepts everybody and passes on what came of it.
pub(crate) struct Door {
    pub(crate) authority: Authority,
    pub(crate) address: SocketAddr,
    pub(crate) listener: Arc<Listener>,
    arrivals: mpsc::Receiver<Result<Session, Refused>>,
}

impl Door {
    pub(crate) fn open(limits: Limits) -> Self {
        let authority = Authority::create("test").expect("an authority");
        let identity = identity(&authority, &collector());
        Self::open_as(authority, &identity, limits)
    }

    pub(crate) fn open_as(authority: Authority, identity: &Identity, limits: Limits) -> Self {
        let listener =
            Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0)), identity, limits).expect("bound");
        let listener = Arc::new(listener);
        let address = listener.local_addr().expect("an address");
        let (sender, arrivals) = mpsc::channel(64);
        let accepting = Arc::clone(&listener);
        tokio::spawn(async move {
            while let Some(incoming) = accepting.accept().await {
                let sender = sender.clone();
                tokio::spawn(async move { sender.send(incoming.establish().await).await });
            }
        });
        Self {
            authority,
            address,
            listener,
            arrivals,
        }
    }

    pub(crate) async fn session(&mut self) -> Session {
        soon(self.arrivals.recv())
            .await
            .expect("an arrival")
            .expect("a session")
    }

    pub(crate) async fn refusal(&mut self) -> Refused {
        soon(self.arrivals.recv())
            .await
            .expect("an arrival")
            .expect_err("a refusal")
    }

    /// A session of an agent with this door: the agent's end and the collector's.
    pub(crate) async fn pair(&mut self) -> (Dialer, Session, Session) {
        let dialer = Dialer::new(&identity(&self.authority, &agent())).expect("a dialer");
        let mut near = soon(dialer.connect(self.address)).await.expect("connected");
        near.sender.send(&message(0)).await.expect("sent");
        let mut far = self.session().await;
        assert_eq!(
            soon(far.receiver.recv()).await.expect("received"),
            Some(message(0))
        );
        (dialer, near, far)
    }

    /// Whatever happened before, a proper agent is served.
    pub(crate) async fn lives_on(&mut self) {
        let (_dialer, mut near, mut far) = self.pair().await;
        far.sender.send(&message(1)).await.expect("sent");
        assert_eq!(
            soon(near.receiver.recv()).await.expect("received"),
            Some(message(1))
        );
    }
}

/// A QUIC client that obeys no rule of the link.
pub(crate) struct Raw {
    pub(crate) endpoint: Endpoint,
}

impl Raw {
    /// Shows the certificate of `issued`, or none; trusts the authority `ca_pem`.
    pub(crate) fn new(ca_pem: &str, issued: Option<&Issued>, alpn: &[u8]) -> Self {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).expect("a certificate"))
            .expect("a root");
        let builder = rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_root_certificates(roots);
        let mut tls = match issued {
            None => builder.with_no_client_auth(),
            Some(issued) => {
                let chain =
                    vec![CertificateDer::from_pem_slice(issued.certificate_pem.as_bytes()).expect("PEM")];
                let key = PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes()).expect("PEM");
                builder.with_client_auth_cert(chain, key).expect("fits")
            }
        };
        tls.alpn_protocols = vec![alpn.to_vec()];
        let quic = QuicClientConfig::try_from(tls).expect("suites for QUIC");
        let mut endpoint = Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).expect("bound");
        endpoint.set_default_client_config(ClientConfig::new(Arc::new(quic)));
        Self { endpoint }
    }

    pub(crate) async fn connect(&self, address: SocketAddr) -> Result<Connection, ConnectionError> {
        soon(
            self.endpoint
                .connect(address, "collector.vmscope")
                .expect("begun"),
        )
        .await
    }
}
