//! The names of files.

use crate::Error;
use std::fmt;
use std::str::FromStr;

/// The longest key, in bytes: a file system takes 255 for a name, and what is being written has a longer one.
const MAX_LENGTH: usize = 200;

/// The name of a file: words with `/` between them. It never leads out of where it is looked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(String);

impl Key {
    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last word.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

impl FromStr for Key {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
        let word = |word: &str| !word.is_empty() && !word.starts_with('.') && word.bytes().all(letter);
        if text.len() <= MAX_LENGTH && text.split('/').all(word) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::Key(text.to_owned()))
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_never_leads_elsewhere() {
        for text in ["exports/a-1.csv", "a", "a/b/c_d.parquet"] {
            assert_eq!(
                text.parse::<Key>().map(|key| key.to_string()).ok().as_deref(),
                Some(text)
            );
        }
        let long = "a".repeat(201);
        for text in [
            "",
            "/",
            "/etc/passwd",
            "a//b",
            "a/",
            "../a",
            "a/../b",
            ".a",
            "a/.b.part",
            "A",
            "a b",
            "a\0",
            "ü",
            &long,
        ] {
            assert!(text.parse::<Key>().is_err(), "{text:?}");
        }
    }
}
