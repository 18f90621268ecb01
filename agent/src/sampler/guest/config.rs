//! Whether guests are asked about themselves, how often and with which patience.

use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of guest facts: the `[guest]` section of the agent's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether QEMU's guest agents are asked. Default false: libvirt lets only read-write connections do it, which may do
    /// everything else too.
    pub enabled: bool,
    /// Seconds between two questions to a guest; one that doesn't answer is asked ever more rarely. Default 300.
    pub interval_s: u64,
    /// Seconds that a guest may take to answer. Default 10; libvirt itself gives up after 5 on an agent that does not even
    /// greet.
    pub deadline_s: u64,
    /// libvirt's read-write Unix socket. Default `/run/libvirt/libvirt-sock`; with modular daemons
    /// `/run/libvirt/virtqemud-sock`.
    pub libvirt_socket: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: false,
            interval_s: 300,
            deadline_s: 10,
            libvirt_socket: PathBuf::from("/run/libvirt/libvirt-sock"),
        }
    }
}

/// Why the settings can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("guest.{key} is {value_s}; it must be from {} to {}", range.start(), range.end())]
pub struct Error {
    /// Which key.
    key: &'static str,
    /// What it says.
    value_s: u64,
    /// What it may say.
    range: RangeInclusive<u64>,
}

impl Config {
    /// Checks what types can't say.
    ///
    /// # Errors
    /// The first setting that is out of range.
    pub fn validate(&self) -> Result<(), Error> {
        for (key, value_s, range) in [
            ("interval_s", self.interval_s, 1..=86_400),
            ("deadline_s", self.deadline_s, 1..=60),
        ] {
            if !range.contains(&value_s) {
                return Err(Error { key, value_s, range });
            }
        }
        Ok(())
    }

    pub(super) const fn interval(&self) -> Duration {
        Duration::from_secs(self.interval_s)
    }

    pub(super) const fn deadline(&self) -> Duration {
        Duration::from_secs(self.deadline_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_off() {
        assert_eq!(Config::default().validate(), Ok(()));
        assert!(!Config::default().enabled);
    }

    #[test]
    fn refuses_to_ask_without_pause_or_patience() {
        for (interval_s, deadline_s) in [(0, 10), (300, 0), (300, 61)] {
            let config = Config {
                interval_s,
                deadline_s,
                ..Config::default()
            };
            assert!(config.validate().is_err());
        }
    }
}
