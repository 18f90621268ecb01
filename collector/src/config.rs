//! The collector's configuration file.

use serde::Deserialize;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;
use vmscope_link::IdentityFiles;
use vmscope_service::{Secret, telemetry};
use vmscope_storage as storage;
use vmscope_vault as vault;

/// Everything that can be configured; `packaging/config/collector.toml` documents each key.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// UDP address that agents and web servers dial.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// TCP address of the admin endpoint; keep it on loopback.
    #[serde(default = "default_admin")]
    pub admin: SocketAddr,
    /// Who this collector is.
    pub identity: IdentityFiles,
    /// Who signs the certificates of hosts that enrol; without it this collector signs none.
    pub authority: Option<Authority>,
    /// Where samples go.
    pub database: Database,
    /// For how long they are kept there.
    #[serde(default)]
    pub retention: Retention,
    /// What secrets are sealed with, and by that the signatures of the audit trail.
    #[serde(default)]
    pub vault: vault::Config,
    /// Where files are kept that web servers give out; without a directory this collector makes no exports.
    #[serde(default)]
    pub storage: storage::Config,
    /// Exports that are made while nobody waits.
    #[serde(default)]
    pub exports: Exports,
    /// How much agents may ask of it.
    #[serde(default)]
    pub limits: Limits,
    /// What becomes of virtual machines that are gone.
    #[serde(default)]
    pub inventory: Inventory,
    /// What is logged.
    #[serde(default)]
    pub telemetry: telemetry::Config,
}

/// What becomes of virtual machines that are gone.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Inventory {
    /// Hours for which a host reports without a machine before lists leave it out.
    pub archive_after_hours: NonZeroU32,
}

impl Default for Inventory {
    fn default() -> Self {
        Self {
            archive_after_hours: NonZeroU32::MIN.saturating_add(23),
        }
    }
}

/// The authority that `vmscope-collector ca init` made.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authority {
    /// Where it is. Its roots take the place of `identity.ca`.
    pub dir: PathBuf,
    /// Seconds that a certificate of an agent is valid. Agents renew theirs when two thirds have passed.
    #[serde(default = "default_certificate_lifetime_s")]
    pub certificate_lifetime_s: NonZeroU32,
}

impl Authority {
    /// The authority in `dir`, everything else at its default.
    pub const fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            certificate_lifetime_s: default_certificate_lifetime_s(),
        }
    }
}

/// The database and how it is used.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// `postgres://user:password@host/name`.
    pub url: Secret<String>,
    /// The role by which web servers log in: it is granted what they need and nothing else. Without it nothing is granted.
    pub web_role: Option<String>,
    /// Connections that write samples.
    #[serde(default = "default_writers")]
    pub writers: NonZeroU16,
    /// Sample rows that may be decoded and not yet committed; beyond that, sessions stop reading.
    #[serde(default = "default_rows_in_flight")]
    pub rows_in_flight: NonZeroU32,
    /// Bytes that the database may take on its disk: then its growth tells when it is full.
    pub capacity_bytes: Option<NonZeroU64>,
    /// Instead of that, a directory of this machine on the disk where the database is: it may take what is free there.
    pub disk: Option<PathBuf>,
}

impl Database {
    /// The database at `url`, everything else at its default.
    pub const fn new(url: Secret<String>) -> Self {
        Self {
            url,
            web_role: None,
            writers: default_writers(),
            rows_in_flight: default_rows_in_flight(),
            capacity_bytes: None,
            disk: None,
        }
    }
}

/// Days that samples, hours and days are kept. A tier is kept at least as long as the denser one that it is made of.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "Written")]
pub struct Retention {
    /// Every sample.
    pub raw_days: NonZeroU32,
    /// A row an hour.
    pub hourly_days: NonZeroU32,
    /// A row a day, and the gaps.
    pub daily_days: NonZeroU32,
}

/// [`Retention`] as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    clippy::struct_field_names,
    reason = "keys of the configuration say their unit"
)]
struct Written {
    raw_days: NonZeroU32,
    hourly_days: NonZeroU32,
    daily_days: NonZeroU32,
}

impl Default for Written {
    fn default() -> Self {
        let days = |value: u32| NonZeroU32::MIN.saturating_add(value - 1);
        Self {
            raw_days: days(14),
            hourly_days: days(400),
            daily_days: days(3650),
        }
    }
}

impl TryFrom<Written> for Retention {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let Written {
            raw_days,
            hourly_days,
            daily_days,
        } = written;
        if raw_days > hourly_days || hourly_days > daily_days {
            return Err("raw_days must not be more than hourly_days, nor these more than daily_days");
        }
        Ok(Self {
            raw_days,
            hourly_days,
            daily_days,
        })
    }
}

impl Default for Retention {
    fn default() -> Self {
        let Written {
            raw_days,
            hourly_days,
            daily_days,
        } = Written::default();
        Self {
            raw_days,
            hourly_days,
            daily_days,
        }
    }
}

/// Exports that are made while nobody waits.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Exports {
    /// Days that their files are kept.
    pub keep_days: NonZeroU32,
    /// Bytes of the biggest file.
    pub file_max_bytes: NonZeroU64,
}

impl Default for Exports {
    fn default() -> Self {
        Self {
            keep_days: NonZeroU32::MIN.saturating_add(6),
            file_max_bytes: NonZeroU64::MIN.saturating_add((10 << 30) - 1),
        }
    }
}

/// How much agents may ask of a collector. Over a limit of frames or rows a session is read later, over one of sessions
/// it is refused and comes again.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Frames of one host, each second.
    pub host_frames_per_s: NonZeroU32,
    /// Sample rows of one host, each second.
    pub host_rows_per_s: NonZeroU32,
    /// Sessions that one host may begin, each minute.
    pub host_sessions_per_min: NonZeroU32,
    /// Frames of all hosts, each second.
    pub frames_per_s: NonZeroU32,
    /// Sample rows of all hosts, each second.
    pub rows_per_s: NonZeroU32,
    /// Sessions that all peers may begin, each second.
    pub sessions_per_s: NonZeroU32,
    /// Seconds by which a host's clock may differ before it is warned of.
    pub clock_offset_s: NonZeroU32,
}

impl Limits {
    /// By how much a host's clock may differ before it is warned of.
    pub(crate) const fn clock_offset(&self) -> Duration {
        Duration::from_secs(self.clock_offset_s.get() as u64)
    }
}

impl Default for Limits {
    fn default() -> Self {
        let number = |value: u32| NonZeroU32::MIN.saturating_add(value - 1);
        Self {
            host_frames_per_s: number(200),
            host_rows_per_s: number(200_000),
            host_sessions_per_min: number(60),
            frames_per_s: number(50_000),
            rows_per_s: number(1_000_000),
            sessions_per_s: number(1_000),
            clock_offset_s: number(5),
        }
    }
}

const fn default_listen() -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V6(Ipv6Addr::UNSPECIFIED), 8785)
}

const fn default_admin() -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8786)
}

/// 90 days.
const fn default_certificate_lifetime_s() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(90 * 86_400 - 1)
}

const fn default_writers() -> NonZeroU16 {
    NonZeroU16::MIN.saturating_add(1)
}

/// Some 100 MB of VM rows.
const fn default_rows_in_flight() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(249_999)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const DOCUMENTED: &str = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../packaging/config/collector.toml"
    ));

    fn parse(text: &str) -> Result<Config, vmscope_service::config::Error> {
        vmscope_service::config::parse(text, Path::new("collector.toml"))
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
        // These have no default that could be stated: an example stands in their place.
        let mut all = parse(&all).expect("every key");
        assert!(all.database.capacity_bytes.take().is_some());
        assert!(all.database.disk.take().is_some());
        assert!(all.storage.dir.take().is_some());
        assert!(all.database.web_role.take().is_some());
        assert!(all.vault.master_keys.take().is_some());
        assert_eq!(format!("{all:?}"), format!("{documented:?}"));
        let authority = documented.authority.expect("an authority");
        assert_eq!(authority.certificate_lifetime_s, default_certificate_lifetime_s());
        assert_eq!(documented.retention.raw_days.get(), 14);
        assert_eq!(documented.inventory.archive_after_hours.get(), 24);
        assert_eq!(documented.database.rows_in_flight.get(), 250_000);
    }

    #[test]
    fn a_tier_that_is_kept_shorter_than_what_it_is_made_of_is_refused() {
        for days in [
            "raw_days = 500",
            "hourly_days = 4000",
            "daily_days = 399",
            "weekly_days = 1",
        ] {
            let text = format!("{DOCUMENTED}\n[retention]\n{days}\n");
            assert!(parse(&text).is_err(), "{days}");
        }
    }

    #[test]
    fn an_unknown_key_is_refused_by_its_name() {
        let error = parse(&format!("listne = \"[::]:1\"\n{DOCUMENTED}")).expect_err("a typing error");
        assert!(error.to_string().contains("listne"), "{error}");
    }

    #[test]
    fn the_password_stays_out_of_debug_output() {
        let documented = parse(DOCUMENTED).expect("the documented file");
        assert!(!format!("{documented:?}").contains("postgres://"));
    }
}
