//! What is asked for, in a form that can be written down.

use crate::source::{HistoryQuery, Source};
use crate::{Error, Format};
use serde::{Deserialize, Serialize};
use vmscope_model::access::{Effective, Permission, Reach};
use vmscope_store::{Store, export, gap, host, vm};

/// A file that is asked for. Nobody's rights are in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// What kind of file.
    pub format: Format,
    /// Of what.
    pub list: List,
}

/// What can be exported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum List {
    /// Virtual machines.
    Vms(vm::Filter),
    /// Hosts.
    Hosts(host::Filter),
    /// Entries of the loss ledger.
    Gaps(gap::Filter),
    /// Metrics over time.
    History(HistoryQuery),
}

impl List {
    /// Its name in the API and in names of files.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Vms(_) => "vms",
            Self::Hosts(_) => "hosts",
            Self::Gaps(_) => "gaps",
            Self::History(_) => "history",
        }
    }

    /// Opens it for somebody with these rights: rows out of his reach are not there.
    ///
    /// # Errors
    /// [`Error::Forbidden`] when nothing is within his reach, [`Error::NotFound`] and [`Error::UnknownMetric`] for history, or the
    /// database's failures.
    pub async fn open(self, store: &Store, rights: &Effective) -> Result<Source, Error> {
        match self {
            Self::Vms(mut filter) => {
                filter.reach = reach(rights, "vm.read")?;
                Ok(Source::vms(export::vms(store, &filter).await?, store))
            }
            Self::Hosts(mut filter) => {
                filter.reach = reach(rights, "host.read")?;
                filter.vm_reach = reach(rights, "vm.read").unwrap_or(Reach::Nothing);
                Ok(Source::hosts(
                    export::hosts(store, &filter).await?,
                    store,
                    filter.vm_reach,
                ))
            }
            Self::Gaps(mut filter) => {
                filter.reach = reach(rights, "ledger.read")?;
                Ok(Source::gaps(export::gaps(store, &filter).await?))
            }
            Self::History(query) => Source::history(store, query, rights).await,
        }
    }
}

/// What the permission reaches.
pub(crate) fn reach(rights: &Effective, permission: &'static str) -> Result<Reach, Error> {
    Permission::known(permission)
        .map(|known| rights.reach(&known))
        .filter(|reach| !reach.is_nothing())
        .ok_or(Error::Forbidden { permission })
}
