//! What a client may watch: checked when it subscribes, and again and again while it watches.

use crate::auth::Caller;
use crate::error::ApiError;
use crate::state::App;
use std::collections::HashMap;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use vmscope_model::access::{Reach, Subject};
use vmscope_model::{HostId, VmId};
use vmscope_store::entity::Reference;
use vmscope_store::subject;

/// How often it is looked whether a client may still watch what it watches.
pub(super) const RECHECK: Duration = Duration::from_secs(5);

/// Who watches, and by what right.
#[derive(Debug)]
pub(crate) struct Watch {
    app: App,
    caller: Caller,
}

impl Watch {
    /// By the rights of `caller`.
    pub(crate) const fn new(app: App, caller: Caller) -> Self {
        Self { app, caller }
    }

    /// Cancelled when the connection has to end.
    pub(super) fn stopping(&self) -> CancellationToken {
        self.app.stopping.clone()
    }

    /// Nothing, if all of these are within reach.
    ///
    /// # Errors
    /// [`ApiError::Parameter`] names the first that is not, or [`ApiError::DatabaseUnavailable`].
    pub(super) async fn admit(&self, entities: &[Reference]) -> Result<(), ApiError> {
        match self.outside(entities).await?.first() {
            None => Ok(()),
            Some(&entity) => {
                let name = crate::api::entity::format(entity);
                Err(ApiError::parameter(
                    "entities",
                    format_args!("there is no {name}"),
                ))
            }
        }
    }

    /// Looks at the caller's rights anew; returns which of these entities are out of his reach now.
    ///
    /// # Errors
    /// [`ApiError::NotLoggedIn`] when his session or token is over, or [`ApiError::DatabaseUnavailable`].
    pub(super) async fn recheck(&mut self, entities: &[Reference]) -> Result<Vec<Reference>, ApiError> {
        self.caller = self.app.auth.again(&self.app.store, &self.caller).await?;
        self.outside(entities).await
    }

    async fn outside(&self, entities: &[Reference]) -> Result<Vec<Reference>, ApiError> {
        let hosts = self.caller.reach_or_nothing("host.read")?;
        let vms = self.caller.reach_or_nothing("vm.read")?;
        if hosts == Reach::Everything && vms == Reach::Everything {
            return Ok(Vec::new());
        }
        let (of_hosts, of_vms) = self.subjects(entities).await?;
        let is_outside = |entity: &&Reference| match entity {
            Reference::Host(id) => !is_within(&hosts, of_hosts.get(id)),
            Reference::Vm(id) => !is_within(&vms, of_vms.get(id)),
            Reference::Device { .. } => true,
        };
        Ok(entities.iter().filter(is_outside).copied().collect())
    }

    async fn subjects(
        &self,
        entities: &[Reference],
    ) -> Result<(HashMap<HostId, Subject>, HashMap<VmId, Subject>), ApiError> {
        let (mut hosts, mut vms) = (Vec::new(), Vec::new());
        for entity in entities {
            match entity {
                Reference::Host(id) => hosts.push(*id),
                Reference::Vm(id) => vms.push(*id),
                Reference::Device { .. } => {}
            }
        }
        let store = &self.app.store;
        Ok((
            subject::of_hosts(store, &hosts).await?,
            subject::of_vms(store, &vms).await?,
        ))
    }
}

/// What is not known yet is within everything, and within nothing smaller.
fn is_within(reach: &Reach, subject: Option<&Subject>) -> bool {
    *reach == Reach::Everything || subject.is_some_and(|subject| reach.includes(subject))
}
