//! What follows from roles and grants, against a plain restatement of the rules.

use super::{ROLES, atoms, entry, gains, grants, permission, role, role_id, roles, scope, subjects};
use proptest::prelude::*;
use std::collections::{BTreeSet, HashSet};
use uuid::Uuid;
use vmscope_model::access::{
    Effect, Effective, Entry, Grant, Permission, Role, Roles, Scope, Subject, permissions,
};

/// The roles that one has, found by adding parents until there are no more.
fn closure(roles: &Roles, id: Uuid) -> HashSet<Uuid> {
    let mut found = HashSet::from([id]);
    loop {
        let known = found.iter().filter_map(|id| roles.get(*id));
        let parents: HashSet<Uuid> = known.flat_map(|role| role.parents.clone()).collect();
        let before = found.len();
        found.extend(parents);
        if found.len() == before {
            return found.into_iter().filter(|id| roles.get(*id).is_some()).collect();
        }
    }
}

/// The rules once more, in other words, for a permission without parts.
fn expected(roles: &Roles, grants: &[Grant], atom: &Permission, subject: &Subject) -> bool {
    let kind = atom.as_str().split('.').next().unwrap();
    let of_single_things =
        ["host", "vm", "group", "ledger", "future"].contains(&kind) || atom.as_str() == "export.create";
    let holds = |scope: Scope| match scope {
        Scope::All => true,
        Scope::Group(group) => of_single_things && subject.groups.contains(&group),
        Scope::Cluster(_) => false,
    };
    let about = |entry: &&Entry| {
        let name = entry.permission.as_str();
        name == "*" || name == atom.as_str() || atom.as_str().starts_with(&format!("{name}."))
    };
    let effects: BTreeSet<Effect> = grants
        .iter()
        .filter(|grant| holds(grant.scope))
        .flat_map(|grant| closure(roles, grant.role))
        .flat_map(|id| roles.get(id).unwrap().entries.iter().filter(about))
        .map(|entry| entry.effect)
        .collect();
    effects == BTreeSet::from([Effect::Allow])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_allowed_follows_from_the_rules(roles in roles(), grants in grants()) {
        let rights = Effective::of(&grants, &roles);
        for atom in atoms() {
            for subject in subjects() {
                let allowed = expected(&roles, &grants, &atom, &subject);
                prop_assert_eq!(rights.allows(&atom, &subject), allowed, "{} {:?}", atom, subject);
                let decision = rights.decide(&atom, &subject);
                prop_assert_eq!(decision.allowed, allowed);
                let denied = decision.reasons.first().is_some_and(|reason| !reason.allows());
                prop_assert_eq!(allowed, !denied && !decision.reasons.is_empty());
            }
        }
    }

    #[test]
    fn all_of_a_permission_is_all_of_its_parts(roles in roles(), grants in grants()) {
        let rights = Effective::of(&grants, &roles);
        for node in permissions().iter().filter(|node| node.is_inner()) {
            let whole = permission(node.name);
            for subject in subjects() {
                let mut parts = atoms().into_iter().filter(|atom| whole.covers(atom));
                let all = parts.all(|atom| rights.allows(&atom, &subject));
                prop_assert!(all || !rights.allows(&whole, &subject), "{}", whole);
            }
        }
    }

    #[test]
    fn a_list_shows_just_what_is_allowed_one_by_one(roles in roles(), grants in grants()) {
        let rights = Effective::of(&grants, &roles);
        for atom in atoms() {
            let reach = rights.reach(&atom);
            for subject in subjects() {
                prop_assert_eq!(reach.includes(&subject), rights.allows(&atom, &subject), "{} {:?}", atom, reach);
            }
        }
    }

    #[test]
    fn one_more_denial_gives_nothing(roles in roles(), grants in grants(), entry in entry(), scope in scope()) {
        let before = Effective::of(&grants, &roles);
        let (mut roles, mut grants) = (roles, grants);
        let entries = vec![Entry { effect: Effect::Deny, ..entry }];
        roles.insert(Role { id: role_id(99), name: "no".to_owned(), entries, parents: Vec::new() });
        grants.push(Grant { id: Uuid::nil(), role: role_id(99), scope });
        prop_assert_eq!(gains(&before, &Effective::of(&grants, &roles)), []);
    }

    #[test]
    fn a_token_gives_no_more_than_its_owner_has_and_no_more_than_it_names(
        roles in roles(), grants in grants(), names in proptest::collection::vec(entry(), 0..3),
    ) {
        let rights = Effective::of(&grants, &roles);
        let limit: Vec<Permission> = names.into_iter().map(|entry| entry.permission).collect();
        let limited = rights.clone().limited_to(limit.clone());
        prop_assert_eq!(rights.lacks(&limited), rights.lacks(&rights));
        for atom in atoms() {
            let named = limit.iter().any(|limit| limit.covers(&atom));
            for subject in subjects() {
                prop_assert_eq!(limited.allows(&atom, &subject), named && rights.allows(&atom, &subject));
                prop_assert_eq!(limited.reach(&atom).includes(&subject), limited.allows(&atom, &subject));
            }
        }
    }

    #[test]
    fn a_role_has_each_role_above_it_once_whatever_the_circles(roles in roles(), number in 0..ROLES) {
        let lineage = roles.lineage(role_id(number));
        let ids: Vec<Uuid> = lineage.iter().map(|(_, role)| role.id).collect();
        let set: HashSet<Uuid> = ids.iter().copied().collect();
        prop_assert_eq!(ids.len(), set.len());
        prop_assert_eq!(set, closure(&roles, role_id(number)));
        for (path, role) in lineage {
            prop_assert_eq!(path.first().cloned(), Some(format!("role-{number}")));
            prop_assert_eq!(path.last(), Some(&role.name));
        }
    }

    #[test]
    fn a_circle_is_refused_and_nothing_else(
        roles in roles(), number in 0..ROLES, parents in proptest::collection::vec(0..ROLES, 0..3),
    ) {
        let (id, parents) = (role_id(number), parents.into_iter().map(role_id).collect::<Vec<_>>());
        let turns = parents.iter().any(|parent| closure(&roles, *parent).contains(&id));
        prop_assert_eq!(roles.cycle(id, &parents), turns);
    }

    #[test]
    fn roles_that_were_checked_one_by_one_have_no_circle(wanted in proptest::collection::vec(role(0), 0..12), ids in proptest::collection::vec(0..ROLES, 12)) {
        let mut roles = Roles::default();
        for (role, number) in wanted.into_iter().zip(ids) {
            let role = Role { id: role_id(number), ..role };
            let known = role.parents.iter().all(|parent| roles.get(*parent).is_some());
            if known && !roles.cycle(role.id, &role.parents) {
                roles.insert(role);
            }
        }
        for role in roles.iter() {
            let above = role.parents.iter().flat_map(|parent| closure(&roles, *parent));
            prop_assert!(above.into_iter().all(|id| id != role.id));
        }
    }

    #[test]
    fn without_conflicts_denials_change_nothing(roles in roles(), grants in grants()) {
        let rights = Effective::of(&grants, &roles);
        if !rights.conflicts().is_empty() {
            return Ok(());
        }
        let allowing = roles.iter().cloned().map(|mut role| {
            role.entries.retain(|entry| entry.effect == Effect::Allow);
            role
        });
        let allowing = Effective::of(&grants, &Roles::new(allowing));
        prop_assert_eq!(gains(&rights, &allowing), []);
    }

    #[test]
    fn what_is_held_in_a_scope_is_allowed_for_what_is_in_it_alone(roles in roles(), grants in grants()) {
        let rights = Effective::of(&grants, &roles);
        for held in rights.held() {
            let subject = match held.scope {
                Scope::Group(group) => Subject::within([group]),
                Scope::All | Scope::Cluster(_) => Subject::installation(),
            };
            prop_assert!(rights.allows(&held.permission, &subject), "{:?}", held);
        }
    }
}

#[test]
fn names_of_permissions_are_words_with_dots() {
    for name in ["*", "vm", "vm.read", "a.b.c", "some_thing"] {
        assert_eq!(permission(name).as_str(), name);
    }
    let long = "x".repeat(65);
    for name in [
        "",
        ".",
        "vm.",
        ".vm",
        "vm..read",
        "VM",
        "vm.*",
        "vm read",
        "vm1",
        "*.*",
        long.as_str(),
    ] {
        assert!(name.parse::<Permission>().is_err(), "{name}");
    }
    assert!(permission("vm").covers(&permission("vm.read")));
    assert!(!permission("vm").covers(&permission("vmware")));
    assert!(!permission("vm.read").covers(&permission("vm")));
}

#[test]
fn each_permission_follows_the_one_above_it_and_is_explained_in_each_language() {
    let mut seen = HashSet::new();
    for node in permissions() {
        assert!(
            node.parent().is_none_or(|parent| seen.contains(parent)),
            "{}",
            node.name
        );
        assert!(seen.insert(node.name));
        assert!(permission(node.name).is_known());
        let help = node.help;
        assert!(
            [help.en, help.zh, help.ja].iter().all(|text| !text.is_empty()),
            "{}",
            node.name
        );
    }
}
