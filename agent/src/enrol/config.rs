//! The section `[enrol]`.

use serde::{Deserialize, Deserializer, de};
use std::path::PathBuf;
use vmscope_link::Fingerprint;
use vmscope_model::HostId;

/// How the agent gets its first certificate by itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Collector as `host:port`; the first of `collectors` without.
    pub collector: Option<String>,
    /// SHA-256 of the authority's root certificate, hexadecimal, with or without colons.
    pub ca_sha256: Fingerprint,
    /// File that holds the token; read at each attempt, never changed.
    pub token_file: PathBuf,
    /// The host's UUID; made once by itself without.
    #[serde(default, deserialize_with = "host")]
    pub host_id: Option<HostId>,
}

fn host<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<HostId>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(de::Error::custom)
}
