//! What is sampled, how often and with which patience.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// Settings of the sampler: the `[sampler]` section of the agent's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Milliseconds between samples of the host. Default 1000.
    pub host_interval_ms: u64,
    /// Milliseconds between samples of VM state, CPU and network totals. Default 1000.
    pub cheap_interval_ms: u64,
    /// Milliseconds between samples of virtual processors, memory and disks of VMs, and of every device's own
    /// row, the host's included. Default 5000.
    pub dear_interval_ms: u64,
    /// Milliseconds that libvirt may take to answer the cheap call. Default: 80 % of `cheap_interval_ms`.
    pub cheap_deadline_ms: Option<u64>,
    /// Milliseconds that libvirt may take to answer the dear call before it is asked once more without the VM that holds
    /// it up. Default: 40 % of `dear_interval_ms`, at most 2000.
    pub dear_deadline_ms: Option<u64>,
    /// Percent of one core that sampling virtual processors, memory and disks of VMs may take, waiting for libvirt included.
    /// When it takes more, their interval doubles, up to eight times `dear_interval_ms`; it comes back when it fits. Default 20.
    pub budget_percent: u32,
    /// libvirt's read-only Unix socket. Default `/run/libvirt/libvirt-sock-ro`; with modular daemons
    /// `/run/libvirt/virtqemud-sock-ro`. Where it doesn't exist the agent reports the host alone.
    pub libvirt_socket: PathBuf,
    /// Which libvirt driver to ask. Default `qemu:///system`.
    pub libvirt_uri: String,
    /// Folder that holds `proc` and `sys`. Default `/`; another one for an agent in a container.
    pub host_root: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            host_interval_ms: 1_000,
            cheap_interval_ms: 1_000,
            dear_interval_ms: 5_000,
            cheap_deadline_ms: None,
            dear_deadline_ms: None,
            budget_percent: 20,
            libvirt_socket: PathBuf::from("/run/libvirt/libvirt-sock-ro"),
            libvirt_uri: "qemu:///system".to_owned(),
            host_root: PathBuf::from("/"),
        }
    }
}

/// Why the settings can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An interval is outside of what the sampler can keep.
    #[error(
        "sampler.{key} is {value_ms}; it must be from {} to {}",
        MIN_INTERVAL_MS,
        MAX_INTERVAL_MS
    )]
    Interval {
        /// Which key.
        key: &'static str,
        /// What it says.
        value_ms: u64,
    },
    /// The budget is no share of a core.
    #[error("sampler.budget_percent is {percent}; it must be from 1 to 100")]
    Budget {
        /// What it says.
        percent: u32,
    },
    /// A deadline would let one tick run into the next.
    #[error(
        "sampler.{key} is {value_ms}; it must be at least 1 and below {limit_ms}, or ticks would overlap"
    )]
    Deadline {
        /// Which key.
        key: &'static str,
        /// What it says.
        value_ms: u64,
        /// What it must be below.
        limit_ms: u64,
    },
}

/// Shortest interval, in milliseconds: below it the agent would be a load itself.
const MIN_INTERVAL_MS: u64 = 100;
/// Longest interval, in milliseconds: beyond an hour a chart shows nothing.
const MAX_INTERVAL_MS: u64 = 3_600_000;

impl Config {
    /// Checks what types can't say.
    ///
    /// # Errors
    /// The first setting that is out of range.
    pub fn validate(&self) -> Result<(), Error> {
        let intervals = [
            ("host_interval_ms", self.host_interval_ms),
            ("cheap_interval_ms", self.cheap_interval_ms),
            ("dear_interval_ms", self.dear_interval_ms),
        ];
        for (key, value_ms) in intervals {
            if !(MIN_INTERVAL_MS..=MAX_INTERVAL_MS).contains(&value_ms) {
                return Err(Error::Interval { key, value_ms });
            }
        }
        if !(1..=100).contains(&self.budget_percent) {
            return Err(Error::Budget {
                percent: self.budget_percent,
            });
        }
        let deadlines = [
            ("cheap_deadline_ms", self.cheap_deadline(), self.cheap_interval_ms),
            // The call may be made twice in a tick.
            (
                "dear_deadline_ms",
                self.dear_deadline(),
                self.dear_interval_ms / 2,
            ),
        ];
        for (key, deadline, limit_ms) in deadlines {
            let value_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
            if !(1..limit_ms).contains(&value_ms) {
                return Err(Error::Deadline {
                    key,
                    value_ms,
                    limit_ms,
                });
            }
        }
        Ok(())
    }

    /// How long the cheap call may take.
    pub fn cheap_deadline(&self) -> Duration {
        Duration::from_millis(self.cheap_deadline_ms.unwrap_or(self.cheap_interval_ms * 4 / 5))
    }

    /// How long the dear call may take.
    pub fn dear_deadline(&self) -> Duration {
        Duration::from_millis(
            self.dear_deadline_ms
                .unwrap_or((self.dear_interval_ms * 2 / 5).min(2_000)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid() {
        assert_eq!(Config::default().validate(), Ok(()));
        assert_eq!(Config::default().cheap_deadline(), Duration::from_millis(800));
        assert_eq!(Config::default().dear_deadline(), Duration::from_secs(2));
    }

    #[test]
    fn refuses_an_interval_of_zero() {
        let config = Config {
            dear_interval_ms: 0,
            ..Config::default()
        };
        assert_eq!(
            config.validate(),
            Err(Error::Interval {
                key: "dear_interval_ms",
                value_ms: 0
            })
        );
    }

    #[test]
    fn refuses_a_budget_that_is_no_share() {
        for percent in [0, 101] {
            let config = Config {
                budget_percent: percent,
                ..Config::default()
            };
            assert_eq!(config.validate(), Err(Error::Budget { percent }));
        }
    }

    #[test]
    fn refuses_a_deadline_beyond_its_interval() {
        let config = Config {
            cheap_deadline_ms: Some(1_000),
            ..Config::default()
        };
        assert!(matches!(
            config.validate(),
            Err(Error::Deadline {
                key: "cheap_deadline_ms",
                ..
            })
        ));
    }
}
