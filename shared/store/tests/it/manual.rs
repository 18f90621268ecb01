//! Machines that people enter, machines that are gone, and the whole list by every filter and order.

use crate::fixture::{Cells, batch, host_uuid, known, tick, vm_uuid};
use crate::inventory::{inside, labels, ruled};
use crate::people::{context, give, made_role, permission, person, person_with, refused, rights};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;
use vmscope_model::access::{Effective, OPERATOR, Reach, Scope, Subject};
use vmscope_model::catalogue::vm as metric;
use vmscope_model::{Entity, Fact, Kind, Tick, VmFacts, VmId};
use vmscope_store::access::{Authority, Refusal};
use vmscope_store::ingest::Writer;
use vmscope_store::testing::Database;
use vmscope_store::vm::{self, Archived, Change, Definition, Filter, Range, Sort, Vm};
use vmscope_store::{Order, Paging, Store, entity, on_both_flavors, overview};

const DAY: Duration = Duration::from_hours(24);

/// Whether a machine should be listed.
type Wanted = Box<dyn Fn(&Vm) -> bool>;

async fn named(store: &Store, filter: &Filter) -> Vec<String> {
    let part = vm::list(store, filter).await.unwrap();
    part.items.into_iter().map(|vm| vm.name).collect()
}

async fn only(store: &Store, id: VmId) -> Vm {
    vm::get(store, id, &Reach::Everything).await.unwrap().unwrap()
}

fn manual(name: &str) -> Definition {
    Definition {
        name: name.to_owned(),
        ..Definition::default()
    }
}

/// 60 machines on two hosts, of few names, states and sizes, so that most keys are equal; some say nothing.
async fn fleet(database: &Database) {
    let now_us = Timestamp::now().as_microsecond();
    let mut writer = Writer::connect(database.url()).await.unwrap();
    for host in 0..2_u128 {
        let (host_id, _) = known(database.store(), host, 0).await;
        let numbers: Vec<u128> = (host * 30..host * 30 + 30).collect();
        let entities: Vec<Entity> = numbers
            .iter()
            .map(|number| Entity::Vm(vm_uuid(*number)))
            .collect();
        let ids = entity::resolve(database.store(), host_id, &entities)
            .await
            .unwrap();
        let small = |number: u128, of: u128| i64::try_from(number % of).unwrap();
        let cells: Vec<Vec<(usize, i64)>> = numbers
            .iter()
            .map(|number| match number % 5 {
                0 => vec![(metric::STATE, 1)],
                _ => vec![
                    (metric::STATE, 1 + small(*number, 3)),
                    (metric::VCPU_CURRENT, small(*number, 4)),
                    (metric::MEMORY_MAXIMUM_BYTES, small(*number, 7) << 30),
                ],
            })
            .collect();
        let rows: Vec<(i32, Cells<'_>)> = ids
            .iter()
            .zip(&cells)
            .map(|(id, cells)| (*id, cells.as_slice()))
            .collect();
        let name = |number: &u128| {
            Fact::Vm(VmFacts {
                vm: vm_uuid(*number),
                name: format!("vm-{}", number % 6),
            })
        };
        let tick = Tick {
            facts: numbers.iter().map(name).collect(),
            ..tick(now_us, Kind::Vm, &rows[..25])
        };
        writer
            .commit(&[batch(host_id, 1, vec![(1, tick)])])
            .await
            .unwrap();
    }
}

fn keys(order: &[(Sort, bool)]) -> Vec<Order<Sort>> {
    let key = |(by, descending): &(Sort, bool)| Order {
        by: *by,
        descending: *descending,
    };
    order.iter().map(key).collect()
}

on_both_flavors! {
    async fn a_manual_machine_is_entered_changed_and_deleted(database: Database) {
        let store = database.store();
        let (host_id, _) = known(store, 1, 1).await;
        let by = Authority::System;
        let web = ruled(store, "web", "name ~ \"web*\" and label.env = prod", &[]).await;
        let definition = Definition { host: Some(host_uuid(1)), labels: labels(&[("env", "prod")]), description: "in the cellar".to_owned(), ..manual("Web-9") };
        let id = vm::create(store, &context(), by, &definition).await.unwrap();
        let made = only(store, id).await;
        assert_eq!((made.manual, made.host, made.state, made.description.as_str()), (true, Some(host_uuid(1)), None, "in the cellar"));
        let count = async || vmscope_store::group::get(store, web.id).await.unwrap().unwrap().members;
        assert_eq!(count().await, 1);
        let search = |text: &str| Filter { search: text.to_owned(), ..Filter::default() };
        for text in ["WEB-9", "cellar", "env=prod", &id.to_string()[..13]] {
            assert_eq!(named(store, &search(text)).await, ["Web-9"], "{text}");
        }
        let change = Change { name: Some("db-9".to_owned()), host: Some(None), ..Change::default() };
        vm::change(store, &context(), by, id, &change).await.unwrap();
        let changed = only(store, id).await;
        assert_eq!((changed.host, changed.host_name.as_str(), changed.description.as_str()), (None, "", "in the cellar"));
        assert_eq!((count().await, named(store, &search("web-9")).await.len()), (0, 0));
        let agents = vm::change(store, &context(), by, vm_uuid(0), &change).await;
        assert_eq!(refused(agents), Refusal::NotManual);
        assert_eq!(refused(vm::delete(store, &context(), vm_uuid(0)).await), Refusal::NotManual);
        let nowhere = Definition { host: Some(host_uuid(77)), ..manual("x") };
        assert_eq!(refused(vm::create(store, &context(), by, &nowhere).await), Refusal::Unknown("host"));
        // That an agent names it changes nothing before it has samples of it.
        entity::resolve(store, host_id, &[Entity::Vm(id)]).await.unwrap();
        vm::delete(store, &context(), id).await.unwrap();
        assert_eq!(vm::get(store, id, &Reach::Everything).await.unwrap(), None);
        assert_eq!(refused(vm::delete(store, &context(), id).await), Refusal::Unknown("vm"));
    }

    async fn a_manual_machine_opens_no_host(database: Database) {
        let store = database.store();
        known(store, 1, 1).await;
        let group = ruled(store, "own", "label.own exists", &[]).await;
        let ada = person_with(store, "ada", OPERATOR, Scope::Group(group.id)).await;
        let entered = Definition { labels: labels(&[("own", "")]), ..manual("mine") };
        let id = vm::create(store, &context(), Authority::System, &entered).await.unwrap();
        let onto = Change { host: Some(Some(host_uuid(1))), ..Change::default() };
        let ada: Effective = rights(store, &ada).await;
        let moved = vm::change(store, &context(), Authority::Of(&ada), id, &onto).await;
        assert!(matches!(refused(moved), Refusal::Escalation(_)));
        let renamed = Change { name: Some("ours".to_owned()), ..Change::default() };
        vm::change(store, &context(), Authority::Of(&ada), id, &renamed).await.unwrap();
        let writer = made_role(store, "writer", &["vm.write", "vm.read"], &[]).await;
        let bob = person(store, "bob").await;
        give(store, &bob, writer.id, Scope::All).await;
        let bob = rights(store, &bob).await;
        assert!(bob.allows(&permission("vm.write"), &Subject::installation()));
        let made = vm::create(store, &context(), Authority::Of(&bob), &entered).await;
        assert!(matches!(refused(made), Refusal::Escalation(_)));
        vm::create(store, &context(), Authority::Of(&bob), &manual("plain")).await.unwrap();
    }

    async fn a_machine_without_which_its_host_reports_is_archived_until_it_is_back(database: Database) {
        let store = database.store();
        let (alpha, vms) = known(store, 1, 3).await;
        let (beta, _) = known(store, 2, 0).await;
        let lost = entity::resolve(store, beta, &[Entity::Vm(vm_uuid(9))]).await.unwrap();
        vm::create(store, &context(), Authority::System, &manual("by hand")).await.unwrap();
        let mut writer = Writer::connect(database.url()).await.unwrap();
        let (now_us, hour_us) = (Timestamp::now().as_microsecond(), 3_600_000_000);
        let row = |vm: i32, hours: i64| tick(now_us - hours * hour_us, Kind::Vm, &[(vm, &[(metric::STATE, 1)])]);
        writer.commit(&[batch(beta, 1, vec![(1, row(lost[0], 48))])]).await.unwrap();
        writer.commit(&[batch(alpha, 1, vec![(1, row(vms[0], 30)), (2, row(vms[1], 23)), (3, row(vms[2], 0))])]).await.unwrap();
        assert_eq!(vm::archive(store, DAY).await.unwrap(), 1, "the silent host keeps its machine");
        assert_eq!(vm::archive(store, DAY).await.unwrap(), 0);
        let listed = async |archived| {
            let part = vm::list(store, &Filter { archived, ..Filter::default() }).await.unwrap();
            (part.items.len(), part.total)
        };
        assert_eq!(listed(Archived::Without).await, (4, 4));
        assert_eq!(listed(Archived::Only).await, (1, 1));
        assert_eq!(listed(Archived::With).await, (5, 5));
        assert!(only(store, vm_uuid(0)).await.archived_at.is_some(), "its page is still there");
        let counted = overview::get(store, &Reach::Everything, &Reach::Everything).await.unwrap();
        assert_eq!(counted.vms_by_state.iter().map(|(_, count)| count).sum::<i64>(), 4);
        writer.commit(&[batch(alpha, 1, vec![(4, row(vms[0], 0))])]).await.unwrap();
        assert_eq!(listed(Archived::Only).await, (0, 0));
    }

    async fn parts_and_pages_are_the_list_in_every_order(database: Database) {
        fleet(&database).await;
        let store = database.store();
        let all_keys = [Sort::Name, Sort::State, Sort::Host, Sort::LastSampleAt, Sort::Vcpus, Sort::MemoryMaximum, Sort::MemoryUsed, Sort::FirstSeenAt];
        let mut orders: Vec<Vec<Order<Sort>>> = all_keys.iter().flat_map(|by| [keys(&[(*by, false)]), keys(&[(*by, true)])]).collect();
        orders.push(keys(&[(Sort::Vcpus, true), (Sort::State, false), (Sort::Name, true)]));
        orders.push(keys(&[(Sort::Host, false), (Sort::MemoryMaximum, true), (Sort::LastSampleAt, true)]));
        for order in orders {
            let whole = Filter { order, paging: Paging { page: 1, page_size: 100 }, ..Filter::default() };
            let all: Vec<VmId> = vm::list(store, &whole).await.unwrap().items.into_iter().map(|vm| vm.id).collect();
            assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 60);
            let (mut pages, mut parts) = (Vec::new(), Vec::new());
            for page in 1..=9 {
                let filter = Filter { paging: Paging { page, page_size: 7 }, ..whole.clone() };
                pages.extend(vm::list(store, &filter).await.unwrap().items.into_iter().map(|vm| vm.id));
            }
            let mut filter = Filter { paging: Paging { page: 1, page_size: 7 }, ..whole.clone() };
            loop {
                let part = vm::list(store, &filter).await.unwrap();
                assert_eq!(part.total, 60);
                parts.extend(part.items.into_iter().map(|vm| vm.id));
                let Some(next) = part.next else { break };
                assert!(filter.takes(&next));
                filter.cursor = Some(next);
            }
            assert_eq!((&pages, &parts), (&all, &all), "{:?}", whole.order);
        }
    }

    async fn filters_and_statistics_are_what_counting_the_list_gives(database: Database) {
        fleet(&database).await;
        let store = database.store();
        let everything = Filter { paging: Paging { page: 1, page_size: 100 }, ..Filter::default() };
        let all = vm::list(store, &everything).await.unwrap().items;
        let memory_bytes = Range { min: Some(1_i64 << 30), max: Some(3 << 30) };
        let vcpus = Range { min: Some(1), max: Some(2) };
        let cases: Vec<(Filter, Wanted)> = vec![
            (Filter { vcpus, ..everything.clone() }, Box::new(|vm| vm.vcpus.is_some_and(|vcpus| (1..=2).contains(&vcpus)))),
            (Filter { memory_bytes, ..everything.clone() }, Box::new(|vm| vm.memory_maximum_bytes.is_some_and(|bytes| (1 << 30..=3 << 30).contains(&bytes)))),
            (Filter { reporting: Some(false), ..everything.clone() }, Box::new(|vm| !vm.reporting)),
            (Filter { host: Some(host_uuid(1)), search: "VM-3".to_owned(), ..everything.clone() }, Box::new(|vm| vm.host == Some(host_uuid(1)) && vm.name == "vm-3")),
            (Filter { state: Some(vm::State::Silent), ..everything.clone() }, Box::new(|vm| !vm.reporting || vm.state.is_none())),
            (Filter { state: Some(vm::State::Reported(2)), reporting: Some(true), ..everything.clone() }, Box::new(|vm| vm.state == Some(2))),
        ];
        for (filter, wanted) in cases {
            let expected: Vec<VmId> = all.iter().filter(|vm| wanted(vm)).map(|vm| vm.id).collect();
            let found = vm::list(store, &filter).await.unwrap();
            assert!(!expected.is_empty() && expected.len() < 60, "{filter:?}");
            assert_eq!(found.items.iter().map(|vm| vm.id).collect::<Vec<_>>(), expected, "{filter:?}");
            let counted = vm::statistics(store, &filter).await.unwrap();
            assert_eq!((counted.total, found.total), (expected.len().cast_signed() as i64, expected.len().cast_signed() as i64));
        }
        let even = ruled(store, "even", "name in (vm-0, vm-2, vm-4)", &[]).await;
        assert_eq!(inside(store, &even).await.len(), 30);
        let counted = vm::statistics(store, &Filter { group: Some(even.id), ..everything }).await.unwrap();
        assert_eq!(counted.hosts.iter().map(|host| host.count).collect::<Vec<_>>(), [15, 15]);
        assert_eq!((counted.groups[0].name.as_str(), counted.groups[0].count), ("even", 30));
        assert_eq!(counted.by_state.iter().map(|(_, count)| count).sum::<i64>(), 30);
    }
}
