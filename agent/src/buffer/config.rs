//! How much the buffer may hold, and where its faults are accounted for.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// Settings of the buffer: the `[buffer]` section of the agent's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Bytes of samples kept on disk; the oldest go first. The store's files take up to about twice as much.
    /// Default 256 MiB: a day of a host with 20 VMs.
    pub max_bytes: u64,
    /// Seconds after which samples that could not be delivered are dropped. Default 604,800: a week.
    pub max_age_s: u64,
    /// Bytes of samples kept in memory while the disk takes none. Default 4 MiB.
    pub memory_ring_bytes: u64,
    /// A file to which a line is appended before and after each sample is made durable. Only for tests that break
    /// things on purpose and then count; it grows without bound. Default: none.
    pub account_path: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_bytes: 256 << 20,
            max_age_s: 7 * 24 * 3_600,
            memory_ring_bytes: 4 << 20,
            account_path: None,
        }
    }
}

/// Why the settings can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A bound is so small that no tick of a large host would fit.
    #[error("buffer.{key} is {value}; it must be at least {least}")]
    TooSmall {
        /// Which key.
        key: &'static str,
        /// What it says.
        value: u64,
        /// The least that works.
        least: u64,
    },
}

/// The least bytes for the disk and for the memory ring.
const LEAST_BYTES: u64 = 64 << 10;
/// The least age, in seconds: shorter ones would drop samples during a collector's restart.
const LEAST_AGE_S: u64 = 60;

impl Config {
    /// Checks what types can't say.
    ///
    /// # Errors
    /// The first setting that is out of range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let bounds = [
            ("max_bytes", self.max_bytes, LEAST_BYTES),
            ("memory_ring_bytes", self.memory_ring_bytes, LEAST_BYTES),
            ("max_age_s", self.max_age_s, LEAST_AGE_S),
        ];
        for (key, value, least) in bounds {
            if value < least {
                return Err(ConfigError::TooSmall { key, value, least });
            }
        }
        Ok(())
    }

    pub(super) const fn max_age(&self) -> Duration {
        Duration::from_secs(self.max_age_s)
    }
}

#[cfg(test)]
mod tests {
    use super::{Config, ConfigError};

    #[test]
    fn refuses_bounds_that_no_tick_fits_in() {
        assert_eq!(Config::default().validate(), Ok(()));
        let config = Config {
            max_bytes: 1,
            ..Config::default()
        };
        assert!(matches!(
            config.validate(),
            Err(ConfigError::TooSmall {
                key: "max_bytes",
                value: 1,
                ..
            })
        ));
    }
}
