//! Nobody comes by rights over a machine, and nobody lifts what binds him, by moving it among groups: by hand, by a label, by a
//! rule, by a part of a group, by a label of its host, at once or later.

use crate::fixture::{batch, host_uuid, known, tick, vm_uuid};
use crate::inventory::{inside, labels, ruled};
use crate::people::{context, give, made_group, made_role, permission, person, person_with, refused, rights};
use jiff::Timestamp;
use std::collections::BTreeSet;
use uuid::Uuid;
use vmscope_model::access::{Effective, OPERATOR, Reach, SUPER_ADMIN, Scope, VIEWER};
use vmscope_model::catalogue::vm as metric;
use vmscope_model::label::Labels;
use vmscope_model::{Kind, VmId};
use vmscope_store::access::{Authority, Failure, Refusal};
use vmscope_store::group::{self, Definition, Group, MemberChange, Wanted};
use vmscope_store::ingest::Writer;
use vmscope_store::vm::{self, Edit, Edited, LabelEdit};
use vmscope_store::{Store, label, on_both_flavors};

/// Labels machines as somebody with these rights.
async fn label_as(store: &Store, holder: &Effective, vms: &[u128], pairs: &[(&str, &str)]) -> Vec<Edited> {
    let edit = Edit {
        labels: LabelEdit::Replace(labels(pairs)),
        ..Edit::default()
    };
    edit_as(store, holder, vms, &edit).await
}

async fn edit_as(store: &Store, holder: &Effective, vms: &[u128], edit: &Edit) -> Vec<Edited> {
    let ids: Vec<VmId> = vms.iter().map(|vm| vm_uuid(*vm)).collect();
    let write = permission("vm.write");
    let (seen, writable) = (holder.reach(&permission("vm.read")), holder.reach(&write));
    let by = Authority::Of(holder);
    let results = vm::edit(store, &context(), by, &ids, edit, (&seen, (&writable, &write)))
        .await
        .unwrap();
    results.into_iter().map(|(_, result)| result).collect()
}

async fn define_as(
    store: &Store,
    holder: &Effective,
    group: &Group,
    rule: Option<&str>,
    children: Option<&[Uuid]>,
) -> Result<Group, Failure> {
    let definition = Definition {
        name: group.name.clone(),
        description: "changed".to_owned(),
        rule: rule.map(str::to_owned),
        children: children.map(<[Uuid]>::to_vec),
    };
    group::update(store, &context(), Authority::Of(holder), group.id, &definition).await
}

fn denied(result: &Edited, lacking: &str) {
    assert_eq!(*result, Edited::Denied(permission(lacking)));
}

fn escalates<T: std::fmt::Debug>(result: Result<T, Failure>) {
    let refusal = refused(result);
    assert!(matches!(refusal, Refusal::Escalation(_)), "{refusal:?}");
}

async fn label_host(
    store: &Store,
    holder: &Effective,
    host: u128,
    pairs: &[(&str, &str)],
) -> Result<Labels, Failure> {
    label::set_host(
        store,
        &context(),
        Authority::Of(holder),
        host_uuid(host),
        &labels(pairs),
    )
    .await
}

on_both_flavors! {
    /// Bob may label everything and see everything; in the group `crew` somebody may read the ledger of its machines, which Bob may not.
    async fn a_label_does_not_move_a_machine_under_roles_that_say_more(database: Database) {
        let store = database.store();
        known(store, 1, 3).await;
        let crew = ruled(store, "crew", "label.env = prod", &[]).await;
        let above = ruled(store, "above", "name = none", &[crew.id]).await;
        let labeller = made_role(store, "labeller", &["vm.read", "vm.write"], &[]).await;
        let bob = person_with(store, "bob", labeller.id, Scope::All).await;
        let bob = rights(store, &bob).await;
        assert_eq!(label_as(store, &bob, &[0], &[("env", "prod")]).await, [Edited::Done], "nobody has a role there");
        let auditor = made_role(store, "auditor", &["ledger.read"], &[]).await;
        let ada = person_with(store, "ada", auditor.id, Scope::Group(above.id)).await;
        denied(&label_as(store, &bob, &[1], &[("env", "prod")]).await[0], "ledger.read");
        assert_eq!(label_as(store, &bob, &[1], &[("env", "test")]).await, [Edited::Done]);
        assert_eq!(label_as(store, &bob, &[0], &[]).await, [Edited::Done], "out of it, which frees nobody");
        assert_eq!(inside(store, &above).await, []);
        give(store, &ada, labeller.id, Scope::Group(crew.id)).await;
        let by_hand = Edit { add: BTreeSet::from([crew.id]), ..Edit::default() };
        denied(&edit_as(store, &bob, &[2], &by_hand).await[0], "ledger.read");
        let wanted = Wanted { add: vec![vm_uuid(2)], remove: vec![], reach: bob.reach(&permission("vm.read")) };
        let changed = group::change_members(store, &context(), Authority::Of(&bob), crew.id, &wanted).await.unwrap();
        assert_eq!(changed[0].1, MemberChange::Denied, "through the group above");
    }

    async fn a_label_does_not_wait_for_its_machine_to_move(database: Database) {
        let store = database.store();
        let (_, vms) = known(store, 1, 1).await;
        let (beta, _) = known(store, 2, 0).await;
        let name = host_uuid(2).to_string();
        let crew = ruled(store, "crew", &format!("label.env = prod and host = {name}"), &[]).await;
        let labeller = made_role(store, "labeller", &["vm.read", "vm.write"], &[]).await;
        let auditor = made_role(store, "auditor", &["ledger.read"], &[]).await;
        let bob = person_with(store, "bob", labeller.id, Scope::All).await;
        give(store, &bob, auditor.id, Scope::Group(crew.id)).await;
        let bob_rights = rights(store, &bob).await;
        denied(&label_as(store, &bob_rights, &[0], &[("env", "prod")]).await[0], "ledger.read");
        assert_eq!(label_as(store, &bob_rights, &[0], &[("env", "test")]).await, [Edited::Done], "matches nowhere");
        let ada = person_with(store, "ada", OPERATOR, Scope::All).await;
        let ada = rights(store, &ada).await;
        assert_eq!(label_as(store, &ada, &[0], &[("env", "prod")]).await, [Edited::Done]);
        assert_eq!(inside(store, &crew).await, []);
        let mut writer = Writer::connect(database.url()).await.unwrap();
        let row = tick(Timestamp::now().as_microsecond(), Kind::Vm, &[(vms[0], &[(metric::STATE, 1)])]);
        writer.commit(&[batch(beta, 1, vec![(1, row)])]).await.unwrap();
        assert_eq!(inside(store, &crew).await, [0]);
    }

    async fn a_rule_and_a_part_are_written_by_who_holds_everywhere_what_is_held_there(database: Database) {
        let store = database.store();
        known(store, 1, 3).await;
        let (crew, part) = (made_group(store, "crew").await, made_group(store, "part").await);
        let above = ruled(store, "above", "name = none", &[crew.id]).await;
        let ada = person_with(store, "ada", OPERATOR, Scope::Group(crew.id)).await;
        let ada = rights(store, &ada).await;
        escalates(define_as(store, &ada, &crew, Some("name ~ \"*\""), None).await);
        escalates(define_as(store, &ada, &crew, None, Some(&[part.id])).await);
        escalates(define_as(store, &ada, &crew, Some("id = nothing-now"), None).await);
        assert_eq!(inside(store, &crew).await, []);
        assert_eq!(define_as(store, &ada, &crew, Some(""), Some(&[])).await.unwrap().description, "changed");
        let eve = person_with(store, "eve", OPERATOR, Scope::All).await;
        let eve_rights = rights(store, &eve).await;
        define_as(store, &eve_rights, &crew, Some("name ~ \"*\""), Some(&[part.id])).await.unwrap();
        assert_eq!(inside(store, &above).await, [0, 1, 2]);
        let blind = made_role(store, "blind", &["!vm.write"], &[]).await;
        give(store, &eve, blind.id, Scope::Group(above.id)).await;
        let bound = rights(store, &eve).await;
        escalates(define_as(store, &bound, &crew, Some(""), None).await);
        escalates(define_as(store, &bound, &above, None, Some(&[])).await);
        let wanted = Wanted { add: vec![vm_uuid(1)], remove: vec![], reach: Reach::Everything };
        define_as(store, &rights(store, &person_with(store, "root", SUPER_ADMIN, Scope::All).await).await, &crew, Some(""), None).await.unwrap();
        group::change_members(store, &context(), Authority::System, part.id, &wanted).await.unwrap();
        escalates(group::delete(store, &context(), Authority::Of(&bound), part.id).await);
        assert_eq!(inside(store, &above).await, [1]);
    }

    async fn a_label_of_a_host_is_written_by_who_holds_everywhere_what_is_held_there(database: Database) {
        let store = database.store();
        known(store, 1, 1).await;
        known(store, 2, 0).await;
        let gold = ruled(store, "gold", "host.label.tier = gold and label.env = prod", &[]).await;
        let (own, ada) = (made_group(store, "own").await, person(store, "ada").await);
        let wanted = Wanted { add: vec![vm_uuid(0)], remove: vec![], reach: Reach::Everything };
        group::change_members(store, &context(), Authority::System, own.id, &wanted).await.unwrap();
        give(store, &ada, OPERATOR, Scope::Group(own.id)).await;
        let ada_rights = rights(store, &ada).await;
        label_host(store, &ada_rights, 1, &[("tier", "gold")]).await.unwrap();
        label_host(store, &ada_rights, 1, &[]).await.unwrap();
        give(store, &ada, VIEWER, Scope::Group(gold.id)).await;
        let ada_rights = rights(store, &ada).await;
        // No machine is in it, now.
        escalates(label_host(store, &ada_rights, 1, &[("tier", "gold")]).await);
        escalates(label_host(store, &ada_rights, 2, &[("tier", "gold")]).await);
        label_host(store, &ada_rights, 1, &[("tier", "silver"), ("rack", "12")]).await.unwrap();
        let eve = person_with(store, "eve", OPERATOR, Scope::All).await;
        label_host(store, &rights(store, &eve).await, 1, &[("tier", "gold")]).await.unwrap();
        escalates(label_host(store, &ada_rights, 1, &[]).await);
    }

    async fn a_denial_is_not_shaken_off_by_a_label(database: Database) {
        let store = database.store();
        known(store, 1, 1).await;
        let sealed = ruled(store, "sealed", "label.sealed exists", &[]).await;
        let ada = person_with(store, "ada", OPERATOR, Scope::All).await;
        assert_eq!(label_as(store, &rights(store, &ada).await, &[0], &[("sealed", "")]).await, [Edited::Done]);
        let blind = made_role(store, "blind", &["!ledger"], &[]).await;
        give(store, &ada, blind.id, Scope::Group(sealed.id)).await;
        let bound = rights(store, &ada).await;
        let free = label_as(store, &bound, &[0], &[]).await;
        assert!(matches!(free[0], Edited::Denied(_)), "{free:?}");
        assert_eq!(inside(store, &sealed).await, [0]);
        let other = label_as(store, &bound, &[0], &[("sealed", "still"), ("env", "prod")]).await;
        assert_eq!(other, [Edited::Done]);
    }
}
