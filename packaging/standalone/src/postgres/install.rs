//! Which PostgreSQL is installed, where, and with which extensions.

use super::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest server that vmscope works with (`date_bin` came with it).
const OLDEST_VERSION: u32 = 14;
/// Where Debian and its derivatives keep one folder for each version.
const DEBIAN_ROOT: &str = "/usr/lib/postgresql";
/// The name of the extension's library and control file.
const TIMESCALE: &str = "timescaledb";

/// One installed PostgreSQL server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// Major version.
    pub version: u32,
    /// Folder with `postgres` and `initdb`.
    pub programs: PathBuf,
    /// Whether the server can load TimescaleDB.
    pub timescale: bool,
}

impl Installation {
    /// Every usable server on this machine, newest first: Debian's layout, then the one that `pg_config` names.
    pub fn all() -> Vec<Self> {
        let debian = std::fs::read_dir(DEBIAN_ROOT).into_iter().flatten().flatten();
        let mut folders: Vec<PathBuf> = debian.map(|entry| entry.path().join("bin")).collect();
        folders.extend(pg_config(Path::new("pg_config"), "--bindir"));
        let mut found: Vec<Self> = folders.into_iter().filter_map(Self::at).collect();
        found.sort_by_key(|installation| std::cmp::Reverse(installation.version));
        found.dedup_by_key(|installation| installation.version);
        found
    }

    /// The server to use for the cluster in `cluster`: the one that made it, or the best one for a new cluster (TimescaleDB
    /// counts more than a newer version).
    ///
    /// # Errors
    /// [`Error::NotInstalled`] and [`Error::VersionGone`].
    pub fn choose(cluster: &Path, installed: &[Self]) -> Result<Self, Error> {
        let Some(wanted) = cluster_version(cluster) else {
            let best = installed
                .iter()
                .max_by_key(|candidate| (candidate.timescale, candidate.version));
            return best.cloned().ok_or(Error::NotInstalled {
                oldest: OLDEST_VERSION,
            });
        };
        let same = installed.iter().find(|candidate| candidate.version == wanted);
        same.cloned().ok_or_else(|| Error::VersionGone {
            path: cluster.to_owned(),
            wanted,
            found: installed
                .iter()
                .map(|one| one.version.to_string())
                .collect::<Vec<_>>()
                .join(", "),
        })
    }

    fn at(programs: PathBuf) -> Option<Self> {
        let output = Command::new(programs.join("postgres"))
            .arg("--version")
            .output()
            .ok()?;
        let version = major_version(&String::from_utf8_lossy(&output.stdout))?;
        let usable = version >= OLDEST_VERSION && programs.join("initdb").exists();
        usable.then(|| Self {
            version,
            timescale: has_timescale(&programs, version),
            programs,
        })
    }
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` -> 15.
fn major_version(text: &str) -> Option<u32> {
    let number = text
        .split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn has_timescale(programs: &Path, version: u32) -> bool {
    let own = programs.join("pg_config");
    let shared =
        pg_config(&own, "--sharedir").unwrap_or_else(|| format!("/usr/share/postgresql/{version}").into());
    shared
        .join("extension")
        .join(format!("{TIMESCALE}.control"))
        .exists()
}

fn pg_config(program: &Path, question: &str) -> Option<PathBuf> {
    let output = Command::new(program).arg(question).output().ok()?;
    let answer = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !answer.trim().is_empty()).then(|| answer.trim().into())
}

fn cluster_version(cluster: &Path) -> Option<u32> {
    std::fs::read_to_string(cluster.join("PG_VERSION"))
        .ok()?
        .trim()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_major_version_of_debian_and_plain_builds() {
        assert_eq!(
            major_version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"),
            Some(15)
        );
        assert_eq!(major_version("postgres (PostgreSQL) 17beta1"), Some(17));
        assert_eq!(major_version("no version here"), None);
    }

    #[test]
    fn prefers_timescaledb_to_a_newer_version_for_a_new_cluster() {
        let one = |version, timescale| Installation {
            version,
            programs: "/p".into(),
            timescale,
        };
        let chosen = Installation::choose(Path::new("/nowhere"), &[one(17, false), one(15, true)]).unwrap();
        assert_eq!(chosen.version, 15);
    }

    #[test]
    fn keeps_to_the_version_that_made_the_cluster() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("PG_VERSION"), "14\n").unwrap();
        let one = |version| Installation {
            version,
            programs: "/p".into(),
            timescale: false,
        };
        assert_eq!(
            Installation::choose(folder.path(), &[one(15), one(14)])
                .unwrap()
                .version,
            14
        );
        let refused = Installation::choose(folder.path(), &[one(15)]).unwrap_err();
        assert!(refused.to_string().contains("made by PostgreSQL 14"), "{refused}");
    }
}
