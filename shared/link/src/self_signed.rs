//! A certificate that nobody vouches for, for the web service's first start: what is said is secret, who says it is not proven.

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};
use std::time::{Duration, SystemTime};

/// How far before its making the certificate is valid, for browsers whose clocks are behind.
const CLOCK_SKEW: Duration = Duration::from_hours(1);
/// How long it is valid: browsers refuse certificates of servers that live longer than 398 days.
const LIFETIME: Duration = Duration::from_hours(397 * 24);

/// A certificate with its key, both as PEM.
#[derive(Debug)]
pub struct SelfSigned {
    /// The certificate.
    pub certificate_pem: String,
    /// Its private key.
    pub key_pem: String,
}

impl SelfSigned {
    /// Makes one for a web server with these names and addresses.
    ///
    /// # Errors
    /// When a name is none.
    pub fn new(names: Vec<String>) -> Result<Self, rcgen::Error> {
        let mut parameters = CertificateParams::new(names)?;
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, "vmscope web, self-signed");
        parameters.distinguished_name = name;
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let now = SystemTime::now();
        parameters.not_before = (now - CLOCK_SKEW).into();
        parameters.not_after = (now + LIFETIME).into();
        let key = KeyPair::generate()?;
        let certificate = parameters.self_signed(&key)?;
        Ok(Self {
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_in_the_certificate() {
        let made = SelfSigned::new(vec!["monitor.example".to_owned(), "192.0.2.7".to_owned()]).unwrap();
        let (_, pem) = x509_parser::pem::parse_x509_pem(made.certificate_pem.as_bytes()).unwrap();
        let certificate = pem.parse_x509().unwrap();
        let names = certificate.subject_alternative_name().unwrap().unwrap();
        assert_eq!(names.value.general_names.len(), 2);
        assert!(certificate.validity().is_valid());
    }
}
