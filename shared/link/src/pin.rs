//! Trust in an authority of which only the fingerprint is known.
//!
//! A collector shows its authority's roots behind its own certificate. The root with the pinned fingerprint becomes the only
//! trust anchor, and the collector's certificate is then verified against it as in every session: chain, dates, name, use.

use crate::fingerprint::Fingerprint;
use crate::tls::provider;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::sync::{Arc, OnceLock};

/// Verifies one collector's certificate.
#[derive(Debug)]
pub(crate) struct Pinned {
    pin: Fingerprint,
    algorithms: WebPkiSupportedAlgorithms,
    /// What was shown instead of the pinned root.
    shown: OnceLock<Vec<Fingerprint>>,
}

impl Pinned {
    pub(crate) fn new(pin: Fingerprint) -> Arc<Self> {
        Arc::new(Self {
            pin,
            algorithms: provider().signature_verification_algorithms,
            shown: OnceLock::new(),
        })
    }

    /// The fingerprints of what the collector showed, if the pinned one was not among them.
    pub(crate) fn shown_instead(&self) -> Option<&[Fingerprint]> {
        self.shown.get().map(Vec::as_slice)
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(root) = intermediates
            .iter()
            .find(|certificate| Fingerprint::of(certificate) == self.pin)
        else {
            let shown = intermediates
                .iter()
                .map(|certificate| Fingerprint::of(certificate));
            // Asked once for each connection.
            let _ = self.shown.set(shown.collect());
            return Err(Error::InvalidCertificate(CertificateError::UnknownIssuer));
        };
        let mut roots = RootCertStore::empty();
        roots.add(root.clone().into_owned())?;
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(|error| Error::General(error.to_string()))?
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
