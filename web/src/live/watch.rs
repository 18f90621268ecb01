//! What a client may watch: checked when it subscribes, and again and again while it watches.

use super::topic::Topic;
use crate::auth::Caller;
use crate::error::ApiError;
use crate::state::App;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use vmscope_model::access::{Reach, Subject};
use vmscope_model::{HostId, VmId};
use vmscope_store::entity::Reference;
use vmscope_store::{Store, subject};

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

    /// Who watches.
    pub(super) fn user(&self) -> Uuid {
        self.caller.user()
    }

    /// History.
    pub(super) const fn store(&self) -> &Store {
        &self.app.store
    }

    /// Nothing, if all of these are within reach.
    ///
    /// # Errors
    /// [`ApiError::Parameter`] names the first that is not, or [`ApiError::DatabaseUnavailable`].
    pub(super) async fn admit(&self, topics: &[Topic]) -> Result<(), ApiError> {
        match self.outside(topics).await?.first() {
            None => Ok(()),
            Some(topic) => {
                let name = topic.format();
                Err(ApiError::parameter(
                    "entities",
                    format_args!("there is no {name}"),
                ))
            }
        }
    }

    /// Looks at the caller's rights anew.
    ///
    /// # Errors
    /// [`ApiError::NotLoggedIn`] when his session or token is over, or [`ApiError::DatabaseUnavailable`].
    pub(super) async fn renew(&mut self) -> Result<(), ApiError> {
        self.caller = self.app.auth.again(&self.app.store, &self.caller).await?;
        Ok(())
    }

    /// Which of these are out of the caller's reach.
    ///
    /// # Errors
    /// [`ApiError::DatabaseUnavailable`].
    pub(super) async fn outside(&self, topics: &[Topic]) -> Result<Vec<Topic>, ApiError> {
        let entities: Vec<Reference> = topics.iter().filter_map(|topic| topic.entity()).collect();
        let hidden = self.hidden(&entities).await?;
        let ids: Vec<Uuid> = topics.iter().filter_map(|topic| topic.group()).collect();
        let groups = self.app.hub.groups.members(&self.app.store, &ids).await?;
        let within = self.caller.reach_or_nothing("group.read")?;
        let is_outside = |topic: &&Topic| match topic {
            Topic::Entity(entity) => hidden.contains(entity),
            Topic::Group(id) => !groups.contains_key(id) || !within.includes(&Subject::within([*id])),
        };
        Ok(topics.iter().filter(is_outside).copied().collect())
    }

    /// The virtual machines of these groups that are within the caller's reach, each group's sorted.
    ///
    /// # Errors
    /// [`ApiError::DatabaseUnavailable`].
    pub(super) async fn members(&self, groups: &[Uuid]) -> Result<BTreeMap<Uuid, Vec<Reference>>, ApiError> {
        let known = self.app.hub.groups.members(&self.app.store, groups).await?;
        let all: HashSet<Reference> = known
            .values()
            .flat_map(|members| members.iter().copied().map(Reference::Vm))
            .collect();
        let all: Vec<Reference> = all.into_iter().collect();
        let hidden = self.hidden(&all).await?;
        let visible = |members: &[VmId]| {
            let members = members.iter().copied().map(Reference::Vm);
            members.filter(|member| !hidden.contains(member)).collect()
        };
        Ok(known
            .iter()
            .map(|(group, members)| (*group, visible(members)))
            .collect())
    }

    /// Which of these hosts and virtual machines are out of reach.
    async fn hidden(&self, entities: &[Reference]) -> Result<HashSet<Reference>, ApiError> {
        let hosts = self.caller.reach_or_nothing("host.read")?;
        let vms = self.caller.reach_or_nothing("vm.read")?;
        if entities.is_empty() || (hosts == Reach::Everything && vms == Reach::Everything) {
            return Ok(HashSet::new());
        }
        let (of_hosts, of_vms) = self.subjects(entities).await?;
        let is_hidden = |entity: &&Reference| match entity {
            Reference::Host(id) => !is_within(&hosts, of_hosts.get(id)),
            Reference::Vm(id) => !is_within(&vms, of_vms.get(id)),
            Reference::Device { .. } => true,
        };
        Ok(entities.iter().filter(is_hidden).copied().collect())
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
