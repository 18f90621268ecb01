//! What people may do, as the API says it: scopes, rules and decisions.

use crate::api::scope::{Scope, ScopeKind};
use crate::error::{ApiError, Fault};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use utoipa::ToSchema;
use uuid::Uuid;
use vmscope_model::access::{self, Effect as Ruling};
use vmscope_store::{Store, group};

/// Whether a rule allows or denies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// It allows.
    Allow,
    /// It denies, and wins over what allows.
    Deny,
}

impl From<Ruling> for Effect {
    fn from(effect: Ruling) -> Self {
        match effect {
            Ruling::Allow => Self::Allow,
            Ruling::Deny => Self::Deny,
        }
    }
}

impl From<Effect> for Ruling {
    fn from(effect: Effect) -> Self {
        match effect {
            Effect::Allow => Self::Allow,
            Effect::Deny => Self::Deny,
        }
    }
}

/// A rule: an entry of a role that a grant gives, itself or by inheritance.
#[derive(Debug, Serialize, ToSchema)]
pub struct Reason {
    /// Id of the grant.
    pub grant: String,
    /// Names of roles, from the granted one to the one whose entry it is.
    pub path: Vec<String>,
    /// What it allows or denies.
    #[schema(example = "vm.read")]
    pub permission: String,
    /// Where.
    pub scope: Scope,
    /// Whether it allows or denies.
    pub effect: Effect,
}

/// Whether something is allowed, and why.
#[derive(Debug, Serialize, ToSchema)]
pub struct Decision {
    /// It is.
    pub allowed: bool,
    /// The rules that concern it, those that deny first; none when nothing gives it.
    pub reasons: Vec<Reason>,
}

/// The names of groups, for scopes.
#[derive(Debug, Default)]
pub(crate) struct ScopeNames(HashMap<Uuid, String>);

impl ScopeNames {
    /// Looks up the names of all groups among `scopes`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn of(
        store: &Store,
        scopes: impl IntoIterator<Item = access::Scope>,
    ) -> Result<Self, ApiError> {
        let groups: BTreeSet<Uuid> = scopes
            .into_iter()
            .filter_map(|scope| match scope {
                access::Scope::Group(id) => Some(id),
                access::Scope::All | access::Scope::Cluster(_) => None,
            })
            .collect();
        if groups.is_empty() {
            return Ok(Self::default());
        }
        let groups: Vec<Uuid> = groups.into_iter().collect();
        Ok(Self(group::names(store, &groups).await?.into_iter().collect()))
    }

    /// A scope with its name.
    pub(crate) fn scope(&self, scope: access::Scope) -> Scope {
        let name = match scope {
            access::Scope::Group(id) => self.0.get(&id).cloned(),
            access::Scope::All | access::Scope::Cluster(_) => None,
        };
        Scope::named(scope, name)
    }

    /// A rule with its scope's name.
    pub(crate) fn reason(&self, reason: &access::Reason) -> Reason {
        Reason {
            grant: reason.grant.to_string(),
            path: reason.path.clone(),
            permission: reason.entry.permission.to_string(),
            scope: self.scope(reason.scope),
            effect: reason.entry.effect.into(),
        }
    }

    /// Rules with their scopes' names.
    pub(crate) fn reasons(&self, reasons: &[access::Reason]) -> Vec<Reason> {
        reasons.iter().map(|reason| self.reason(reason)).collect()
    }
}

/// The scope that a body names.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScopeChoice {
    /// Of what it is.
    kind: ScopeKind,
    /// The group or cluster; left out for everything.
    #[schema(format = "uuid")]
    id: Option<Uuid>,
}

impl ScopeChoice {
    /// The scope.
    ///
    /// # Errors
    /// A kind that needs an id has none, or the other way round.
    pub(crate) fn scope(&self) -> Result<access::Scope, ApiError> {
        match (self.kind, self.id) {
            (ScopeKind::All, None) => Ok(access::Scope::All),
            (ScopeKind::All, Some(_)) => Err(ApiError::field("scope.id", Fault::Unknown)),
            (_, None) => Err(ApiError::field("scope.id", Fault::Missing)),
            (ScopeKind::Group, Some(id)) => Ok(access::Scope::Group(id)),
            (ScopeKind::Cluster, Some(id)) => Ok(access::Scope::Cluster(id)),
        }
    }
}
