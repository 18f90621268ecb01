//! Who may do what: what follows from roles and grants, and that nobody comes by more than he should.

mod effective;
mod guard;

use proptest::prelude::*;
use proptest::sample::select;
use uuid::Uuid;
use vmscope_model::access::{
    Effect, Effective, Entry, Grant, Permission, Role, Roles, Scope, Subject, permissions,
};

pub(super) const ROLES: u128 = 5;
pub(super) const GROUPS: u128 = 3;

pub(super) fn role_id(number: u128) -> Uuid {
    Uuid::from_u128(0x100 + number)
}

pub(super) fn group_id(number: u128) -> Uuid {
    Uuid::from_u128(0x200 + number)
}

pub(super) fn permission(name: &str) -> Permission {
    name.parse().unwrap()
}

/// Permissions without parts, and a part that each of the others may get one day.
pub(super) fn atoms() -> Vec<Permission> {
    let name = |node: &vmscope_model::access::Node| match node.name {
        "*" => "future".to_owned(),
        name if node.is_inner() => format!("{name}.future"),
        name => name.to_owned(),
    };
    permissions().iter().map(|node| permission(&name(node))).collect()
}

/// Each thing that can be told apart by its groups.
pub(super) fn subjects() -> Vec<Subject> {
    let within = |set: u32| Subject::within((0..GROUPS).filter(|group| set >> group & 1 == 1).map(group_id));
    (0..1 << GROUPS).map(within).collect()
}

pub(super) fn entry() -> impl Strategy<Value = Entry> {
    let names = [
        "*",
        "*",
        "vm",
        "vm.read",
        "host",
        "host.read",
        "group.write",
        "user",
        "user.read",
    ];
    let effects = [Effect::Allow, Effect::Allow, Effect::Deny];
    (select(names.to_vec()), select(effects.to_vec())).prop_map(|(name, effect)| Entry {
        permission: permission(name),
        effect,
    })
}

/// A role whose parents are any roles: itself, ones that do not exist, in circles.
pub(super) fn role(number: u128) -> impl Strategy<Value = Role> {
    let entries = proptest::collection::vec(entry(), 0..4);
    let parents = proptest::collection::vec((0..=ROLES).prop_map(role_id), 0..3);
    (entries, parents).prop_map(move |(entries, parents)| Role {
        id: role_id(number),
        name: format!("role-{number}"),
        entries,
        parents,
    })
}

pub(super) fn roles() -> impl Strategy<Value = Roles> {
    (role(0), role(1), role(2), role(3), role(4)).prop_map(|(a, b, c, d, e)| Roles::new([a, b, c, d, e]))
}

pub(super) fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![
        Just(Scope::All),
        (0..GROUPS).prop_map(|group| Scope::Group(group_id(group)))
    ]
}

pub(super) fn grants() -> impl Strategy<Value = Vec<Grant>> {
    let grant = (any::<u128>(), 0..=ROLES, scope()).prop_map(|(id, role, scope)| Grant {
        id: Uuid::from_u128(id),
        role: role_id(role),
        scope,
    });
    proptest::collection::vec(grant, 0..4)
}

/// What somebody may do afterwards and not before.
pub(super) fn gains(before: &Effective, after: &Effective) -> Vec<(Permission, Subject)> {
    let mut gains = Vec::new();
    for atom in atoms() {
        for subject in subjects() {
            if after.allows(&atom, &subject) && !before.allows(&atom, &subject) {
                gains.push((atom.clone(), subject));
            }
        }
    }
    gains
}
