//! What follows from roles and grants, against a plain restatement of the rules.

use proptest::prelude::*;
use proptest::sample::select;
use std::collections::{BTreeSet, HashSet};
use uuid::Uuid;
use vmscope_model::access::{
    Effect, Effective, Entry, Grant, Permission, Role, Roles, Scope, Subject, permissions,
};

const ROLES: u128 = 5;
const GROUPS: u128 = 3;

fn role_id(number: u128) -> Uuid {
    Uuid::from_u128(0x100 + number)
}

fn group_id(number: u128) -> Uuid {
    Uuid::from_u128(0x200 + number)
}

fn permission(name: &str) -> Permission {
    name.parse().unwrap()
}

/// Permissions without parts, and a part that each of the others may get one day.
fn atoms() -> Vec<Permission> {
    let name = |node: &vmscope_model::access::Node| match node.name {
        "*" => "future".to_owned(),
        name if node.is_inner() => format!("{name}.future"),
        name => name.to_owned(),
    };
    permissions().iter().map(|node| permission(&name(node))).collect()
}

/// Each thing that can be told apart by its groups.
fn subjects() -> Vec<Subject> {
    let within = |set: u32| Subject::within((0..GROUPS).filter(|group| set >> group & 1 == 1).map(group_id));
    (0..1 << GROUPS).map(within).collect()
}

fn entry() -> impl Strategy<Value = Entry> {
    let names = [
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
    (select(&names[..]), select(&effects[..])).prop_map(|(name, effect)| Entry {
        permission: permission(name),
        effect,
    })
}

/// A role whose parents are any roles: itself, ones that do not exist, in circles.
fn role(number: u128) -> impl Strategy<Value = Role> {
    let entries = proptest::collection::vec(entry(), 0..4);
    let parents = proptest::collection::vec((0..=ROLES).prop_map(role_id), 0..3);
    (entries, parents).prop_map(move |(entries, parents)| Role {
        id: role_id(number),
        name: format!("role-{number}"),
        entries,
        parents,
    })
}

fn roles() -> impl Strategy<Value = Roles> {
    (role(0), role(1), role(2), role(3), role(4)).prop_map(|(a, b, c, d, e)| Roles::new([a, b, c, d, e]))
}

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![
        Just(Scope::All),
        (0..GROUPS).prop_map(|group| Scope::Group(group_id(group)))
    ]
}

fn grants() -> impl Strategy<Value = Vec<Grant>> {
    let grant = (any::<u128>(), 0..=ROLES, scope()).prop_map(|(id, role, scope)| Grant {
        id: Uuid::from_u128(id),
        role: role_id(role),
        scope,
    });
    proptest::collection::vec(grant, 0..4)
}

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
    let holds = |scope: Scope| match scope {
        Scope::All => true,
        Scope::Group(group) => subject.groups.contains(&group),
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

/// What somebody may do afterwards and not before.
fn gains(before: &Effective, after: &Effective) -> Vec<(Permission, Subject)> {
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
    fn nobody_gives_what_he_may_not_do(
        roles in roles(), giver in grants(), taker in grants(), role in 0..ROLES, scope in scope(),
    ) {
        let giver = Effective::of(&giver, &roles);
        let grant = Grant { id: Uuid::nil(), role: role_id(role), scope };
        prop_assume!(giver.lacks(&Effective::of(&[grant], &roles)).is_none());
        let before = Effective::of(&taker, &roles);
        let after = Effective::of(&[taker, vec![grant]].concat(), &roles);
        for (atom, subject) in gains(&before, &after) {
            prop_assert!(giver.allows(&atom, &subject), "{} {:?}", atom, subject);
        }
    }

    #[test]
    fn nobody_takes_a_denial_away_that_binds_him(
        roles in roles(), taker in grants(), others in grants(), role in 0..ROLES, scope in scope(),
    ) {
        let grant = Grant { id: Uuid::nil(), role: role_id(role), scope };
        let taken = Effective::of(&[grant], &roles);
        let taker = Effective::of(&taker, &roles);
        prop_assume!(taker.lacks(&taken).is_none() && taker.lacks_denied(&taken).is_none());
        let before = Effective::of(&[others.clone(), vec![grant]].concat(), &roles);
        for (atom, subject) in gains(&before, &Effective::of(&others, &roles)) {
            prop_assert!(taker.allows(&atom, &subject), "{} {:?}", atom, subject);
        }
    }

    #[test]
    fn nobody_changes_a_role_into_more_than_he_may_do(
        before in roles(), wanted in role(0), number in 0..ROLES, editor in grants(), holder in grants(),
    ) {
        let mut after = before.clone();
        after.insert(Role { id: role_id(number), ..wanted });
        let editor = Effective::of(&editor, &before);
        prop_assume!(editor.lacks_change(&before, &after).is_none());
        let (had, has) = (Effective::of(&holder, &before), Effective::of(&holder, &after));
        for (atom, subject) in gains(&had, &has) {
            prop_assert!(editor.allows(&atom, &subject), "{} {:?}", atom, subject);
        }
    }

    #[test]
    fn nobody_gives_more_by_changing_what_a_group_has(
        roles in roles(), mover in grants(), others in grants(), set in 0..1_u32 << GROUPS,
    ) {
        let group = group_id(0);
        let mover = Effective::of(&mover, &roles);
        let of_group: Vec<Grant> = others.iter().copied().filter(|grant| grant.scope == Scope::Group(group)).collect();
        let within = Effective::of(&of_group, &roles);
        let mut outside = subjects()[set as usize].clone();
        outside.groups.remove(&group);
        let mut inside = outside.clone();
        inside.groups.insert(group);
        let rights = Effective::of(&others, &roles);
        let more = |from: &Subject, to: &Subject| -> Vec<Permission> {
            atoms().into_iter().filter(|atom| rights.allows(atom, to) && !rights.allows(atom, from)).collect()
        };
        if mover.lacks_for(&within, Effect::Allow, &outside).is_none() {
            prop_assert!(more(&outside, &inside).iter().all(|atom| mover.allows(atom, &outside)));
        }
        if mover.lacks_for(&within, Effect::Deny, &inside).is_none() {
            prop_assert!(more(&inside, &outside).iter().all(|atom| mover.allows(atom, &inside)));
        }
    }

    #[test]
    fn without_conflicts_denials_change_nothing(roles in roles(), grants in grants()) {
        let rights = Effective::of(&grants, &roles);
        prop_assume!(rights.conflicts().is_empty());
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
fn who_may_do_everything_may_give_everything() {
    let all = |name| Entry {
        permission: permission(name),
        effect: Effect::Allow,
    };
    let role = |number, entries| Role {
        id: role_id(number),
        name: String::new(),
        entries,
        parents: Vec::new(),
    };
    let roles = Roles::new([
        role(0, vec![all("*")]),
        role(
            1,
            permissions().iter().skip(1).map(|node| all(node.name)).collect(),
        ),
    ]);
    let has = |number, scope| {
        let grant = Grant {
            id: Uuid::nil(),
            role: role_id(number),
            scope,
        };
        Effective::of(&[grant], &roles)
    };
    let (everything, each) = (has(0, Scope::All), has(1, Scope::All));
    assert_eq!(everything.lacks(&each), None);
    assert_eq!(everything.lacks(&everything), None);
    assert_eq!(
        each.lacks(&everything),
        Some(Permission::ALL),
        "later versions have more"
    );
    let local = has(0, Scope::Group(group_id(0)));
    assert_eq!(everything.lacks(&local), None);
    assert_eq!(local.lacks(&everything), Some(Permission::ALL));
    assert_eq!(local.lacks(&local), None);
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
