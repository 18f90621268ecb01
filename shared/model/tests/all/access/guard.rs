//! Nobody comes by more than those have who gave it to him, by whichever of the ways there are, of permissions that are yet to be
//! invented either.

use super::{
    GROUPS, ROLES, atoms, gains, grants, group_id, permission, role, role_id, roles, scope, subjects,
};
use proptest::prelude::*;
use uuid::Uuid;
use vmscope_model::access::{
    Effect, Effective, Entry, Grant, Permission, Role, Roles, Scope, Subject, permissions,
};

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
