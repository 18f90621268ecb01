//! The one-time tokens by which hosts enrol: `vse_<id>_<secret>`.
//!
//! The id finds the token's row, the secret proves it. Only the secret's SHA-256 is kept: 256 random bits need no slow
//! hash. A token is shown once, when it is made, and never appears in `Debug` output.

use crate::fingerprint::Fingerprint;
use ring::rand::{SecureRandom, SystemRandom};
use std::fmt::{self, Write};
use std::str::FromStr;

const PREFIX: &str = "vse";
const ID_BYTES: usize = 6;
const SECRET_BYTES: usize = 32;

/// A token in clear.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    id: String,
    secret: String,
}

/// Why there is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text has another form.
    #[error("not an enrolment token: it reads vse_ID_SECRET")]
    Malformed,
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
}

impl Token {
    /// Makes a new one.
    ///
    /// # Errors
    /// [`Error::Random`].
    pub fn generate() -> Result<Self, Error> {
        Ok(Self {
            id: hex(&random::<ID_BYTES>()?),
            secret: hex(&random::<SECRET_BYTES>()?),
        })
    }

    /// The part that may be shown.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What is kept of the secret.
    pub fn digest(&self) -> Fingerprint {
        Fingerprint::of(self.secret.as_bytes())
    }

    /// The whole token: for the eye of who made it, and for the wire.
    pub fn expose(&self) -> String {
        format!("{PREFIX}_{}_{}", self.id, self.secret)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl FromStr for Token {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let is_hex = |part: &str, bytes: usize| {
            part.len() == 2 * bytes && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        match text.trim().split('_').collect::<Vec<_>>()[..] {
            [PREFIX, id, secret] if is_hex(id, ID_BYTES) && is_hex(secret, SECRET_BYTES) => Ok(Self {
                id: id.to_owned(),
                secret: secret.to_owned(),
            }),
            _ => Err(Error::Malformed),
        }
    }
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Error::Random)?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a string can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::{Error, Token};
    use proptest::prelude::proptest;

    #[test]
    fn a_token_survives_its_text_and_stays_out_of_debug_output() {
        let token = Token::generate().expect("random bytes");
        let text = token.expose();
        assert_eq!(format!(" {text}\n").parse(), Ok(token.clone()));
        assert!(text.starts_with("vse_") && text.contains(token.id()));
        let secret = text.rsplit('_').next().expect("a secret");
        assert!(!format!("{token:?}").contains(secret));
        assert_ne!(Token::generate().expect("random bytes"), token);
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_panic(text in ".*") {
            let _ = text.parse::<Token>();
        }
    }

    #[test]
    fn refuses_what_has_another_form() {
        let text = Token::generate().expect("random bytes").expose();
        for odd in ["", "vse__", &text[1..], &text.to_uppercase(), &format!("{text}0")] {
            assert_eq!(odd.parse::<Token>(), Err(Error::Malformed), "{odd:?}");
        }
    }
}
