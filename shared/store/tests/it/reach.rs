//! What a person sees whose grants are for groups alone: exactly what is in them, with the totals that belong to it.

use crate::fixture::{batch, host_uuid, known, tick, vm_uuid};
use crate::people::{context, give, made_group, made_role, permission, person_with, refused, rights};
use jiff::Timestamp;
use std::collections::BTreeSet;
use uuid::Uuid;
use vmscope_model::access::{OPERATOR, Reach, SUPER_ADMIN, Scope, VIEWER};
use vmscope_model::catalogue::vm as metric;
use vmscope_model::{Cause, Entity, Gap, Group, Kind, Owner, Tick, VmId};
use vmscope_store::access::{Authority, Refusal};
use vmscope_store::entity::Reference;
use vmscope_store::group::{self, Definition, MemberChange, Wanted};
use vmscope_store::ingest::Writer;
use vmscope_store::subject::{self, Whose};
use vmscope_store::testing::Database;
use vmscope_store::{Paging, Store, entity, gap, host, on_both_flavors, overview, user, vm};

/// Host 1 with the VMs 0 to 5, host 2 with 6 and 7, host 3 with 8; all run. Group `a` has 0, 1 and 6, group `b` has 1 and 2.
async fn fleet(database: &Database) -> (Uuid, Uuid) {
    let (store, now_us) = (database.store(), Timestamp::now().as_microsecond());
    let mut writer = Writer::connect(database.url()).await.unwrap();
    for (number, vms) in [(1, 0..6), (2, 6..8), (3, 8..9)] {
        let (host_id, _) = known(store, number, 0).await;
        let entities: Vec<Entity> = vms.map(|vm| Entity::Vm(vm_uuid(vm))).collect();
        let ids = entity::resolve(store, host_id, &entities).await.unwrap();
        let rows: Vec<_> = ids.iter().map(|id| (*id, &[(metric::STATE, 1)][..])).collect();
        let gaps = entities
            .iter()
            .map(|entity| Some(entity.clone()))
            .chain([None])
            .map(|entity| Gap {
                vm: entity.and_then(|entity| {
                    if let Entity::Vm(vm) = entity {
                        Some(vm)
                    } else {
                        None
                    }
                }),
                group: Group::Cheap,
                cause: Cause::Deadline,
                from_us: now_us,
                to_us: now_us,
                ticks: 2,
                lost: None,
            });
        let tick = Tick {
            gaps: gaps.collect(),
            ..tick(now_us, Kind::Vm, &rows)
        };
        writer
            .commit(&[batch(host_id, 1, vec![(1, tick)])])
            .await
            .unwrap();
    }
    let (a, b) = (made_group(store, "a").await.id, made_group(store, "b").await.id);
    put(store, a, &[0, 1, 6]).await;
    put(store, b, &[1, 2]).await;
    (a, b)
}

async fn put(store: &Store, group: Uuid, vms: &[u128]) {
    let wanted = wanted(vms, &[], Reach::Everything);
    group::change_members(store, &context(), Authority::System, group, &wanted)
        .await
        .unwrap();
}

fn wanted(add: &[u128], remove: &[u128], reach: Reach) -> Wanted {
    let ids = |numbers: &[u128]| numbers.iter().map(|number| vm_uuid(*number)).collect();
    Wanted {
        add: ids(add),
        remove: ids(remove),
        reach,
    }
}

fn ids(numbers: &[u128]) -> BTreeSet<VmId> {
    numbers.iter().map(|number| vm_uuid(*number)).collect()
}

/// What everything that shows VMs and hosts shows within a reach: VMs, hosts.
async fn sees(store: &Store, reach: &Reach) -> (BTreeSet<VmId>, Vec<u128>) {
    let filter = vm::Filter {
        reach: reach.clone(),
        ..vm::Filter::default()
    };
    let page = vm::list(store, &filter).await.unwrap();
    let vms: BTreeSet<VmId> = page.items.iter().map(|vm| vm.id).collect();
    assert_eq!(usize::try_from(page.total).unwrap(), vms.len());
    let mut subjects = subject::of_vms(store, &(0..9).map(vm_uuid).collect::<Vec<_>>())
        .await
        .unwrap();
    subjects.retain(|_, subject| reach.includes(subject));
    assert_eq!(
        subjects.into_keys().collect::<BTreeSet<_>>(),
        vms,
        "single things are decided alike"
    );
    for number in 0..9 {
        let found = vm::get(store, vm_uuid(number), reach).await.unwrap().is_some();
        assert_eq!(found, vms.contains(&vm_uuid(number)), "{number}");
    }
    let filter = host::Filter {
        reach: reach.clone(),
        vm_reach: reach.clone(),
        ..host::Filter::default()
    };
    let page = host::list(store, &filter).await.unwrap();
    let mut hosts: Vec<u128> = (1..4)
        .filter(|number| page.items.iter().any(|host| host.id == host_uuid(*number)))
        .collect();
    assert_eq!(usize::try_from(page.total).unwrap(), hosts.len());
    let counted: i64 = page
        .items
        .iter()
        .flat_map(|host| &host.vms_by_state)
        .map(|(_, number)| number)
        .sum();
    let on_hosts = page.items.iter().map(|host| host.id).collect::<Vec<_>>();
    let all = vm::list(
        store,
        &vm::Filter {
            reach: reach.clone(),
            ..vm::Filter::default()
        },
    )
    .await
    .unwrap()
    .items;
    assert_eq!(
        usize::try_from(counted).unwrap(),
        all.iter()
            .filter(|vm| vm.host.is_some_and(|host| on_hosts.contains(&host)))
            .count()
    );
    for number in 1..4 {
        let host = host::get(store, host_uuid(number), reach, reach).await.unwrap();
        assert_eq!(host.is_some(), hosts.contains(&number));
    }
    let overview = overview::get(store, reach, reach).await.unwrap();
    assert_eq!(
        (overview.hosts_total, overview.hosts_reporting),
        (page.total, page.total)
    );
    assert_eq!(
        overview
            .vms_by_state
            .iter()
            .map(|(_, number)| *number)
            .sum::<i64>(),
        vms.len().cast_signed() as i64
    );
    hosts.sort_unstable();
    (vms, hosts)
}

/// The VMs and the hosts whose gaps are in the ledger within a reach.
async fn ledger(store: &Store, reach: &Reach) -> (BTreeSet<VmId>, usize) {
    let filter = gap::Filter {
        reach: reach.clone(),
        ..gap::Filter::default()
    };
    let (page, totals) = gap::page(store, &filter).await.unwrap();
    assert_eq!(page.total, totals.iter().map(|total| total.entries).sum::<i64>());
    assert_eq!(usize::try_from(page.total).unwrap(), page.items.len());
    let vms = page
        .items
        .iter()
        .filter_map(|entry| entry.vm.as_ref().map(|(vm, _)| *vm))
        .collect();
    (vms, page.items.iter().filter(|entry| entry.vm.is_none()).count())
}

on_both_flavors! {
    async fn a_person_sees_exactly_his_groups(database: Database) {
        let (a, b) = fleet(&database).await;
        let store = database.store();
        let read = permission("vm.read");
        let ada = person_with(store, "ada", VIEWER, Scope::Group(a)).await;
        let reach = rights(store, &ada).await.reach(&read);
        assert_eq!(sees(store, &reach).await, (ids(&[0, 1, 6]), vec![1, 2]));
        assert_eq!(ledger(store, &reach).await, (ids(&[0, 1, 6]), 2));

        give(store, &ada, VIEWER, Scope::Group(b)).await;
        let reach = rights(store, &ada).await.reach(&read);
        assert_eq!(sees(store, &reach).await, (ids(&[0, 1, 2, 6]), vec![1, 2]));

        let root = person_with(store, "root", SUPER_ADMIN, Scope::All).await;
        let reach = rights(store, &root).await.reach(&read);
        assert_eq!(sees(store, &reach).await, (ids(&[0, 1, 2, 3, 4, 5, 6, 7, 8]), vec![1, 2, 3]));
        assert_eq!(sees(store, &Reach::Nothing).await, (ids(&[]), vec![]));
        assert_eq!(ledger(store, &Reach::Nothing).await, (ids(&[]), 0));
    }

    async fn what_a_group_denies_is_not_seen_whatever_else_allows_it(database: Database) {
        let (a, b) = fleet(&database).await;
        let store = database.store();
        let blind = made_role(store, "blind", &["!vm"], &[]).await;
        let ada = person_with(store, "ada", VIEWER, Scope::Group(a)).await;
        give(store, &ada, blind.id, Scope::Group(b)).await;
        let reach = rights(store, &ada).await.reach(&permission("vm.read"));
        assert_eq!(sees(store, &reach).await.0, ids(&[0, 6]));
        let bob = person_with(store, "bob", VIEWER, Scope::All).await;
        give(store, &bob, blind.id, Scope::Group(b)).await;
        let reach = rights(store, &bob).await.reach(&permission("vm.read"));
        assert!(matches!(reach, Reach::Except { .. }));
        assert_eq!(sees(store, &reach).await.0, ids(&[0, 3, 4, 5, 6, 7, 8]));
        assert_eq!(ledger(store, &reach).await.0, ids(&[0, 3, 4, 5, 6, 7, 8]));
    }

    async fn devices_are_within_what_they_belong_to(database: Database) {
        let (a, b) = fleet(&database).await;
        let store = database.store();
        let (host_id, _) = known(store, 1, 0).await;
        let disk = |owner| Entity::Disk { owner, name: "vda".to_owned() };
        let devices = [disk(Owner::Vm(vm_uuid(1))), disk(Owner::Vm(vm_uuid(3))), disk(Owner::Host)];
        let devices = entity::resolve(store, host_id, &devices).await.unwrap();
        let mut within = Vec::new();
        for id in devices {
            let (whose, subject) = subject::of_entity(store, Reference::Device { kind: Kind::Disk, id }).await.unwrap().unwrap();
            within.push((whose, subject.groups));
        }
        assert_eq!(within[0], (Whose::Vm, BTreeSet::from([a, b])));
        assert_eq!(within[1], (Whose::Vm, BTreeSet::new()));
        assert_eq!(within[2], (Whose::Host, BTreeSet::from([a, b])));
        let unknown = [Reference::Vm(vm_uuid(77)), Reference::Host(host_uuid(77)), Reference::Device { kind: Kind::Nic, id: 777 }];
        for reference in unknown {
            assert_eq!(subject::of_entity(store, reference).await.unwrap(), None);
        }
    }

    async fn groups_are_listed_filled_and_kept_while_granted(database: Database) {
        let (a, b) = fleet(&database).await;
        let store = database.store();
        let within = |reach| group::Filter { search: String::new(), reach, paging: Paging::default() };
        let ada = person_with(store, "ada", VIEWER, Scope::Group(a)).await;
        let reach = rights(store, &ada).await.reach(&permission("group.read"));
        let seen = group::list(store, &within(reach)).await.unwrap();
        assert_eq!((seen.total, seen.items[0].name.as_str(), seen.items[0].members), (1, "a", 3));
        assert_eq!(group::list(store, &within(Reach::Everything)).await.unwrap().total, 2);
        assert_eq!(refused(group::delete(store, &context(), Authority::System, a).await), Refusal::InUse);
        let same = Definition { name: "B".to_owned(), ..Definition::default() };
        assert_eq!(refused(group::create(store, &context(), Authority::System, &same).await), Refusal::NameTaken);
        let change = wanted(&[0, 2, 3, 77], &[1, 5, 78], Reach::Everything);
        let changed = group::change_members(store, &context(), Authority::System, b, &change).await.unwrap();
        let changes: Vec<MemberChange> = changed.into_iter().map(|(_, change)| change).collect();
        assert_eq!(changes, [
            MemberChange::Added, MemberChange::AlreadyIn, MemberChange::Added, MemberChange::Unknown,
            MemberChange::Removed, MemberChange::NotIn, MemberChange::Unknown,
        ]);
        let members = group::members(store, b, Paging::default()).await.unwrap();
        assert_eq!(members.items.iter().map(|member| member.vm).collect::<BTreeSet<_>>(), ids(&[0, 2, 3]));
        group::delete(store, &context(), Authority::System, b).await.unwrap();
        user::delete(store, &context(), Authority::System, ada.id).await.unwrap();
        group::delete(store, &context(), Authority::System, a).await.unwrap();
    }

    /// What somebody may do in one group, he would get for the VMs of another one by moving them.
    async fn nobody_widens_a_group_by_what_he_may_not_do_everything_with(database: Database) {
        let (a, b) = fleet(&database).await;
        let store = database.store();
        let reader = made_role(store, "reader", &["vm.read"], &[]).await;
        let ada = person_with(store, "ada", OPERATOR, Scope::Group(a)).await;
        give(store, &ada, reader.id, Scope::Group(b)).await;
        let rights_of_ada = rights(store, &ada).await;
        let by = Authority::Of(&rights_of_ada);
        let change = wanted(&[2, 3, 1], &[0], rights_of_ada.reach(&permission("vm.read")));
        let changed = group::change_members(store, &context(), by, a, &change).await.unwrap();
        let changes: Vec<MemberChange> = changed.into_iter().map(|(_, change)| change).collect();
        assert_eq!(changes, [
            MemberChange::Denied, MemberChange::Unknown, MemberChange::AlreadyIn, MemberChange::Removed,
        ]);
        let blind = made_role(store, "blind", &["!ledger"], &[]).await;
        give(store, &ada, blind.id, Scope::Group(a)).await;
        let bound = rights(store, &ada).await;
        let free = wanted(&[], &[1], bound.reach(&permission("vm.read")));
        let changed = group::change_members(store, &context(), Authority::Of(&bound), a, &free).await.unwrap();
        assert_eq!(changed[0].1, MemberChange::Denied, "it would free the machine of what binds him");
    }
}
