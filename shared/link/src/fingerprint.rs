//! SHA-256 as the name of a certificate, the way people compare it and configuration files pin it.

use ring::digest::{SHA256, digest};
use serde::de::{Deserialize, Deserializer, Error as _};
use std::fmt;
use std::str::FromStr;

/// Bytes of a SHA-256.
const BYTES: usize = 32;

/// The SHA-256 of some bytes, mostly of a certificate in DER.
///
/// Shown as `openssl x509 -fingerprint -sha256` does (`AB:CD:...`); read with or without the colons, in any case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; BYTES]);

/// The text is no SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256: 64 hexadecimal digits, with or without colons")]
pub struct Malformed;

impl Fingerprint {
    /// The SHA-256 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut sha256 = [0; BYTES];
        sha256.copy_from_slice(digest(&SHA256, bytes).as_ref());
        Self(sha256)
    }

    /// The SHA-256 that was computed elsewhere.
    pub const fn new(sha256: [u8; BYTES]) -> Self {
        Self(sha256)
    }

    /// The bytes of the SHA-256.
    pub const fn bytes(&self) -> &[u8; BYTES] {
        &self.0
    }

    /// One name for a set of certificates, whatever their order.
    pub(crate) fn of_all<'a>(certificates: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut names: Vec<_> = certificates.map(|der| Self::of(der).0).collect();
        names.sort_unstable();
        names.dedup();
        Self::of(&names.concat())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let digits: Vec<u32> = text
            .trim()
            .chars()
            .filter(|c| *c != ':')
            .map(|c| c.to_digit(16).ok_or(Malformed))
            .collect::<Result<_, _>>()?;
        if digits.len() != 2 * BYTES {
            return Err(Malformed);
        }
        let mut sha256 = [0; BYTES];
        for (byte, pair) in sha256.iter_mut().zip(digits.chunks(2)) {
            *byte = u8::try_from(pair[0] * 16 + pair[1]).map_err(|_| Malformed)?;
        }
        Ok(Self(sha256))
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::{Fingerprint, Malformed};
    use proptest::prelude::{any, prop_assert_eq, proptest};

    proptest! {
        #[test]
        fn every_fingerprint_survives_its_text(bytes in any::<[u8; 32]>()) {
            let fingerprint = Fingerprint::new(bytes);
            let text = fingerprint.to_string();
            prop_assert_eq!(text.parse(), Ok(fingerprint));
            prop_assert_eq!(text.replace(':', "").to_lowercase().parse(), Ok(fingerprint));
        }

        #[test]
        fn no_text_makes_reading_panic(text in ".*") {
            let _ = text.parse::<Fingerprint>();
        }
    }

    #[test]
    fn knows_a_sha_256_of_the_standard_and_refuses_other_lengths() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(abc.parse(), Ok(Fingerprint::of(b"abc")));
        assert_eq!(abc[2..].parse::<Fingerprint>(), Err(Malformed));
        assert_eq!(format!("{abc}00").parse::<Fingerprint>(), Err(Malformed));
    }

    #[test]
    fn a_set_has_one_name_whatever_its_order() {
        let name = |list: &[&'static [u8]]| Fingerprint::of_all(list.iter().copied());
        assert_eq!(name(&[b"a", b"b"]), name(&[b"b", b"a", b"b"]));
        assert_ne!(name(&[b"a", b"b"]), name(&[b"a"]));
    }
}
