//! The web service's configuration file.

use crate::limit;
use serde::{Deserialize, Deserializer, de};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use vmscope_link::IdentityFiles;
use vmscope_service::{Secret, telemetry};

/// Everything that can be configured; `packaging/config/web.toml` documents each key.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// TCP address of the dashboard and the API: HTTP on loopback unless there is a certificate, HTTPS everywhere else.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// TCP address of the admin endpoint; loopback only.
    #[serde(default = "default_admin", deserialize_with = "loopback")]
    pub admin: SocketAddr,
    /// `host:port` (UDP) of every collector, for live samples. Without any there is only history.
    #[serde(default)]
    pub collectors: Vec<String>,
    /// Who this server is.
    pub identity: IdentityFiles,
    /// Where history is.
    pub database: Database,
    /// Where the master keys are, which open what is sealed in the database.
    #[serde(default)]
    pub vault: vmscope_vault::Config,
    /// Where files are that collectors make; without a directory there are no exports as jobs.
    #[serde(default)]
    pub storage: vmscope_storage::Config,
    /// How often one address may ask.
    #[serde(default)]
    pub limits: limit::Config,
    /// The certificate that browsers see.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// Where a self-signed certificate is kept when another address than loopback has none.
    #[serde(default = "default_state_dir")]
    pub state_dir: PathBuf,
    /// What is logged.
    #[serde(default)]
    pub telemetry: telemetry::Config,
}

/// The database.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// `postgres://user:password@host/name`.
    pub url: Secret<String>,
}

/// A certificate with its key, in PEM; both are read again when they change.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate, followed by those that vouch for it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

fn default_state_dir() -> PathBuf {
    PathBuf::from("/var/lib/vmscope-web")
}

const fn default_listen() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8780)
}

const fn default_admin() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8781)
}

/// The admin endpoint asks nobody who he is.
fn loopback<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let address = SocketAddr::deserialize(deserializer)?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err(de::Error::custom(format_args!(
        "{address} is no loopback address: the admin endpoint has no access control, so it listens on 127.0.0.1 or [::1] only"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const DOCUMENTED: &str = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../packaging/config/web.toml"
    ));

    fn parse(text: &str) -> Result<Config, vmscope_service::config::Error> {
        vmscope_service::config::parse(text, Path::new("web.toml"))
    }

    /// What the documentation gives as defaults, all switched on, says the same as leaving them out.
    #[test]
    fn the_documented_file_states_the_defaults() {
        let documented = parse(DOCUMENTED).expect("the documented file");
        let all: String = DOCUMENTED
            .lines()
            .map(|line| {
                line.strip_prefix('#')
                    .filter(|rest| !rest.starts_with(' '))
                    .unwrap_or(line)
            })
            .fold(String::new(), |text, line| text + line + "\n");
        assert_ne!(all, DOCUMENTED);
        let mut all = parse(&all).expect("every key");
        // This one has no default that could be stated: an example stands in its place.
        assert!(all.storage.dir.take().is_some());
        assert_eq!(format!("{all:?}"), format!("{documented:?}"));
    }

    #[test]
    fn an_unknown_key_is_refused_by_its_name() {
        let error = parse(&format!("listne = \"[::1]:1\"\n{DOCUMENTED}")).expect_err("a typing error");
        assert!(error.to_string().contains("listne"), "{error}");
    }

    /// Metrics are for everybody who reaches them.
    #[test]
    fn an_admin_address_that_others_can_reach_is_refused_with_the_reason() {
        for address in ["0.0.0.0:8781", "[::]:8781", "192.0.2.1:8781"] {
            let error = parse(&format!("admin = \"{address}\"\n{DOCUMENTED}")).expect_err("not loopback");
            assert!(error.to_string().contains("no loopback address"), "{error}");
        }
        assert!(
            parse(&format!(
                "admin = \"[::1]:0\"\nlisten = \"0.0.0.0:0\"\n{DOCUMENTED}"
            ))
            .is_ok()
        );
    }
}
