//! Codes that people copy from a screen: `ABCD-EFGH-JKLM-NPQR`.
//!
//! Eighty bits of chance: who may try ten a minute does not find one. Only their SHA-256 is kept.

use crate::Error;
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};

/// Signs of which none looks like another one.
const SIGNS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// Signs of a code.
const LENGTH: usize = 16;

/// A new code.
///
/// # Errors
/// [`Error::Random`] when the system has no chance to give.
pub fn generate() -> Result<String, Error> {
    let mut bytes = [0; LENGTH];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Error::Random)?;
    let mut code = String::with_capacity(LENGTH + LENGTH / 4);
    for (place, byte) in bytes.iter().enumerate() {
        if place > 0 && place % 4 == 0 {
            code.push('-');
        }
        code.push(char::from(SIGNS[usize::from(byte % 32)]));
    }
    Ok(code)
}

/// What is kept of a code, and what a code that somebody types is compared by: case and everything but letters and digits mean
/// nothing.
pub fn digest(code: &str) -> [u8; 32] {
    let signs: String = code
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|sign| sign.to_ascii_lowercase())
        .collect();
    let mut sum = [0; 32];
    sum.copy_from_slice(digest::digest(&digest::SHA256, signs.as_bytes()).as_ref());
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_may_be_typed_as_people_type() {
        let code = generate().expect("chance");
        assert_eq!((code.len(), code.matches('-').count()), (19, 3), "{code}");
        assert_eq!(
            digest(&code),
            digest(&format!(" {} ", code.to_lowercase().replace('-', " ")))
        );
        assert_ne!(digest(&code), digest(&generate().expect("chance")));
    }
}
