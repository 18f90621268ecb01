//! Log lines on standard error, one event a line.
//!
//! Standard output is left to commands that print results. Colours appear on terminals only. Nothing here can fail after
//! [`init`]: a line that can't be written is dropped.

use serde::Deserialize;
use std::io::{IsTerminal, stderr};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, ParseError};

/// What is logged.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Directives such as `info` or `info,vmscope_agent::uplink=debug`; the environment's `RUST_LOG` goes before it.
    pub filter: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            filter: "info".to_owned(),
        }
    }
}

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter's directives can't be read.
    #[error("log filter {filter:?} is not valid")]
    Filter {
        /// The directives.
        filter: String,
        /// What is wrong with them.
        #[source]
        source: ParseError,
    },
    /// The process has a logger already.
    #[error("logging is set up already")]
    Already(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Sends the process's events to standard error from now on.
///
/// # Errors
/// [`Error::Filter`] when `RUST_LOG` or `config.filter` can't be read, [`Error::Already`] at the second call.
pub fn init(config: &Config) -> Result<(), Error> {
    let directives = std::env::var(EnvFilter::DEFAULT_ENV)
        .ok()
        .filter(|text| !text.trim().is_empty());
    let filter = filter(directives.as_ref().unwrap_or(&config.filter))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(stderr().is_terminal())
        .with_writer(stderr)
        .try_init()
        .map_err(Error::Already)
}

fn filter(directives: &str) -> Result<EnvFilter, Error> {
    EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .parse(directives)
        .map_err(|source| Error::Filter {
            filter: directives.to_owned(),
            source,
        })
}

/// The check that `check-config` does without setting anything up.
///
/// # Errors
/// [`Error::Filter`] when the directives can't be read.
pub fn check(config: &Config) -> Result<(), Error> {
    filter(&config.filter).map(drop)
}

#[cfg(test)]
mod tests {
    use super::{Config, Error, check};

    #[test]
    fn names_a_filter_that_can_not_be_read() {
        let config = Config {
            filter: "vmscope=loud".to_owned(),
        };
        let error = check(&config).expect_err("`loud` is no level");
        assert!(
            matches!(error, Error::Filter { ref filter, .. } if filter == "vmscope=loud"),
            "{error}"
        );
    }

    #[test]
    fn accepts_directives_per_module() {
        check(&Config {
            filter: "warn,vmscope_agent::uplink=debug".to_owned(),
        })
        .expect("usual directives");
        check(&Config::default()).expect("the default");
    }
}
