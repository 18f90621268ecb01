//! What follows from a person's grants.

use super::{Effect, Entry, Permission, Reach, Roles, Scope, Subject, permissions};
use std::collections::BTreeSet;
use uuid::Uuid;

/// A role that a person has, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Grant {
    /// Its id.
    pub id: Uuid,
    /// Which role.
    pub role: Uuid,
    /// Where.
    pub scope: Scope,
}

/// A rule: an entry of a role that a grant gives, itself or by inheritance.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reason {
    /// The grant.
    pub grant: Uuid,
    /// Names of roles, from the granted one to the one whose entry it is.
    pub path: Vec<String>,
    /// What is allowed or denied.
    pub entry: Entry,
    /// Where.
    pub scope: Scope,
}

/// Whether something is allowed, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// It is.
    pub allowed: bool,
    /// The rules that concern it, those that deny first. None: nothing gives it.
    pub reasons: Vec<Reason>,
    /// A token that does not have the permission is why it is not allowed.
    pub limited: bool,
}

/// A permission that a person has somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Which.
    pub permission: Permission,
    /// Where.
    pub scope: Scope,
    /// The rules that give it there.
    pub reasons: Vec<Reason>,
}

/// Two rules that say different things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// What both are about: the narrower of their permissions.
    pub permission: Permission,
    /// The rule that has no effect where the other one holds.
    pub allow: Reason,
    /// The rule that wins.
    pub deny: Reason,
    /// Both hold in the narrower of their scopes; otherwise only for what is in both.
    pub certain: bool,
}

/// All rules of a person, cut down to what a token may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effective {
    pub(super) rules: Vec<Reason>,
    pub(super) limit: Option<Vec<Permission>>,
}

impl Effective {
    /// What follows from these grants. A grant of a role that is missing gives nothing.
    pub fn of(grants: &[Grant], roles: &Roles) -> Self {
        let mut all = Vec::new();
        for grant in grants {
            for (path, role) in roles.lineage(grant.role) {
                all.extend(role.entries.iter().map(|entry| Reason {
                    grant: grant.id,
                    path: path.clone(),
                    entry: entry.clone(),
                    scope: grant.scope,
                }));
            }
        }
        Self {
            rules: all,
            limit: None,
        }
    }

    /// The same, but no more than these permissions.
    #[must_use]
    pub fn limited_to(self, permissions: Vec<Permission>) -> Self {
        Self {
            limit: Some(permissions),
            ..self
        }
    }

    /// What they are cut down to, if they are.
    pub fn limit(&self) -> Option<&[Permission]> {
        self.limit.as_deref()
    }

    /// Every rule.
    pub fn rules(&self) -> &[Reason] {
        &self.rules
    }

    /// Whether the permission, all of it, is there for the subject, and why. Costs as much as there are rules.
    pub fn decide(&self, permission: &Permission, subject: &Subject) -> Decision {
        let concerns = |rule: &&Reason| rule.concerns(permission) && rule.scope.includes(subject);
        let mut reasons: Vec<Reason> = self.rules.iter().filter(concerns).cloned().collect();
        reasons.sort_by_key(|rule| rule.entry.effect == Effect::Allow);
        let given = reasons.first().is_some_and(Reason::allows);
        let limited = given && !self.is_within_limit(permission);
        Decision {
            allowed: given && !limited,
            reasons,
            limited,
        }
    }

    /// Whether the permission, all of it, is there for the subject: [`Effective::decide`] without reasons.
    pub fn allows(&self, permission: &Permission, subject: &Subject) -> bool {
        let mut given = false;
        for rule in &self.rules {
            if rule.concerns(permission) && rule.scope.includes(subject) {
                if !rule.allows() {
                    return false;
                }
                given = true;
            }
        }
        given && self.is_within_limit(permission)
    }

    /// The things for which the permission, all of it, is there. Of clusters there are none yet.
    pub fn reach(&self, permission: &Permission) -> Reach {
        let (mut allowed, mut denied) = (BTreeSet::new(), BTreeSet::new());
        let mut everywhere = false;
        for rule in self.rules.iter().filter(|rule| rule.concerns(permission)) {
            match (rule.entry.effect, rule.scope) {
                (Effect::Deny, Scope::All) => return Reach::Nothing,
                (Effect::Allow, Scope::All) => everywhere = true,
                (Effect::Allow, Scope::Group(group)) => _ = allowed.insert(group),
                (Effect::Deny, Scope::Group(group)) => _ = denied.insert(group),
                (_, Scope::Cluster(_)) => {}
            }
        }
        allowed.retain(|group| !denied.contains(group));
        let denied: Vec<Uuid> = denied.into_iter().collect();
        match () {
            () if !self.is_within_limit(permission) => Reach::Nothing,
            () if everywhere && denied.is_empty() => Reach::Everything,
            () if everywhere => Reach::Except { denied },
            () if allowed.is_empty() => Reach::Nothing,
            () => Reach::Groups {
                allowed: allowed.into_iter().collect(),
                denied,
            },
        }
    }

    /// The permissions of this build that are there, with their scopes, in the order of the catalogue.
    ///
    /// What another group's rules deny is not taken off: a thing in both groups is not allowed all the same.
    pub fn held(&self) -> Vec<Held> {
        let scopes: BTreeSet<Scope> = self.rules.iter().map(|rule| rule.scope).collect();
        let mut held = Vec::new();
        for node in permissions() {
            let Some(permission) = Permission::known(node.name) else {
                continue;
            };
            for scope in &scopes {
                held.extend(self.held_in(&permission, *scope));
            }
        }
        held
    }

    fn held_in(&self, permission: &Permission, scope: Scope) -> Option<Held> {
        let concerning = |rule: &&Reason| rule.concerns(permission);
        let (allow, deny): (Vec<&Reason>, Vec<&Reason>) = self
            .rules
            .iter()
            .filter(concerning)
            .partition(|rule| rule.allows());
        let reasons: Vec<Reason> = allow
            .into_iter()
            .filter(|rule| rule.scope == scope)
            .cloned()
            .collect();
        let denied = deny.iter().any(|rule| rule.scope.contains(scope));
        (!reasons.is_empty() && !denied && self.is_within_limit(permission)).then(|| Held {
            permission: permission.clone(),
            scope,
            reasons,
        })
    }

    /// Pairs of rules that say different things about the same permission, where both may hold.
    pub fn conflicts(&self) -> Vec<Conflict> {
        let (allow, deny): (Vec<&Reason>, Vec<&Reason>) = self.rules.iter().partition(|rule| rule.allows());
        let mut conflicts = Vec::new();
        for allow in allow {
            for deny in &deny {
                let (given, taken) = (&allow.entry.permission, &deny.entry.permission);
                if !given.overlaps(taken) {
                    continue;
                }
                conflicts.push(Conflict {
                    permission: if given.covers(taken) { taken } else { given }.clone(),
                    allow: allow.clone(),
                    deny: (*deny).clone(),
                    certain: allow.scope.meets(deny.scope),
                });
            }
        }
        conflicts
    }

    pub(super) fn is_within_limit(&self, permission: &Permission) -> bool {
        let covers = |limit: &Vec<Permission>| limit.iter().any(|limit| limit.covers(permission));
        self.limit.as_ref().is_none_or(covers)
    }
}

impl Reason {
    /// Whether it allows.
    pub fn allows(&self) -> bool {
        self.entry.effect == Effect::Allow
    }

    /// Whether it says something about all of `permission`, or denies a part of it. What is not of single things is given and
    /// taken away as a whole only; what has parts of both sorts (`*`) is had for a group by nobody, and denied there by what denies
    /// a part.
    fn concerns(&self, permission: &Permission) -> bool {
        let entry = &self.entry.permission;
        if self.allows() {
            return entry.covers(permission) && (self.scope == Scope::All || permission.is_scoped());
        }
        let denied = match entry.covers(permission) {
            true => permission,
            false if permission.covers(entry) => entry,
            false => return false,
        };
        self.scope == Scope::All || denied.has_scoped_part()
    }
}
