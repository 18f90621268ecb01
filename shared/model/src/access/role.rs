//! Roles and inheritance among them.

use super::Permission;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet, VecDeque};
use uuid::Uuid;

/// What an entry does with its permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Gives it.
    Allow,
    /// Takes it away, whatever else gives it.
    Deny,
}

impl Effect {
    /// Its name in the API and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// A line of a role.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Entry {
    /// Which permission.
    pub permission: Permission,
    /// Allowed or denied.
    pub effect: Effect,
}

/// A role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its id.
    pub id: Uuid,
    /// Its name, for reasons.
    pub name: String,
    /// What it allows and denies itself.
    pub entries: Vec<Entry>,
    /// The roles whose entries it has besides.
    pub parents: Vec<Uuid>,
}

/// Roles that may refer to each other. A parent that is missing gives nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roles(HashMap<Uuid, Role>);

impl Roles {
    /// These roles.
    pub fn new(roles: impl IntoIterator<Item = Role>) -> Self {
        Self(roles.into_iter().map(|role| (role.id, role)).collect())
    }

    /// The role with this id.
    pub fn get(&self, id: Uuid) -> Option<&Role> {
        self.0.get(&id)
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Role> {
        self.0.values()
    }

    /// Puts a role in, or in the place of the one with its id.
    pub fn insert(&mut self, role: Role) {
        self.0.insert(role.id, role);
    }

    /// Each role that `id` has the entries of, itself first, once, with the names on a shortest way to it.
    pub fn lineage(&self, id: Uuid) -> Vec<(Vec<String>, &Role)> {
        let mut seen = HashSet::from([id]);
        let mut ahead: VecDeque<(Vec<String>, &Role)> = VecDeque::new();
        let mut lineage = Vec::new();
        ahead.extend(self.get(id).map(|role| (vec![role.name.clone()], role)));
        while let Some((path, role)) = ahead.pop_front() {
            for parent in role.parents.iter().filter_map(|parent| self.get(*parent)) {
                if seen.insert(parent.id) {
                    let further = path.iter().chain([&parent.name]).cloned().collect();
                    ahead.push_back((further, parent));
                }
            }
            lineage.push((path, role));
        }
        lineage
    }

    /// Whether `id`, with these parents, would inherit from itself.
    pub fn cycle(&self, id: Uuid, parents: &[Uuid]) -> bool {
        let reaches = |parent: &Uuid| self.lineage(*parent).iter().any(|(_, role)| role.id == id);
        parents.iter().any(|parent| *parent == id || reaches(parent))
    }
}
