//! Lists of hosts and VMs, and the overview.

use crate::fixture::{Cells, batch, host_uuid, known, tick, vm_uuid};
use jiff::Timestamp;
use vmscope_model::access::Reach;
use vmscope_model::catalogue::vm;
use vmscope_model::{Fact, HostFacts, Kind, Tick, VmFacts};
use vmscope_store::ingest::Writer;
use vmscope_store::testing::Database;
use vmscope_store::vm::{Filter, Sort, State};
use vmscope_store::{Order, Paging, Part, Store, gap, host, on_both_flavors, overview};

const RUNNING: i64 = 1;
const SHUT_OFF: i64 = 5;

/// Two hosts: `alpha` with six VMs that report, odd ones shut off; `beta`, which fell silent an hour ago, with one.
async fn fleet(database: &Database) {
    let now_us = Timestamp::now().as_microsecond();
    let mut writer = Writer::connect(database.url()).await.unwrap();
    let (alpha, vm_ids) = known(database.store(), 1, 6).await;
    let (beta, _) = known(database.store(), 2, 0).await;
    let name = |number: u128| {
        Fact::Vm(VmFacts {
            vm: vm_uuid(number),
            name: format!("vm-{number}_x"),
        })
    };
    let host = |name: &str| {
        Fact::Host(HostFacts {
            name: name.to_owned(),
            ..HostFacts::default()
        })
    };
    let cells: Vec<Vec<(usize, i64)>> = (0..6)
        .map(|number| {
            vec![
                (vm::STATE, if number % 2 == 0 { RUNNING } else { SHUT_OFF }),
                (vm::STATE_REASON, 1),
            ]
        })
        .collect();
    let rows: Vec<(i32, Cells<'_>)> = vm_ids
        .iter()
        .zip(&cells)
        .map(|(id, cells)| (*id, cells.as_slice()))
        .collect();
    let cheap = Tick {
        facts: (0..6).map(name).chain([host("alpha")]).collect(),
        ..tick(now_us, Kind::Vm, &rows)
    };
    let memory: Cells<'_> = &[
        (vm::VCPU_CURRENT, 2),
        (vm::MEMORY_MAXIMUM_BYTES, 4096),
        (vm::MEMORY_USED_BYTES, 1024),
        (vm::MEMORY_USED_SOURCE, 3),
    ];
    let dear = tick(now_us + 1, Kind::Vm, &[(vm_ids[0], memory)]);
    let lost =
        vmscope_store::entity::resolve(database.store(), beta, &[vmscope_model::Entity::Vm(vm_uuid(6))])
            .await;
    let state: Cells<'_> = &[(vm::STATE, RUNNING)];
    let old = tick(now_us - 3_600_000_000, Kind::Vm, &[(lost.unwrap()[0], state)]);
    let old = Tick {
        facts: vec![host("beta"), name(6)],
        ..old
    };
    writer
        .commit(&[
            batch(alpha, 1, vec![(1, cheap), (2, dear)]),
            batch(beta, 1, vec![(1, old)]),
        ])
        .await
        .unwrap();
}

async fn names(store: &Store, filter: &Filter) -> (Vec<String>, i64) {
    let Part { items, total, .. } = vmscope_store::vm::list(store, filter).await.unwrap();
    (items.into_iter().map(|vm| vm.name).collect(), total)
}

on_both_flavors! {
    async fn vms_page_sort_and_filter(database: Database) {
        fleet(&database).await;
        let store = database.store();
        let second = Filter { paging: Paging { page: 2, page_size: 3 }, ..Filter::default() };
        assert_eq!(names(store, &second).await, (vec!["vm-3_x".into(), "vm-4_x".into(), "vm-5_x".into()], 7));
        let backwards = Filter {
            order: vec![Order { by: Sort::Name, descending: true }],
            paging: Paging { page: 1, page_size: 1 },
            ..Filter::default()
        };
        assert_eq!(names(store, &backwards).await, (vec!["vm-6_x".into()], 7));
        let by_state = vec![Order { by: Sort::State, descending: true }];
        let off = Filter { order: by_state, paging: Paging { page: 1, page_size: 3 }, ..Filter::default() };
        assert_eq!(names(store, &off).await.0, ["vm-1_x", "vm-3_x", "vm-5_x"]);
        let oldest = vec![Order { by: Sort::LastSampleAt, descending: false }];
        assert_eq!(names(store, &Filter { order: oldest, ..Filter::default() }).await.0[0], "vm-6_x");
        let by_host = vec![Order { by: Sort::Host, descending: true }];
        assert_eq!(names(store, &Filter { order: by_host, ..Filter::default() }).await.0[0], "vm-6_x");

        let of_beta = Filter { host: Some(host_uuid(2)), ..Filter::default() };
        assert_eq!(names(store, &of_beta).await, (vec!["vm-6_x".into()], 1));
        // vm-6_x was running too, an hour ago.
        let running = Filter { state: Some(State::Reported(1)), ..Filter::default() };
        assert_eq!(names(store, &running).await, (vec!["vm-0_x".into(), "vm-2_x".into(), "vm-4_x".into()], 3));
        let silent = Filter { state: Some(State::Silent), ..Filter::default() };
        assert_eq!(names(store, &silent).await, (vec!["vm-6_x".into()], 1));
        let search = |text: &str| Filter { search: text.to_owned(), ..Filter::default() };
        assert_eq!(names(store, &search("M-4_")).await, (vec!["vm-4_x".into()], 1));
        assert_eq!(names(store, &search("%")).await.1, 0);
        assert_eq!(names(store, &search("alpha\0")).await.1, 6);
        assert_eq!(names(store, &search("q\0")).await.1, 0);
        assert_eq!(names(store, &search(&vm_uuid(2).to_string())).await, (vec!["vm-2_x".into()], 1));
    }

    async fn a_vm_shows_what_its_newest_rows_said(database: Database) {
        fleet(&database).await;
        let vm = vmscope_store::vm::get(database.store(), vm_uuid(0), &Reach::Everything).await.unwrap().unwrap();
        assert_eq!((vm.state, vm.state_reason, vm.reporting), (Some(1), Some(1), true));
        assert_eq!((vm.host, vm.host_name.as_str()), (Some(host_uuid(1)), "alpha"));
        // The dear row came within the ten seconds and is in the same commit.
        assert_eq!((vm.vcpus, vm.memory_maximum_bytes), (Some(2), Some(4096)));
        assert_eq!((vm.memory_used_bytes, vm.memory_used_source), (Some(1024), Some(3)));
        let silent = vmscope_store::vm::get(database.store(), vm_uuid(6), &Reach::Everything).await.unwrap().unwrap();
        assert_eq!((silent.state, silent.reporting), (Some(1), false));
        assert_eq!(vmscope_store::vm::get(database.store(), vm_uuid(77), &Reach::Everything).await.unwrap(), None);
    }

    async fn a_vm_shows_a_value_as_soon_as_it_is_known_and_its_changes_to_ten_seconds(database: Database) {
        let (host_id, vm_ids) = known(database.store(), 1, 1).await;
        let now_us = Timestamp::now().as_microsecond();
        let mut writer = Writer::connect(database.url()).await.unwrap();
        let mut say = async |second: i64, cells: Cells<'_>| {
            let tick = tick(now_us + second * 1_000_000, Kind::Vm, &[(vm_ids[0], cells)]);
            let sequence = second.cast_unsigned() + 1;
            writer.commit(&[batch(host_id, 1, vec![(sequence, tick)])]).await.unwrap();
            vmscope_store::vm::get(database.store(), vm_uuid(0), &Reach::Everything).await.unwrap().unwrap()
        };
        let first = say(0, &[(vm::STATE, RUNNING)]).await;
        assert_eq!((first.state, first.vcpus, first.memory_used_bytes), (Some(1), None, None));
        let second = say(1, &[(vm::VCPU_CURRENT, 2), (vm::MEMORY_MAXIMUM_BYTES, 4096)]).await;
        assert_eq!((second.vcpus, second.memory_maximum_bytes, second.memory_used_bytes), (Some(2), Some(4096), None));
        assert_eq!(say(2, &[(vm::MEMORY_USED_BYTES, 1024)]).await.memory_used_bytes, Some(1024));
        assert_eq!(say(3, &[(vm::MEMORY_USED_BYTES, 2048)]).await.memory_used_bytes, Some(1024));
        assert_eq!(say(12, &[(vm::MEMORY_USED_BYTES, 3072)]).await.memory_used_bytes, Some(3072));
    }

    async fn a_late_row_does_not_take_a_vm_back(database: Database) {
        fleet(&database).await;
        let (beta, vm_ids) = known(database.store(), 2, 1).await;
        let mut writer = Writer::connect(database.url()).await.unwrap();
        let hour_ago_us = Timestamp::now().as_microsecond() - 3_600_000_000;
        let off: Cells<'_> = &[(vm::STATE, SHUT_OFF)];
        let name = Fact::Vm(VmFacts { vm: vm_uuid(0), name: "as it was called there".to_owned() });
        let late = Tick { facts: vec![name], ..tick(hour_ago_us, Kind::Vm, &[(vm_ids[0], off)]) };
        writer.commit(&[batch(beta, 2, vec![(1, late)])]).await.unwrap();
        let vm = vmscope_store::vm::get(database.store(), vm_uuid(0), &Reach::Everything).await.unwrap().unwrap();
        assert_eq!((vm.state, vm.host, vm.name.as_str()), (Some(1), Some(host_uuid(1)), "vm-0_x"));
    }

    async fn hosts_count_their_vms_by_state_and_silence(database: Database) {
        fleet(&database).await;
        let store = database.store();
        let all = host::list(store, &host::Filter::default()).await.unwrap();
        let seen: Vec<_> = all.items.iter().map(|host| (host.name.as_str(), host.reporting)).collect();
        assert_eq!((seen, all.total), (vec![("alpha", true), ("beta", false)], 2));
        assert_eq!(all.items[0].vms_by_state, [(Some(1), 3), (Some(5), 3)]);
        assert_eq!(all.items[1].vms_by_state, [(None, 1)]);
        let newest = vec![Order { by: host::Sort::LastSampleAt, descending: true }];
        let search = host::Filter { search: "A".to_owned(), order: newest, ..host::Filter::default() };
        let found = host::list(store, &search).await.unwrap();
        assert_eq!(found.items.iter().map(|host| host.name.as_str()).collect::<Vec<_>>(), ["alpha", "beta"]);
        assert_eq!(host::get(store, host_uuid(9), &Reach::Everything, &Reach::Everything).await.unwrap(), None);

        let fleet = overview::get(store, &Reach::Everything, &Reach::Everything).await.unwrap();
        assert_eq!((fleet.hosts_total, fleet.hosts_reporting), (2, 1));
        assert_eq!(fleet.vms_by_state, [(Some(1), 3), (Some(5), 3), (None, 1)]);
    }

    async fn gaps_of_the_vm_and_of_its_whole_host_are_listed(database: Database) {
        use vmscope_model::{Cause, Gap, Group};
        use vmscope_store::entity::Reference;
        let (host_id, _) = known(database.store(), 1, 2).await;
        let now_us = Timestamp::now().as_microsecond();
        let gap = |vm, minute: i64| Gap {
            vm, group: Group::Cheap, cause: Cause::Deadline,
            from_us: now_us - minute * 60_000_000, to_us: now_us - minute * 60_000_000 + 1000, ticks: 2, lost: None,
        };
        let gaps = vec![gap(None, 1), gap(Some(vm_uuid(0)), 2), gap(Some(vm_uuid(1)), 3), gap(None, 90)];
        let mut writer = Writer::connect(database.url()).await.unwrap();
        writer.commit(&[batch(host_id, 1, vec![(1, Tick { time_us: now_us, gaps, ..Tick::default() })])]).await.unwrap();
        let at = |minutes: i64| Timestamp::from_microsecond(now_us - minutes * 60_000_000).unwrap();
        let of_vm = gap::list(database.store(), Reference::Vm(vm_uuid(0)), at(60), at(0)).await.unwrap();
        assert_eq!(of_vm.iter().map(|gap| gap.from).collect::<Vec<_>>(), [at(2), at(1)]);
        assert_eq!((of_vm[0].cause.as_str(), of_vm[0].group.as_str(), of_vm[0].ticks), ("deadline", "cheap", 2));
        let of_host = gap::list(database.store(), Reference::Host(host_uuid(1)), at(60), at(0)).await.unwrap();
        assert_eq!(of_host.iter().map(|gap| gap.from).collect::<Vec<_>>(), [at(1)]);
    }
}
