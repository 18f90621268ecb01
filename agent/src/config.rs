//! The agent's configuration file. `packaging/config/agent.toml` shows every key with its default.

use crate::{buffer, enrol, sampler};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use vmscope_link::IdentityFiles;
use vmscope_service::telemetry;

/// Everything that can be set.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Collectors as `host:port`, in order of preference; names are looked up at each attempt.
    pub collectors: Vec<String>,
    /// Certificate of the authority, own certificate and key, in PEM. Default: in `identity` of the data directory.
    pub identity: Option<IdentityFiles>,
    /// How to get the first certificate; without it there has to be one.
    pub enrol: Option<enrol::Config>,
    /// Where the agent keeps its buffer, its host's id and its identity. Default `/var/lib/vmscope-agent`.
    #[serde(default = "data_dir")]
    pub data_dir: PathBuf,
    /// Where `/metrics`, `/healthz` and `/readyz` are served; a loopback address. Default: nowhere.
    #[serde(rename = "admin")]
    pub admin_address: Option<SocketAddr>,
    /// Nice value that the agent gives itself, 0 to 19: the higher, the sooner it waits for others. Default: the one that it
    /// was started with.
    pub nice: Option<u8>,
    /// The buffer between sampling and sending.
    #[serde(default)]
    pub buffer: buffer::Config,
    /// What is sampled, and how often.
    #[serde(default)]
    pub sampler: sampler::Config,
    /// Whether guests are asked about themselves.
    #[serde(default)]
    pub guest: sampler::GuestConfig,
    /// What is logged.
    #[serde(default)]
    pub telemetry: telemetry::Config,
}

fn data_dir() -> PathBuf {
    PathBuf::from("/var/lib/vmscope-agent")
}

/// Why a configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can't be read or parsed.
    #[error(transparent)]
    File(#[from] vmscope_service::config::Error),
    /// No collector is named.
    #[error("collectors: none is named")]
    NoCollector,
    /// A collector is not `host:port`.
    #[error("collectors: {collector:?} is not host:port")]
    Collector {
        /// What the file says.
        collector: String,
    },
    /// The nice value is none that lowers the priority.
    #[error("nice is {nice}; it must be from 0 to 19")]
    Nice {
        /// What the file says.
        nice: u8,
    },
    /// The buffer's settings.
    #[error(transparent)]
    Buffer(#[from] buffer::ConfigError),
    /// The sampler's settings.
    #[error(transparent)]
    Sampler(#[from] sampler::ConfigError),
    /// The settings of guest facts.
    #[error(transparent)]
    Guest(#[from] sampler::GuestConfigError),
    /// The log filter.
    #[error("telemetry.filter")]
    Telemetry(#[from] telemetry::Error),
}

impl Config {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// [`Error::File`] when it can't be read or has unknown keys, else as [`validate`](Self::validate).
    pub fn load(path: &Path) -> Result<Self, Error> {
        let config: Self = vmscope_service::config::load(path)?;
        config.validate()?;
        Ok(config)
    }

    /// Checks what types can't say.
    ///
    /// # Errors
    /// The first setting that can't be used.
    pub fn validate(&self) -> Result<(), Error> {
        if self.collectors.is_empty() {
            return Err(Error::NoCollector);
        }
        let enrols_at = self.enrol.iter().filter_map(|enrol| enrol.collector.as_ref());
        let mut collectors = self.collectors.iter().chain(enrols_at);
        if let Some(collector) = collectors.find(|collector| !is_host_port(collector)) {
            return Err(Error::Collector {
                collector: collector.clone(),
            });
        }
        if let Some(nice) = self.nice.filter(|nice| *nice > 19) {
            return Err(Error::Nice { nice });
        }
        self.buffer.validate()?;
        self.sampler.validate()?;
        self.guest.validate()?;
        telemetry::check(&self.telemetry)?;
        Ok(())
    }

    /// Where the identity is.
    pub fn identity_files(&self) -> IdentityFiles {
        let within = || IdentityFiles::within(&self.data_dir.join("identity"));
        self.identity.clone().unwrap_or_else(within)
    }

    /// The buffer's folder.
    pub fn buffer_dir(&self) -> PathBuf {
        self.data_dir.join("buffer")
    }
}

pub(crate) fn is_host_port(text: &str) -> bool {
    text.rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, Error> {
        let config: Config = vmscope_service::config::parse(text, Path::new("agent.toml"))?;
        config.validate()?;
        Ok(config)
    }

    const IDENTITY: &str = "[identity]\nca = \"a\"\ncertificate = \"b\"\nkey = \"c\"\n";

    #[test]
    fn the_packaged_file_says_the_defaults() {
        let packaged = include_str!("../../packaging/config/agent.toml");
        let said = parse(packaged).expect("the packaged file is valid");
        assert_eq!(said.buffer, buffer::Config::default());
        let sampler = sampler::Config {
            cheap_deadline_ms: said.sampler.cheap_deadline_ms,
            ..sampler::Config::default()
        };
        assert_eq!(said.sampler, sampler);
        assert_eq!(said.guest, sampler::GuestConfig::default());
        assert_eq!(
            said.sampler.cheap_deadline(),
            sampler::Config::default().cheap_deadline()
        );
        assert_eq!(said.data_dir, data_dir());
        assert_eq!(said.enrol, None);
        let all: Vec<&str> = packaged.lines().map(uncommented).collect();
        let all = parse(&all.join("\n")).expect("every key is valid");
        assert_eq!(all.identity, Some(said.identity_files()));
        assert!(all.enrol.is_some_and(|enrol| enrol.host_id.is_some()));
    }

    /// A line with a key that is commented out, switched on; sections too.
    fn uncommented(line: &str) -> &str {
        match line.strip_prefix("# ") {
            Some(rest) if rest.contains(" = ") || rest.starts_with('[') => rest,
            _ => line,
        }
    }

    #[test]
    fn refuses_unknown_keys_and_collectors_without_a_port() {
        let base = |line: &str| format!("{line}\n{IDENTITY}");
        assert!(parse(&base("collectors = [\"c:1\"]")).is_ok());
        assert!(matches!(
            parse(&base("collectors = [\"c:1\"]\nspeed = 3")),
            Err(Error::File(_))
        ));
        assert!(matches!(parse(&base("collectors = []")), Err(Error::NoCollector)));
        assert!(parse(&base("collectors = [\"c:1\"]\nnice = 19")).is_ok());
        assert!(matches!(
            parse(&base("collectors = [\"c:1\"]\nnice = 20")),
            Err(Error::Nice { nice: 20 })
        ));
        for odd in ["c", "c:", ":1", "c:0", "c:99999"] {
            let parsed = parse(&base(&format!("collectors = [\"{odd}\"]")));
            assert!(matches!(parsed, Err(Error::Collector { .. })), "{odd}");
        }
    }
}
