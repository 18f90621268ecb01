//! Who the three parts are to each other: an authority in the data directory, and a fresh certificate for each at each start.

use anyhow::Context;
use std::path::{Path, PathBuf};
use uuid::Uuid;
use vmscope_link::authority::LEAF_DAYS;
use vmscope_link::{Authority, Identity, IdentityFiles, Role, Validity};
use vmscope_model::HostId;

/// One part's certificate, and where it was written.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) identity: Identity,
    pub(crate) files: IdentityFiles,
}

/// The three parts' certificates.
#[derive(Debug)]
pub(crate) struct Identities {
    /// Where the authority is: the collector renews the agent's certificate while all of them run.
    pub(crate) authority_dir: PathBuf,
    pub(crate) collector: Issued,
    pub(crate) web: Issued,
    pub(crate) agent: Issued,
}

impl Identities {
    /// Opens the authority below `data_dir`, or makes it, and issues all certificates anew.
    pub(crate) fn prepare(data_dir: &Path) -> anyhow::Result<Self> {
        let folder = data_dir.join("ca");
        let authority = if folder.join("ca.pem").exists() {
            Authority::open(&folder)?
        } else {
            Authority::init(&folder, "vmscope")?
        };
        let issue = |name: &str, role: &Role| -> anyhow::Result<Issued> {
            let folder = data_dir.join("certificates").join(name);
            std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
            let issued = authority.issue(role, Validity::days(LEAF_DAYS))?;
            let files = IdentityFiles::within(&folder);
            issued.write(&files)?;
            Ok(Issued {
                identity: issued.identity()?,
                files,
            })
        };
        Ok(Self {
            collector: issue("collector", &Role::Collector("local".to_owned()))?,
            web: issue("web", &Role::Web("local".to_owned()))?,
            agent: issue("agent", &Role::Agent(host_id(data_dir)?))?,
            authority_dir: folder,
        })
    }
}

/// This host's id: made once, kept for ever.
fn host_id(data_dir: &Path) -> anyhow::Result<HostId> {
    let path = data_dir.join("host-id");
    if let Ok(text) = std::fs::read_to_string(&path) {
        return text
            .trim()
            .parse()
            .with_context(|| format!("{} holds no UUID", path.display()));
    }
    let host = HostId(Uuid::new_v4());
    std::fs::write(&path, format!("{host}\n")).with_context(|| format!("write {}", path.display()))?;
    Ok(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_keeps_its_id_and_a_broken_one_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let first = host_id(folder.path()).unwrap();
        assert_eq!(host_id(folder.path()).unwrap(), first);
        std::fs::write(folder.path().join("host-id"), "scribble").unwrap();
        assert!(host_id(folder.path()).is_err());
    }
}
