//! Values that must not appear in logs.

use serde::{Deserialize, Deserializer, de};
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A configured value that shows as `***`.
///
/// In TOML it is the value itself, or says where the value is; a file's trailing line break is no part of it:
/// ```toml
/// password = "literal"
/// password = { file = "/etc/vmscope/password" }
/// password = { env = "VMSCOPE_PASSWORD" }
/// password = { credential = "password" }    # systemd: LoadCredential=password:...
/// ```
/// It is fetched while the configuration is read, so that a missing one is a configuration error.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T = String>(T);

impl<T> Secret<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself; callers keep it out of logs and errors.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a text, or one of { file = .. }, { env = .. }, { credential = .. }"
)]
enum Place {
    Literal(String),
    Elsewhere(Elsewhere),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Elsewhere {
    File(PathBuf),
    Env(String),
    Credential(String),
}

impl Elsewhere {
    fn fetch(self) -> Result<String, String> {
        match self {
            Self::File(path) => read(&path),
            Self::Env(name) => std::env::var(&name).map_err(|error| format!("environment {name}: {error}")),
            Self::Credential(name) => match std::env::var_os("CREDENTIALS_DIRECTORY") {
                Some(directory) => read(&Path::new(&directory).join(name)),
                None => Err(format!(
                    "credential {name}: the service manager passes no credentials"
                )),
            },
        }
    }
}

fn read(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match Place::deserialize(deserializer)? {
            Place::Literal(text) => text,
            Place::Elsewhere(place) => place.fetch().map_err(de::Error::custom)?,
        };
        // The parser's own message may quote the text, so it is not passed on.
        text.parse()
            .map(Self)
            .map_err(|_| de::Error::custom("the secret's value has the wrong form"))
    }
}
