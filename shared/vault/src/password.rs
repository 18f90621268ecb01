//! Passwords: how they are hashed and which are taken.
//!
//! argon2id with [`MEMORY_KIB`] and [`PASSES`] (decision 014 says why). A hash says what it was made with, so that these may
//! change: old ones still verify, and [`is_outdated`] tells which to make anew when their password is at hand.
//!
//! Hashing takes a core for tens of milliseconds: call it beside an event loop. For somebody who does not exist, verify
//! against a hash that was made for nobody: then it takes as long.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use std::collections::HashSet;

/// Memory for one hash, in KiB.
pub const MEMORY_KIB: u32 = 32 * 1024;
/// How often that memory is gone through.
pub const PASSES: u32 = 2;
/// Lanes: one, because each login takes one core.
const LANES: u32 = 1;

/// Characters of the shortest and the longest password.
pub const LENGTH: std::ops::RangeInclusive<usize> = 12..=256;
/// A password with fewer characters needs [`MIN_CLASSES`].
const LONG: usize = 16;
/// How many of lower case, upper case, digits and others a password needs that is not long.
const MIN_CLASSES: usize = 3;
/// A password has at least as many different characters.
const MIN_DIFFERENT: usize = 5;
/// A name that is shorter may be a part of a password.
const SHORT_NAME: usize = 4;

/// What everybody tries first, with everything but letters taken out.
const COMMON: &[&str] = &[
    "password",
    "passwort",
    "passphrase",
    "letmein",
    "welcome",
    "changeme",
    "iloveyou",
    "administrator",
    "qwerty",
    "qwertyuiop",
    "qwertz",
    "qwertzuiop",
    "asdfghjkl",
    "zxcvbnm",
    "trustno",
    "dragon",
    "monkey",
    "sunshine",
    "princess",
    "football",
    "baseball",
    "superman",
    "batman",
    "default",
    "secret",
    "vmscope",
    "supervisor",
    "hypervisor",
    "openstack",
];

/// Why a password is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Weakness {
    /// Fewer characters than [`LENGTH`].
    #[error("it needs {} characters", LENGTH.start())]
    TooShort,
    /// More characters than [`LENGTH`].
    #[error("it has more than {} characters", LENGTH.end())]
    TooLong,
    /// Too few kinds of characters for its length.
    #[error("it needs {MIN_CLASSES} of lower case, upper case, digits and others, or {LONG} characters")]
    TooFewClasses,
    /// The same few characters again and again.
    #[error("it needs {MIN_DIFFERENT} different characters")]
    Repetitive,
    /// The name of its owner is in it.
    #[error("it contains the name")]
    ContainsName,
    /// Everybody tries it first.
    #[error("everybody tries it first")]
    Common,
}

/// A password can't be hashed: there is no memory, or no source of randomness.
#[derive(Debug, thiserror::Error)]
#[error("a password can't be hashed")]
pub struct Error(#[source] argon2::password_hash::Error);

/// The hash of a password, with its parameters and a salt of its own (PHC format).
///
/// # Errors
/// [`Error`].
pub fn hash(password: &str) -> Result<String, Error> {
    let hash = hasher().hash_password(password.as_bytes()).map_err(Error)?;
    Ok(hash.to_string())
}

/// Whether the password is the one of this hash. It is not when the hash can't be read.
pub fn verify(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| hasher().verify_password(password.as_bytes(), &hash).is_ok())
}

/// Whether a hash was made with other parameters than those of today.
pub fn is_outdated(hash: &str) -> bool {
    let params = PasswordHash::new(hash)
        .ok()
        .and_then(|hash| Params::try_from(&hash).ok());
    params.is_none_or(|params| {
        (params.m_cost(), params.t_cost(), params.p_cost()) != (MEMORY_KIB, PASSES, LANES)
    })
}

/// Why a password of the user called `name` is not taken; nothing when it is.
pub fn weaknesses(password: &str, name: &str) -> Vec<Weakness> {
    let length = password.chars().count();
    let different = password.chars().collect::<HashSet<_>>().len();
    let lower = password.to_lowercase();
    let name = name.to_lowercase();
    let letters = plain(&lower);
    let rules = [
        (length < *LENGTH.start(), Weakness::TooShort),
        (length > *LENGTH.end(), Weakness::TooLong),
        (
            length < LONG && classes(password) < MIN_CLASSES,
            Weakness::TooFewClasses,
        ),
        (different < MIN_DIFFERENT, Weakness::Repetitive),
        (
            name.chars().count() >= SHORT_NAME && lower.contains(&name),
            Weakness::ContainsName,
        ),
        (
            COMMON.iter().any(|common| is_mostly(common, &letters)),
            Weakness::Common,
        ),
    ];
    rules
        .into_iter()
        .filter_map(|(broken, weakness)| broken.then_some(weakness))
        .collect()
}

fn hasher() -> Argon2<'static> {
    // Unwrap safety: the constants are within argon2's bounds; a test hashes with them.
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).unwrap_or(Params::DEFAULT);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// How many of lower case, upper case, digits and others there are.
fn classes(password: &str) -> usize {
    let kinds: [fn(char) -> bool; 4] = [
        char::is_lowercase,
        char::is_uppercase,
        char::is_numeric,
        |character| !(character.is_lowercase() || character.is_uppercase() || character.is_numeric()),
    ];
    kinds.iter().filter(|kind| password.chars().any(kind)).count()
}

/// The letters of a password, those that digits and signs stand for among them.
fn plain(lower: &str) -> String {
    let letter = |character: char| match character {
        '0' => Some('o'),
        '1' | '!' => Some('i'),
        '3' => Some('e'),
        '4' | '@' => Some('a'),
        '5' | '$' => Some('s'),
        '7' => Some('t'),
        other => other.is_alphabetic().then_some(other),
    };
    lower.chars().filter_map(letter).collect()
}

/// Whether a password whose letters are `letters` is this word with little around it, or this word over and over.
fn is_mostly(word: &str, letters: &str) -> bool {
    let rest = letters.replace(word, "");
    rest.len() < letters.len() && rest.chars().count() <= 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_verifies_its_password_and_no_other() {
        let hashed = hash("correct horse battery staple").expect("a hash");
        assert!(hashed.starts_with("$argon2id$v=19$m=32768,t=2,p=1$"), "{hashed}");
        assert!(verify("correct horse battery staple", &hashed));
        assert!(!verify("correct horse battery stapl", &hashed));
        assert!(!verify("", &hashed));
        assert!(!is_outdated(&hashed));
    }

    #[test]
    fn two_hashes_of_one_password_differ() {
        let hashes = [
            hash("the same password").expect("a hash"),
            hash("the same password").expect("a hash"),
        ];
        assert_ne!(hashes[0], hashes[1]);
    }

    #[test]
    fn what_is_no_hash_verifies_nothing_and_is_outdated() {
        for text in [
            "",
            "x",
            "$argon2id$",
            "$2b$12$abcdefghijklmnopqrstuv",
            "correct horse",
        ] {
            assert!(!verify("correct horse", text), "{text}");
            assert!(is_outdated(text), "{text}");
        }
    }

    #[test]
    fn a_hash_with_other_parameters_verifies_and_is_outdated() {
        let params = Params::new(8 * 1024, 1, 1, None).expect("parameters");
        let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let hashed = weak
            .hash_password(b"an old password")
            .expect("a hash")
            .to_string();
        assert!(verify("an old password", &hashed));
        assert!(is_outdated(&hashed));
    }

    #[test]
    fn takes_passwords_that_are_long_or_mixed() {
        for password in [
            "correct horse battery staple",
            "Tr0ub4dor&3x",
            "kein besonders kurzer satz",
            "パスワードではない長いことば三つ",
            "gXp9-rTq2-Lm4v",
        ] {
            assert_eq!(weaknesses(password, "ada"), [], "{password}");
        }
    }

    #[test]
    fn names_each_weakness() {
        let long = "aB3-".repeat(65);
        for (password, weakness) in [
            ("aB3-xyz", Weakness::TooShort),
            (long.as_str(), Weakness::TooLong),
            ("onlyletters", Weakness::TooFewClasses),
            ("abababababababababab", Weakness::Repetitive),
            ("I am LOVELACE, you know", Weakness::ContainsName),
            ("P@ssw0rd123!", Weakness::Common),
            ("passwordpassword", Weakness::Common),
            ("Welcome-2026!!", Weakness::Common),
        ] {
            let found = weaknesses(password, "lovelace");
            assert!(found.contains(&weakness), "{password}: {found:?}");
        }
    }
}
