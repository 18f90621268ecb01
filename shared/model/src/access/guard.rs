//! Nobody gives what he does not hold.
//!
//! What a permission is made of are **atoms**: the permissions of this build without parts, and, for each with parts, the
//! parts that later versions may add. Who gives something must hold each of its atoms in the whole scope: allowed there, and
//! denied nowhere that could overlap (a virtual machine may be in any two groups). That refuses a little too much and
//! never too little.

use super::{Effect, Effective, Permission, Roles, Scope, Subject, permissions};
use std::collections::BTreeSet;
use uuid::Uuid;

/// The name of a permission without parts, or of one with parts: then it stands for the parts that it may get.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Atom(&'static str);

impl Atom {
    fn all() -> impl Iterator<Item = Self> {
        permissions().iter().map(|node| Self(node.name))
    }

    fn is_covered_by(&self, permission: &Permission) -> bool {
        permission.covers_name(self.0)
    }

    /// What people are told that they lack.
    fn name(&self) -> Option<Permission> {
        Permission::known(self.0)
    }
}

impl Effective {
    /// The first permission that `other` has somewhere and the holder of this one may not give there.
    pub fn lacks(&self, other: &Self) -> Option<Permission> {
        let given = other.rules.iter().filter(|rule| rule.allows());
        let missing = given.filter_map(|rule| {
            Atom::all().find(|atom| {
                atom.is_covered_by(&rule.entry.permission)
                    && !other.is_denied_throughout(atom, rule.scope)
                    && !self.holds(atom, rule.scope)
            })
        });
        missing.min().and_then(|atom| atom.name())
    }

    /// The first permission that a rule of `other` denies and the holder of this one does not hold there: he may not lift it.
    pub fn lacks_denied(&self, other: &Self) -> Option<Permission> {
        let denials = other.rules.iter().filter(|rule| !rule.allows());
        let missing = denials.filter_map(|rule| {
            Atom::all()
                .find(|atom| atom.is_covered_by(&rule.entry.permission) && !self.holds(atom, rule.scope))
        });
        missing.min().and_then(|atom| atom.name())
    }

    /// The first permission that rules of `other` with this effect are about and that this one does not have for `subject`.
    pub fn lacks_for(&self, other: &Self, effect: Effect, subject: &Subject) -> Option<Permission> {
        let rules = other.rules.iter().filter(|rule| rule.entry.effect == effect);
        let missing = rules.filter_map(|rule| {
            Atom::all().find(|atom| atom.is_covered_by(&rule.entry.permission) && !self.has(atom, subject))
        });
        missing.min().and_then(|atom| atom.name())
    }

    /// The first permission that some role gives after a change and not before, or denies before and not after, and that the
    /// holder of this one may not give everywhere.
    pub fn lacks_change(&self, before: &Roles, after: &Roles) -> Option<Permission> {
        let mut missing: BTreeSet<Atom> = BTreeSet::new();
        for role in after.iter() {
            let (old, new) = (Power::of(role.id, before), Power::of(role.id, after));
            let gained = new.gives.difference(&old.gives);
            let lifted = old.denies.difference(&new.denies);
            missing.extend(
                gained
                    .chain(lifted)
                    .filter(|atom| !self.holds(atom, Scope::All))
                    .cloned(),
            );
        }
        missing.first().and_then(Atom::name)
    }

    /// Allowed in all of `scope`, and denied nowhere that could overlap.
    fn holds(&self, atom: &Atom, scope: Scope) -> bool {
        let about = || {
            self.rules
                .iter()
                .filter(|rule| atom.is_covered_by(&rule.entry.permission))
        };
        self.limit_covers(atom)
            && about().any(|rule| rule.allows() && rule.scope.contains(scope))
            && about().all(super::Reason::allows)
    }

    /// Allowed for `subject`.
    fn has(&self, atom: &Atom, subject: &Subject) -> bool {
        let about = || {
            self.rules
                .iter()
                .filter(|rule| rule.scope.includes(subject) && atom.is_covered_by(&rule.entry.permission))
        };
        self.limit_covers(atom) && about().next().is_some() && about().all(super::Reason::allows)
    }

    fn limit_covers(&self, atom: &Atom) -> bool {
        let covers = |limit: &Vec<Permission>| limit.iter().any(|permission| atom.is_covered_by(permission));
        self.limit.as_ref().is_none_or(covers)
    }

    fn is_denied_throughout(&self, atom: &Atom, scope: Scope) -> bool {
        let denies = |rule: &super::Reason| {
            !rule.allows() && rule.scope.contains(scope) && atom.is_covered_by(&rule.entry.permission)
        };
        self.rules.iter().any(denies)
    }
}

/// What a role comes to.
struct Power {
    gives: BTreeSet<Atom>,
    denies: BTreeSet<Atom>,
}

impl Power {
    fn of(role: Uuid, roles: &Roles) -> Self {
        let lineage = roles.lineage(role);
        let entries = || lineage.iter().flat_map(|(_, role)| &role.entries);
        let covered = |effect: Effect| -> BTreeSet<Atom> {
            let says = |atom: &Atom| {
                entries().any(|entry| entry.effect == effect && atom.is_covered_by(&entry.permission))
            };
            Atom::all().filter(says).collect()
        };
        let denies = covered(Effect::Deny);
        let gives = covered(Effect::Allow).difference(&denies).cloned().collect();
        Self { gives, denies }
    }
}
