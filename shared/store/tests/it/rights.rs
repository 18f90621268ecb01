//! Users, roles and grants: who may give what, and what can't be undone.

use crate::people::{
    actions, context, definition, give, made_group, made_role, new_user, permission, person, person_with,
    refused, rights,
};
use jiff::Timestamp;
use std::time::Duration;
use tokio::task::JoinSet;
use uuid::Uuid;
use vmscope_model::access::{
    self, ADMIN, BUILT_IN, Entry, OPERATOR, Roles, SUPER_ADMIN, Scope, Subject, VIEWER,
};
use vmscope_store::access::{Authority, Refusal};
use vmscope_store::grant::{self, NewGrant};
use vmscope_store::user::{self, Changes, Filter, NewPassword};
use vmscope_store::{on_both_flavors, role};

fn disabled() -> Changes {
    Changes {
        disabled: Some(true),
        ..Changes::default()
    }
}

on_both_flavors! {
    async fn a_user_is_found_by_name_and_address_in_any_case(database: Database) {
        let store = database.store();
        let ada = person(store, "Ada").await;
        for login in ["ada", "ADA", "ada@EXAMPLE.com"] {
            assert_eq!(user::find_by_login(store, login).await.unwrap().unwrap().id, ada.id, "{login}");
        }
        for login in ["", "ad", "ada@", "a\0", "' OR true --"] {
            assert_eq!(user::find_by_login(store, login).await.unwrap(), None, "{login}");
        }
        let mut other = new_user("ADA");
        other.email = None;
        assert_eq!(refused(user::create(store, &context(), &other).await), Refusal::NameTaken);
        let mut other = new_user("grace");
        other.email = Some("ADA@example.com".to_owned());
        assert_eq!(refused(user::create(store, &context(), &other).await), Refusal::EmailTaken);
        for name in ["", "a@b", "a\0", &"x".repeat(65)] {
            let refusal = refused(user::create(store, &context(), &new_user(name)).await);
            assert!(matches!(refusal, Refusal::Malformed(_)), "{name:?} {refusal:?}");
        }
        let all = user::list(store, &Filter { search: "EXAMPLE".to_owned(), ..Filter::default() }).await.unwrap();
        assert_eq!((all.total, all.items[0].name.as_str()), (1, "Ada"));
        assert_eq!(actions(store, 10).await, ["user.create"]);
    }

    async fn the_built_in_roles_are_as_the_contract_says_and_can_not_be_changed(database: Database) {
        let store = database.store();
        let roles = role::roles(store).await.unwrap();
        let names = |id| -> Vec<String> {
            let grant = access::Grant { id: Uuid::nil(), role: id, scope: Scope::All };
            let rights = access::Effective::of(&[grant], &roles);
            let installation = Subject::installation();
            let held = access::permissions().iter().filter(|node| !node.is_inner());
            held.filter(|node| rights.allows(&permission(node.name), &installation)).map(|node| node.name.to_owned()).collect()
        };
        let viewer = ["host.read", "vm.read", "group.read", "ledger.read", "export.create", "system.read"];
        assert_eq!(names(VIEWER), viewer);
        let operator = ["host.read", "host.write", "vm.read", "vm.write", "group.read", "group.write", "ledger.read", "export.create", "system.read"];
        assert_eq!(names(OPERATOR), operator);
        let admin = ["export.manage", "user.read", "user.write", "role.read", "grant.write", "audit.read"];
        let sorted = |mut names: Vec<String>| {
            names.sort();
            names
        };
        let admin = [&names(OPERATOR)[..], &admin.map(ToOwned::to_owned)].concat();
        assert_eq!(sorted(names(ADMIN)), sorted(admin));
        assert_eq!(names(SUPER_ADMIN).len(), access::permissions().iter().filter(|node| !node.is_inner()).count());
        for id in BUILT_IN {
            let change = role::update(store, &context(), Authority::System, id, &definition("mine", &[], &[])).await;
            assert_eq!(refused(change), Refusal::BuiltIn);
            assert_eq!(refused(role::delete(store, &context(), id).await), Refusal::BuiltIn);
        }
    }

    async fn a_role_inherits_and_never_from_itself(database: Database) {
        let store = database.store();
        let reader = made_role(store, "reader", &["vm.read", "!host.read"], &[]).await;
        let keeper = made_role(store, "keeper", &["group"], &[reader.id, VIEWER]).await;
        let ada = person_with(store, "ada", keeper.id, Scope::All).await;
        let rights = rights(store, &ada).await;
        let installation = Subject::installation();
        assert!(rights.allows(&permission("group.write"), &installation));
        assert!(rights.allows(&permission("vm.read"), &installation));
        let why = rights.decide(&permission("host.read"), &installation);
        assert!(!why.allowed, "the parent denies what another one allows");
        assert_eq!(why.reasons[0].path, ["keeper", "reader"]);
        let circle = definition("reader", &[], &[keeper.id]);
        let change = role::update(store, &context(), Authority::System, reader.id, &circle).await;
        assert_eq!(refused(change), Refusal::Cycle);
        let itself = definition("reader", &[], &[reader.id]);
        let change = role::update(store, &context(), Authority::System, reader.id, &itself).await;
        assert_eq!(refused(change), Refusal::Cycle);
        assert_eq!(refused(role::delete(store, &context(), reader.id).await), Refusal::InUse);
        assert_eq!(refused(role::delete(store, &context(), keeper.id).await), Refusal::InUse);
        let unknown = definition("other", &["vm.fly"], &[]);
        let change = role::create(store, &context(), Authority::System, &unknown).await;
        assert_eq!(refused(change), Refusal::UnknownPermission(permission("vm.fly")));
        let orphan = definition("other", &[], &[Uuid::nil()]);
        let change = role::create(store, &context(), Authority::System, &orphan).await;
        assert_eq!(refused(change), Refusal::Unknown("parent"));
    }

    async fn nobody_gives_what_he_does_not_hold(database: Database) {
        let store = database.store();
        person_with(store, "root", SUPER_ADMIN, Scope::All).await;
        let admin = person_with(store, "admin", ADMIN, Scope::All).await;
        let (ada, group) = (person(store, "ada").await, made_group(store, "lab").await);
        let admin = rights(store, &admin).await;
        let by = Authority::Of(&admin);
        let grant = |role, scope| NewGrant { user: ada.id, role, scope, expires_at: None };
        for scope in [Scope::All, Scope::Group(group.id)] {
            let given = grant::create(store, &context(), by, &grant(SUPER_ADMIN, scope)).await;
            assert!(matches!(refused(given), Refusal::Escalation(_)), "{scope:?}");
            grant::create(store, &context(), by, &grant(OPERATOR, scope)).await.unwrap();
        }
        let change = role::create(store, &context(), by, &definition("more", &["role.write"], &[])).await;
        assert_eq!(refused(change), Refusal::Escalation(permission("role.write")));
        let change = role::create(store, &context(), by, &definition("more", &[], &[SUPER_ADMIN])).await;
        assert!(matches!(refused(change), Refusal::Escalation(_)));
        role::create(store, &context(), by, &definition("less", &["vm.read"], &[VIEWER])).await.unwrap();
        let all_of_vm = role::create(store, &context(), by, &definition("all", &["vm"], &[])).await;
        assert_eq!(refused(all_of_vm), Refusal::Escalation(permission("vm")), "what vm will be is more than vm.read");
    }

    async fn nobody_touches_a_person_who_may_do_more(database: Database) {
        let store = database.store();
        let root = person_with(store, "root", SUPER_ADMIN, Scope::All).await;
        let other = person_with(store, "other", SUPER_ADMIN, Scope::All).await;
        let admin = person_with(store, "admin", ADMIN, Scope::All).await;
        let ada = person_with(store, "ada", VIEWER, Scope::All).await;
        let admin = rights(store, &admin).await;
        let by = Authority::Of(&admin);
        let new = NewPassword { hash: "another", must_change: true, keep_session: None };
        let escalation = |refusal| assert!(matches!(refusal, Refusal::Escalation(_)), "{refusal:?}");
        escalation(refused(user::set_password(store, &context(), by, root.id, new).await));
        escalation(refused(user::update(store, &context(), by, root.id, &disabled()).await));
        escalation(refused(user::delete(store, &context(), by, root.id).await));
        let grants = grant::list(store, other.id).await.unwrap();
        escalation(refused(grant::delete(store, &context(), by, other.id, grants[0].id).await));
        let blind = made_role(store, "blind", &["!vm"], &[]).await;
        let bind = |user| NewGrant { user, role: blind.id, scope: Scope::All, expires_at: None };
        escalation(refused(grant::create(store, &context(), by, &bind(root.id)).await));
        grant::create(store, &context(), by, &bind(ada.id)).await.unwrap();
        user::set_password(store, &context(), by, ada.id, new).await.unwrap();
        assert!(user::get(store, ada.id).await.unwrap().unwrap().must_change_password);
    }

    async fn a_grant_that_denies_is_not_taken_away_by_whom_it_binds(database: Database) {
        let store = database.store();
        person_with(store, "root", SUPER_ADMIN, Scope::All).await;
        let admin = person_with(store, "admin", ADMIN, Scope::All).await;
        let blind = made_role(store, "blind", &["!vm.read"], &[]).await;
        let bond = give(store, &admin, blind.id, Scope::All).await;
        let bound = rights(store, &admin).await;
        let freed = grant::delete(store, &context(), Authority::Of(&bound), admin.id, bond.id).await;
        assert_eq!(refused(freed), Refusal::Escalation(permission("vm.read")));
        let softened = role::update(store, &context(), Authority::Of(&bound), blind.id, &definition("blind", &[], &[])).await;
        assert_eq!(refused(softened), Refusal::Escalation(permission("vm.read")));
    }

    async fn a_grant_ends_by_itself_and_may_be_given_again(database: Database) {
        let store = database.store();
        let ada = person(store, "ada").await;
        let past = Timestamp::now() - Duration::from_mins(1);
        let new = NewGrant { user: ada.id, role: VIEWER, scope: Scope::All, expires_at: Some(past) };
        let expired = grant::create(store, &context(), Authority::System, &new).await.unwrap();
        assert!(expired.expired);
        assert!(rights(store, &ada).await.rules().is_empty());
        give(store, &ada, VIEWER, Scope::All).await;
        let again = NewGrant { expires_at: None, ..new.clone() };
        assert_eq!(refused(grant::create(store, &context(), Authority::System, &again).await), Refusal::AlreadyGranted);
        assert_eq!(grant::list(store, ada.id).await.unwrap().len(), 1);
        for (unknown, what) in [
            (NewGrant { user: Uuid::nil(), ..again.clone() }, "user"),
            (NewGrant { role: Uuid::nil(), ..again.clone() }, "role"),
            (NewGrant { scope: Scope::Group(Uuid::nil()), ..again.clone() }, "group"),
            (NewGrant { scope: Scope::Cluster(Uuid::nil()), ..again }, "cluster"),
        ] {
            assert_eq!(refused(grant::create(store, &context(), Authority::System, &unknown).await), Refusal::Unknown(what));
        }
    }

    async fn the_last_administrator_stays(database: Database) {
        let store = database.store();
        let root = person_with(store, "root", SUPER_ADMIN, Scope::All).await;
        let (ada, grants) = (person(store, "ada").await, grant::list(store, root.id).await.unwrap());
        let group = made_group(store, "lab").await;
        give(store, &ada, SUPER_ADMIN, Scope::Group(group.id)).await;
        let soon = Timestamp::now() + Duration::from_hours(1);
        let passing = NewGrant { user: ada.id, role: SUPER_ADMIN, scope: Scope::All, expires_at: Some(soon) };
        grant::create(store, &context(), Authority::System, &passing).await.unwrap();
        let system = Authority::System;
        let last = Refusal::LastAdministrator;
        assert_eq!(refused(user::update(store, &context(), system, root.id, &disabled()).await), last);
        assert_eq!(refused(user::delete(store, &context(), system, root.id).await), last);
        assert_eq!(refused(grant::delete(store, &context(), system, root.id, grants[0].id).await), last);
        let blind = made_role(store, "blind", &["!audit.read"], &[]).await;
        let bond = NewGrant { user: root.id, role: blind.id, scope: Scope::All, expires_at: None };
        assert_eq!(refused(grant::create(store, &context(), system, &bond).await), last);
        let harmless = made_role(store, "harmless", &[], &[]).await;
        give(store, &root, harmless.id, Scope::All).await;
        let harmful = definition("harmless", &["!vm"], &[]);
        assert_eq!(refused(role::update(store, &context(), system, harmless.id, &harmful).await), last);
        person_with(store, "second", SUPER_ADMIN, Scope::All).await;
        user::update(store, &context(), system, root.id, &disabled()).await.unwrap();
    }

    async fn of_administrators_who_remove_each_other_at_once_one_is_left(database: Database) {
        let store = database.store();
        let mut administrators = Vec::new();
        for number in 0..6 {
            administrators.push(person_with(store, &format!("root-{number}"), SUPER_ADMIN, Scope::All).await);
        }
        let mut removals = JoinSet::new();
        for root in administrators {
            let store = store.clone();
            removals.spawn(async move { user::delete(&store, &context(), Authority::System, root.id).await.is_ok() });
        }
        let removed = removals.join_all().await.into_iter().filter(|removed| *removed).count();
        assert_eq!((removed, user::list(store, &Filter::default()).await.unwrap().total), (5, 1));
    }

    async fn of_two_roles_that_would_inherit_from_each_other_at_once_one_is_refused(database: Database) {
        let store = database.store();
        let (one, two) = (made_role(store, "one", &[], &[]).await, made_role(store, "two", &[], &[]).await);
        let mut changes = JoinSet::new();
        for (role, name, parent) in [(one.id, "one", two.id), (two.id, "two", one.id)] {
            let store = store.clone();
            changes.spawn(async move {
                role::update(&store, &context(), Authority::System, role, &definition(name, &[], &[parent])).await.is_ok()
            });
        }
        let made = changes.join_all().await.into_iter().filter(|made| *made).count();
        let roles: Roles = role::roles(store).await.unwrap();
        assert_eq!(made, 1);
        assert!(roles.iter().all(|role| !roles.cycle(role.id, &role.parents)));
    }

    async fn holders_are_told_with_their_reasons(database: Database) {
        let store = database.store();
        let group = made_group(store, "lab").await;
        person_with(store, "root", SUPER_ADMIN, Scope::All).await;
        let ada = person_with(store, "ada", VIEWER, Scope::Group(group.id)).await;
        let bob = person_with(store, "bob", VIEWER, Scope::All).await;
        let blind = made_role(store, "blind", &["!vm"], &[]).await;
        give(store, &bob, blind.id, Scope::Group(group.id)).await;
        let gone = person_with(store, "gone", VIEWER, Scope::All).await;
        user::update(store, &context(), Authority::System, gone.id, &disabled()).await.unwrap();
        let told = async |subject: Subject| -> Vec<(String, bool)> {
            let holders = grant::holders(store, &permission("vm.read"), &subject).await.unwrap();
            holders.into_iter().map(|holder| (holder.name, holder.decision.allowed)).collect()
        };
        let (yes, no) = (true, false);
        let inside = told(Subject::within([group.id])).await;
        assert_eq!(inside, [("ada".to_owned(), yes), ("root".to_owned(), yes), ("bob".to_owned(), no)]);
        assert_eq!(told(Subject::installation()).await, [("bob".to_owned(), yes), ("root".to_owned(), yes)]);
        let conflicts = rights(store, &bob).await.conflicts();
        assert!(conflicts.iter().any(|conflict| conflict.certain && conflict.permission == permission("vm.read")));
        assert_eq!(rights(store, &ada).await.conflicts(), []);
        let entry: Vec<&Entry> = conflicts.iter().map(|conflict| &conflict.deny.entry).collect();
        assert_eq!(entry[0].permission, permission("vm"));
    }
}
