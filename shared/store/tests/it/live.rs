//! What those who begin to watch are told.

use crate::fixture::{batch, host_uuid, known, tick, vm_uuid};
use jiff::Timestamp;
use std::collections::HashMap;
use uuid::Uuid;
use vmscope_model::access::Reach;
use vmscope_model::catalogue::{host, vm};
use vmscope_model::{Kind, Tick};
use vmscope_store::access::Authority;
use vmscope_store::audit::{Actor, Context};
use vmscope_store::entity::Reference;
use vmscope_store::ingest::Writer;
use vmscope_store::live::{self, Last};
use vmscope_store::testing::Database;
use vmscope_store::{group, on_both_flavors};

fn context() -> Context {
    Context {
        actor: Actor::System {
            name: "test".to_owned(),
        },
        remote: String::new(),
        request_id: String::new(),
    }
}

async fn store(database: &Database, host_id: i32, ticks: Vec<Tick>) {
    let ticks = (1..).zip(ticks).collect();
    let mut writer = Writer::connect(database.url()).await.unwrap();
    writer.commit(&[batch(host_id, 1, ticks)]).await.unwrap();
}

/// Column, milliseconds before `now_us`, value.
fn told(last: &Last, now_us: i64) -> Vec<(usize, i64, f64)> {
    let told = |(column, time_us, value): &(usize, i64, f64)| (*column, (now_us - time_us) / 1000, *value);
    last.values.iter().map(told).collect()
}

on_both_flavors! {
    async fn the_last_values_are_the_newest_of_each_column_with_rates_of_counters(database: Database) {
        let (host_id, vms) = known(database.store(), 1, 4).await;
        let now_us = Timestamp::now().as_microsecond() / 1000 * 1000;
        let at = |ago_ms: i64, kind, rows: &[(i32, &[(usize, i64)])]| tick(now_us - ago_ms * 1000, kind, rows);
        let day_ms = 86_400_000;
        store(&database, host_id, vec![
            at(2 * day_ms, Kind::Vm, &[(vms[2], &[(vm::STATE, 1)])]),
            at(60_000, Kind::Vm, &[(vms[1], &[(vm::CPU_TIME_NS, 0), (vm::STATE, 5)])]),
            at(7_000, Kind::Vm, &[(vms[0], &[(vm::DISK_READ_BYTES, 1_000)])]),
            at(3_000, Kind::Vm, &[(vms[0], &[(vm::CPU_TIME_NS, 1_000_000_000), (vm::STATE, 3)])]),
            at(2_000, Kind::Vm, &[(vms[0], &[(vm::DISK_READ_BYTES, 6_000)])]),
            at(1_000, Kind::Vm, &[(vms[0], &[(vm::CPU_TIME_NS, 2_000_000_000), (vm::STATE, 1)]),
                (vms[1], &[(vm::CPU_TIME_NS, 9)])]),
            at(0, Kind::Host, &[(host_id, &[(host::LOAD_1M, 1_500)])]),
        ]).await;
        let wanted = [0, 1, 2, 3].map(|number| Reference::Vm(vm_uuid(number)));
        let host = Reference::Host(host_uuid(1));
        let last = live::last(database.store(), &[&wanted[..], &[host]].concat()).await.unwrap();
        let last: HashMap<Reference, Vec<_>> = last.iter().map(|last| (last.entity, told(last, now_us))).collect();
        let mut busy = last[&wanted[0]].clone();
        busy.sort_by_key(|(column, ..)| *column);
        let mut expected = vec![
            (vm::STATE, 1_000, 1.0), (vm::CPU_TIME_NS, 1_000, 0.5), (vm::DISK_READ_BYTES, 2_000, 1_000.0),
        ];
        expected.sort_by_key(|(column, ..)| *column);
        assert_eq!(busy, expected);
        assert_eq!(last[&wanted[1]], [(vm::STATE, 60_000, 5.0)], "no rate spans a hole");
        assert!(!last.contains_key(&wanted[2]), "nothing of it is from today");
        assert!(!last.contains_key(&wanted[3]));
        assert_eq!(last[&host], [(host::LOAD_1M, 0, 1.5)]);
    }

    async fn the_members_of_groups_are_told_at_once_and_a_group_that_is_not_there_is_left_out(database: Database) {
        known(database.store(), 1, 3).await;
        let definition = |name: &str| group::Definition { name: name.to_owned(), ..Default::default() };
        let full = group::create(database.store(), &context(), Authority::System, &definition("full")).await.unwrap();
        let empty = group::create(database.store(), &context(), Authority::System, &definition("empty")).await.unwrap();
        let wanted = group::Wanted {
            add: vec![vm_uuid(2), vm_uuid(0)], remove: Vec::new(), reach: Reach::Everything,
        };
        group::change_members(database.store(), &context(), Authority::System, full.id, &wanted).await.unwrap();
        let groups = [full.id, empty.id, Uuid::from_u128(5)];
        let members = live::members(database.store(), &groups).await.unwrap();
        let expected = HashMap::from([(full.id, vec![vm_uuid(0), vm_uuid(2)]), (empty.id, Vec::new())]);
        assert_eq!(members, expected);
    }
}
