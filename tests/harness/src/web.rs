//! The real web service of a site.

use crate::daemon::Daemon;
use crate::site::{Site, free_tcp_port, identity, start};
use anyhow::Context;
use std::net::SocketAddr;
use vmscope_link::Role;
use vmscope_vault::Keyring;

/// A web service at work, fed by the site's collector.
#[derive(Debug)]
pub struct Web {
    /// The program.
    pub daemon: Daemon,
    /// Where the dashboard and the API are.
    pub address: SocketAddr,
    /// Its admin endpoint.
    pub admin: SocketAddr,
}

impl Site {
    /// Starts the web service; `more` are further sections of its configuration.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start_web(&self, more: &str) -> anyhow::Result<Web> {
        let folder = self.path("web");
        self.certify(&folder, &Role::Web("test".to_owned()))?;
        let keys = folder.join("master-keys");
        if !keys.exists() {
            Keyring::generate_into(&keys).context("make a master key")?;
        }
        let (address, admin) = (free_tcp_port()?, free_tcp_port()?);
        let text = format!(
            "listen = \"{address}\"\nadmin = \"{admin}\"\ncollectors = [\"{collector}\"]\n{identity}\
             [database]\nurl = \"{database}\"\n[vault]\nmaster_keys = \"{keys}\"\n{more}",
            collector = self.collector_address,
            identity = identity(&folder),
            database = self.database_url,
            keys = keys.display(),
        );
        Ok(Web {
            daemon: start(&[], "vmscope-web", &folder, &text)?,
            address,
            admin,
        })
    }
}
