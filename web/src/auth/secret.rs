//! Texts that nobody can guess, and what is kept of them.

use crate::error::ApiError;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};

/// Letters and digits that nobody takes for another one when reading a code from paper.
const READABLE: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// `N` bytes of chance.
///
/// # Errors
/// When the system has none.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], ApiError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| {
        tracing::error!("the system gives no random bytes");
        ApiError::Internal
    })?;
    Ok(bytes)
}

/// A token of 256 bits, in letters, digits, `-` and `_`.
///
/// # Errors
/// As [`random`].
pub(crate) fn token() -> Result<String, ApiError> {
    Ok(URL_SAFE_NO_PAD.encode(random::<32>()?))
}

/// A code for people to write down: `abcd-efgh-jkmn`.
///
/// # Errors
/// As [`random`].
pub(crate) fn recovery_code() -> Result<String, ApiError> {
    let bytes = random::<12>()?;
    let signs: Vec<u8> = bytes
        .iter()
        .map(|byte| READABLE[usize::from(byte % 32)])
        .collect();
    let groups: Vec<String> = signs
        .chunks(4)
        .map(|group| String::from_utf8_lossy(group).into_owned())
        .collect();
    Ok(groups.join("-"))
}

/// A recovery code as it is hashed: without signs that people leave out or put in.
pub(crate) fn plain_code(code: &str) -> String {
    code.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

/// What is kept of a token: its SHA-256. Tokens have so much chance in them that nobody can try them all.
pub(crate) fn sha256(text: &str) -> [u8; 32] {
    let mut sum = [0; 32];
    sum.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recovery_code_may_be_typed_as_people_type() {
        let code = recovery_code().expect("chance");
        assert_eq!(code.len(), 14, "{code}");
        assert_eq!(
            plain_code(&format!(" {} ", code.to_uppercase().replace('-', " "))),
            plain_code(&code)
        );
    }

    #[test]
    fn no_two_tokens_are_equal() {
        let (one, two) = (token().expect("chance"), token().expect("chance"));
        assert!(one != two && one.len() == 43, "{one} {two}");
    }
}
