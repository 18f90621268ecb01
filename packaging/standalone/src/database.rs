//! How the parts reach the database, and as whom.
//!
//! In the private one the web service has a role of its own, which can't change the audit trail nor what the collector
//! writes. Its password is random, made once and kept beside the database.

use crate::postgres::Server;
use anyhow::Context;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use uuid::Uuid;
use vmscope_store::{Store, schema};

/// Who connects where.
#[derive(Debug, Clone)]
pub(crate) struct Urls {
    pub(crate) collector: String,
    pub(crate) web: String,
    /// Whom the collector grants what the web service needs.
    pub(crate) web_role: Option<String>,
}

impl Urls {
    /// A database that somebody else runs: both parts use it as the same role, because only its owner can make another one.
    pub(crate) fn shared(url: &str) -> Self {
        tracing::info!(
            "collector and web service use the given database as one role: nothing but vmscope itself keeps the web service \
             from changing the audit trail"
        );
        Self {
            collector: url.to_owned(),
            web: url.to_owned(),
            web_role: None,
        }
    }

    /// The private database, with a role for the web service.
    pub(crate) async fn private(server: &Server, data_dir: &Path) -> anyhow::Result<Self> {
        let password = password(&data_dir.join("web-database-password"))?;
        let store = Store::new(&server.url)?;
        schema::make_login(&store, Server::WEB_ROLE, &password)
            .await
            .context("the web service's database role")?;
        Ok(Self {
            collector: server.url.clone(),
            web: server.url_of_web(&password),
            web_role: Some(Server::WEB_ROLE.to_owned()),
        })
    }
}

/// The password in a file that only its owner may read; made when it is not there.
fn password(path: &Path) -> anyhow::Result<String> {
    let new = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Ok(mut file) => {
            file.write_all(new.as_bytes())
                .and_then(|()| file.sync_all())
                .with_context(|| format!("write {}", path.display()))?;
            Ok(new)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
            let password = text.trim();
            let usable = password.len() == new.len() && password.chars().all(|c| c.is_ascii_hexdigit());
            anyhow::ensure!(
                usable,
                "{} holds no password of vmscope: remove it, and the next start makes another one",
                path.display()
            );
            Ok(password.to_owned())
        }
        Err(error) => Err(error).with_context(|| format!("make {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::password;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_password_is_made_once_and_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        let first = password(&path).unwrap();
        assert_eq!(password(&path).unwrap(), first);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(&path, "short").unwrap();
        assert!(password(&path).is_err());
    }
}
