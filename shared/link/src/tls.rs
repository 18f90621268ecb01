//! TLS as vmscope uses it: version 1.3, the ring provider, certificates on both sides, no resumption.
//!
//! Enrolment is a protocol of its own on the same port: there the client has no certificate yet, and knows no more of the
//! collector than the fingerprint of its authority's root.
//!
//! Sessions are not resumed, because a resumed session would not show its certificate again: every connection is
//! checked anew against the authority and the clock.

use crate::error::Error;
use crate::identity::Identity;
use crate::pin::Pinned;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::version::TLS13;
use std::sync::Arc;

/// The name that every collector's certificate carries and every client verifies.
pub(crate) const SERVER_NAME: &str = "collector.vmscope";
/// The protocol, as the TLS handshake names it.
const ALPN: &[u8] = b"vmscope/1";
/// The protocol by which hosts without a certificate ask for one.
pub(crate) const ENROL_ALPN: &[u8] = b"vmscope-enrol/1";

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

pub(crate) fn server(identity: &Identity) -> Result<QuicServerConfig, Error> {
    let verifier = WebPkiClientVerifier::builder_with_provider(identity.roots(), provider())
        .build()
        .map_err(Error::verifier)?;
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(Error::tls)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified())));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    QuicServerConfig::try_from(config).map_err(Error::suite)
}

pub(crate) fn client(identity: &Identity) -> Result<QuicClientConfig, Error> {
    let mut config = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(Error::tls)?
        .with_root_certificates(identity.roots())
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified())));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    QuicClientConfig::try_from(config).map_err(Error::suite)
}

/// For hosts without a certificate: shows the roots behind the own certificate.
pub(crate) fn enrolment_server(identity: &Identity) -> Result<QuicServerConfig, Error> {
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(Error::tls)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified_with_roots())));
    config.alpn_protocols = vec![ENROL_ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    QuicServerConfig::try_from(config).map_err(Error::suite)
}

/// For a host without a certificate: accepts the collector whose authority has the fingerprint of `pinned`.
pub(crate) fn enrolment_client(pinned: Arc<Pinned>) -> Result<QuicClientConfig, Error> {
    let mut config = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(Error::tls)?
        .dangerous()
        .with_custom_certificate_verifier(pinned)
        .with_no_client_auth();
    config.alpn_protocols = vec![ENROL_ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    QuicClientConfig::try_from(config).map_err(Error::suite)
}
