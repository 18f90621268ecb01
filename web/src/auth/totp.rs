//! Second factors by the clock (RFC 6238): six digits, every 30 s, HMAC-SHA-1, as every authenticator can do.

use crate::error::ApiError;
use jiff::Timestamp;
use totp_rs::{Algorithm, Builder, Secret, Totp};

/// Who the authenticator says the code is for.
const ISSUER: &str = "vmscope";
/// Digits of a code.
pub(crate) const DIGITS: usize = 6;
/// Bytes of a secret: as long as what HMAC-SHA-1 gives.
pub(crate) const SECRET_BYTES: usize = 20;

/// A secret as people and authenticators read it.
#[derive(Debug)]
pub(crate) struct Shown {
    /// In base32, to be typed.
    pub(crate) secret: String,
    /// `otpauth://totp/...`, to be shown as a QR code.
    pub(crate) uri: String,
}

/// The secret of the user called `name`, for his authenticator.
///
/// # Errors
/// When it can't be written down, which does not happen.
pub(crate) fn show(secret: &[u8], name: &str) -> Result<Shown, ApiError> {
    let totp = clock(secret, name)?;
    Ok(Shown {
        secret: totp.secret().to_base32(),
        uri: totp.to_url().map_err(|_| ApiError::Internal)?,
    })
}

/// The step of the clock that `code` is of, if it is of now or one step before or after.
///
/// # Errors
/// When the secret is broken.
pub(crate) fn step(secret: &[u8], code: &str, now: Timestamp) -> Result<Option<i64>, ApiError> {
    let totp = clock(secret, "user")?;
    let now = u64::try_from(now.as_second()).map_err(|_| ApiError::Internal)?;
    let digits: String = code.chars().filter(char::is_ascii_digit).collect();
    if digits.len() != DIGITS {
        return Ok(None);
    }
    Ok(totp.check(&digits, now).and_then(|step| i64::try_from(step).ok()))
}

fn clock(secret: &[u8], name: &str) -> Result<Totp, ApiError> {
    // An authenticator's label has no colon in a name.
    let name = name.replace(':', "_");
    Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_secret(Secret::from(secret.to_vec()))
        .with_account_name(name)
        .with_issuer(Some(ISSUER))
        .build()
        .map_err(|error| {
            tracing::error!(%error, "a second factor can't be used");
            ApiError::Internal
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"12345678901234567890";

    /// Test vectors of RFC 6238, appendix B, cut to six digits.
    #[test]
    fn codes_are_those_of_the_standard() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        for (second, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_234_567_890, "005924"),
        ] {
            assert_eq!(step(SECRET, code, at(second)), Ok(Some(second / 30)), "{code}");
            assert_eq!(
                step(SECRET, code, at(second + 30)),
                Ok(Some(second / 30)),
                "a slow clock"
            );
            assert_eq!(step(SECRET, code, at(second + 90)), Ok(None), "too late");
        }
        assert_eq!(step(SECRET, "28708", at(59)), Ok(None));
        assert_eq!(step(SECRET, "287 082", at(59)), Ok(Some(1)));
    }

    #[test]
    fn an_authenticator_reads_whose_code_it_is() {
        let shown = show(SECRET, "ada:x").expect("shown");
        assert_eq!(shown.secret, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert!(
            shown.uri.starts_with("otpauth://totp/vmscope:ada_x?"),
            "{}",
            shown.uri
        );
        assert!(
            shown.uri.contains(&format!("secret={}", shown.secret)),
            "{}",
            shown.uri
        );
    }
}
