//! Nobody comes by more than those have who gave it to him, by whichever of the ways there are, of permissions that are yet to be
//! invented either.

use proptest::prelude::*;
use proptest::sample::select;
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
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn nobody_gives_what_he_may_not_do(
        roles in roles(), giver in grants(), taker in grants(), role in 0..ROLES, scope in scope(),
    ) {
        let giver = Effective::of(&giver, &roles);
        let grant = Grant { id: Uuid::nil(), role: role_id(role), scope };
        if giver.lacks(&Effective::of(&[grant], &roles)).is_some() {
            return Ok(());
        }
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
        if taker.lacks(&taken).or_else(|| taker.lacks_denied(&taken)).is_some() {
            return Ok(());
        }
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
        if editor.lacks_change(&before, &after).is_some() {
            return Ok(());
        }
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
