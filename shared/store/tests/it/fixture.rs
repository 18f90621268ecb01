//! Ticks by hand.

use uuid::Uuid;
use vmscope_model::{Entity, HostId, Kind, Table, Tick, Value, VmId};
use vmscope_store::ingest::HostBatch;
use vmscope_store::testing::Database;
use vmscope_store::{Store, entity, session};

/// 2026-11-22 12:00:00 UTC.
pub(crate) const NOON_US: i64 = 1_795_348_800_000_000;

/// A second, in microseconds.
pub(crate) const SECOND_US: i64 = 1_000_000;

/// The fence of each host's first session, in which [`batch`] comes.
pub(crate) const FENCE: i64 = 1;

/// A day, in microseconds.
pub(crate) const DAY_US: i64 = 86_400 * SECOND_US;

pub(crate) fn host_uuid(number: u128) -> HostId {
    HostId(Uuid::from_u128(0x1000 + number))
}

pub(crate) fn vm_uuid(number: u128) -> VmId {
    VmId(Uuid::from_u128(0x2000_0000 + number))
}

/// Makes a host and its first `vms` VMs known; returns their database ids.
pub(crate) async fn known(store: &Store, host: u128, vms: u128) -> (i32, Vec<i32>) {
    let host_id = entity::register_host(store, host_uuid(host)).await.unwrap();
    if session::get(store, host_uuid(host)).await.unwrap().is_none() {
        assert_eq!(
            session::begin(store, &opening(host_id, "north")).await.unwrap(),
            FENCE
        );
    }
    let entities: Vec<Entity> = (0..vms).map(|vm| Entity::Vm(vm_uuid(vm))).collect();
    let vm_ids = entity::resolve(store, host_id, &entities).await.unwrap();
    (host_id, vm_ids)
}

/// A session of a host at a collector.
pub(crate) fn opening(host_id: i32, collector: &str) -> session::Opening {
    session::Opening {
        host_id,
        collector: collector.to_owned(),
        remote: "192.0.2.7:4711".to_owned(),
        agent_version: "vmscope-agent 1.2.3".to_owned(),
        clock_offset_us: -1_500,
    }
}

/// One row's columns and values.
pub(crate) type Cells<'a> = &'a [(usize, i64)];

/// A tick with one row of `kind` for each entity.
pub(crate) fn tick(time_us: i64, kind: Kind, rows: &[(i32, Cells<'_>)]) -> Tick {
    let mut table = Table::new(kind);
    for (entity_id, cells) in rows {
        let row = table.push(entity_id.cast_unsigned());
        for (column, number) in *cells {
            row[*column] = Value::new(*number);
        }
    }
    Tick {
        time_us,
        tables: vec![table],
        ..Tick::default()
    }
}

pub(crate) fn batch(host_id: i32, epoch: u64, ticks: Vec<(u64, Tick)>) -> HostBatch {
    HostBatch {
        host_id,
        fence: FENCE,
        epoch,
        ticks,
    }
}

/// How many rows a query counts.
pub(crate) async fn count(database: &Database, from: &str) -> i64 {
    let client = database.client().await.unwrap();
    client
        .query_one(&format!("SELECT count(*) FROM {from}"), &[])
        .await
        .unwrap()
        .get(0)
}
