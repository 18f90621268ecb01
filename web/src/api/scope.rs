//! Where rights hold.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use vmscope_model::access;

/// Where rights hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Scope {
    /// Everywhere, or in one group or cluster.
    pub kind: ScopeKind,
    /// The group or cluster; null for everywhere.
    #[schema(required)]
    pub id: Option<Uuid>,
    /// Its name; null for everywhere.
    #[schema(required)]
    pub name: Option<String>,
}

/// Kinds of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ScopeKind {
    /// Everywhere.
    All,
    /// The virtual machines of a group.
    Group,
    /// Everything in a cluster.
    Cluster,
}

impl Scope {
    /// `scope`, whose group or cluster is called `name`.
    pub(crate) fn named(scope: access::Scope, name: Option<String>) -> Self {
        let (kind, id) = match scope {
            access::Scope::All => (ScopeKind::All, None),
            access::Scope::Group(id) => (ScopeKind::Group, Some(id)),
            access::Scope::Cluster(id) => (ScopeKind::Cluster, Some(id)),
        };
        Self {
            kind,
            id,
            name: name.filter(|_| id.is_some()),
        }
    }
}
