//! Sessions and their fences: only the newest session of a host can write.

use crate::fixture::{FENCE, NOON_US, batch, count, host_uuid, known, opening, tick};
use std::time::Duration;
use vmscope_model::{Kind, catalogue};
use vmscope_store::collector::{self, Introduction};
use vmscope_store::ingest::{HostBatch, Writer};
use vmscope_store::session::{self, Filter, Sort};
use vmscope_store::{Error, Order, Paging, Store, on_both_flavors, progress};

/// A batch of one tick of one VM, in the session that has `fence`.
fn tick_of(host_id: i32, vm_id: i32, fence: i64, sequence: u64) -> HostBatch {
    let cells: &[(usize, i64)] = &[(catalogue::vm::CPU_TIME_NS, 1)];
    let time_us = NOON_US + sequence.cast_signed();
    let ticks = vec![(sequence, tick(time_us, Kind::Vm, &[(vm_id, cells)]))];
    HostBatch {
        fence,
        ..batch(host_id, 1, ticks)
    }
}

/// A collector that lives.
async fn introduce(store: &Store, name: &str) -> Introduction {
    let introduction = Introduction {
        name: name.to_owned(),
        version: "1.2.3".to_owned(),
        address: "192.0.2.1:8785".to_owned(),
        started_at: jiff::Timestamp::from_microsecond(NOON_US).unwrap(),
        writers: 2,
    };
    collector::introduce(store, &introduction).await.unwrap();
    introduction
}

async fn hosts(store: &Store, filter: &Filter) -> (Vec<String>, i64) {
    let page = session::list(store, filter).await.unwrap();
    (
        page.items.into_iter().map(|session| session.collector).collect(),
        page.total,
    )
}

on_both_flavors! {
    async fn a_session_that_was_taken_over_can_not_commit(database: Database) {
        let store = database.store();
        let (host_id, vm_ids) = known(store, 1, 1).await;
        let mut north = Writer::connect(database.url()).await.unwrap();
        north.commit(&[tick_of(host_id, vm_ids[0], FENCE, 1)]).await.unwrap();

        let fence = session::begin(store, &opening(host_id, "south")).await.unwrap();
        assert_eq!(fence, FENCE + 1);
        let refused = north.commit(&[tick_of(host_id, vm_ids[0], FENCE, 2)]).await.unwrap_err();
        assert!(matches!(&refused, Error::Fenced { batches } if *batches == [0]), "{refused:?}");
        assert!(!refused.is_transient());
        assert_eq!(count(&database, "vm_sample").await, 1);
        assert_eq!(progress::marks(store, host_id).await.unwrap()[0].sequence, 1);

        let mut south = Writer::connect(database.url()).await.unwrap();
        south.commit(&[tick_of(host_id, vm_ids[0], fence, 2)]).await.unwrap();
        assert_eq!(count(&database, "vm_sample").await, 2);
    }

    async fn old_batches_are_named_and_nothing_of_their_transaction_is_stored(database: Database) {
        let store = database.store();
        let mut batches = Vec::new();
        for host in 1..=4 {
            let (host_id, vm_ids) = known(store, host, host).await;
            batches.push(tick_of(host_id, vm_ids[0], FENCE, 1));
        }
        for taken in [1, 3] {
            session::begin(store, &opening(batches[taken].host_id, "south")).await.unwrap();
        }
        // A host without any session has no fence that could be right.
        let unknown = vmscope_store::entity::register_host(store, host_uuid(5)).await.unwrap();
        batches.push(HostBatch { host_id: unknown, ..batches[0].clone() });
        let mut writer = Writer::connect(database.url()).await.unwrap();
        let refused = writer.commit(&batches).await.unwrap_err();
        assert!(matches!(&refused, Error::Fenced { batches } if *batches == [1, 3, 4]), "{refused:?}");
        assert_eq!(count(&database, "vm_sample").await, 0);
        let rest = [batches[0].clone(), batches[2].clone()];
        assert_eq!(writer.commit(&rest).await.unwrap().ticks, 2);
    }

    async fn a_session_begins_when_the_commits_of_the_one_before_are_over(database: Database) {
        let (host_id, _) = known(database.store(), 1, 1).await;
        let client = database.client().await.unwrap();
        client.batch_execute("BEGIN; SELECT FROM host_session FOR SHARE").await.unwrap();
        let (store, opening) = (database.store().clone(), opening(host_id, "south"));
        let begun = tokio::spawn(async move { session::begin(&store, &opening).await });
        let waiting = "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
            AND query LIKE '-- begin_session%'";
        let waits = async {
            while count(&database, waiting).await == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), waits).await.expect("it never waited");
        assert_eq!(session::get(database.store(), host_uuid(1)).await.unwrap().unwrap().fence, FENCE);
        client.batch_execute("COMMIT").await.unwrap();
        assert_eq!(begun.await.unwrap().unwrap(), FENCE + 1);
    }

    async fn a_frozen_transaction_does_not_hold_up_a_session(database: Database) {
        let (host_id, _) = known(database.store(), 1, 1).await;
        let frozen = database.client().await.unwrap();
        frozen.batch_execute("BEGIN; SELECT FROM host_session FOR SHARE").await.unwrap();
        let fence = session::begin(database.store(), &opening(host_id, "south")).await.unwrap();
        assert_eq!(fence, FENCE + 1);
        assert!(frozen.batch_execute("COMMIT").await.is_err(), "its transaction was ended");
    }

    async fn only_the_newest_session_can_end_itself(database: Database) {
        let store = database.store();
        let (host_id, _) = known(store, 1, 1).await;
        let second = session::begin(store, &opening(host_id, "south")).await.unwrap();
        assert!(!session::end(store, host_id, FENCE).await.unwrap());
        let read = async || session::get(store, host_uuid(1)).await.unwrap().unwrap();
        assert_eq!(read().await.disconnected_at, None);
        assert!(session::end(store, host_id, second).await.unwrap());
        assert!(read().await.disconnected_at.is_some());
        session::begin(store, &opening(host_id, "south")).await.unwrap();
        assert_eq!(read().await.disconnected_at, None);
    }

    async fn a_session_is_connected_while_its_collector_lives(database: Database) {
        let store = database.store();
        introduce(store, "north").await;
        let (host_id, vm_ids) = known(store, 1, 1).await;
        let mut writer = Writer::connect(database.url()).await.unwrap();
        writer.commit(&[tick_of(host_id, vm_ids[0], FENCE, 1)]).await.unwrap();
        let read = async || session::get(store, host_uuid(1)).await.unwrap().unwrap();
        let seen = read().await;
        let told = opening(host_id, "north");
        assert_eq!(
            (seen.collector, seen.remote, seen.agent_version, seen.clock_offset_us, seen.fence),
            (told.collector, told.remote, told.agent_version, told.clock_offset_us, FENCE)
        );
        assert_eq!((seen.host, seen.connected), (host_uuid(1), true));
        assert_eq!(seen.last_sample_at.unwrap().as_microsecond(), NOON_US + 1);

        let client = database.client().await.unwrap();
        client.batch_execute("UPDATE collector SET heartbeat_at = now() - interval '16 s'").await.unwrap();
        assert!(!read().await.connected);
        // Started again, it has none of its old sessions.
        introduce(store, "north").await;
        let closed = read().await;
        assert!(!closed.connected && closed.disconnected_at.is_some());
        assert_eq!(session::get(store, host_uuid(9)).await.unwrap(), None);
    }

    async fn sessions_page_sort_and_filter(database: Database) {
        let store = database.store();
        introduce(store, "south").await;
        for (host, collector, clock_offset_us) in [(1, "north", 5), (2, "south", -9), (3, "south", 7)] {
            let (host_id, _) = known(store, host, 1).await;
            let opening = session::Opening { clock_offset_us, ..opening(host_id, collector) };
            session::begin(store, &opening).await.unwrap();
        }
        let all = Filter::default();
        assert_eq!(hosts(store, &all).await, (vec!["north".into(), "south".into(), "south".into()], 3));
        let second = Filter { paging: Paging { page: 2, page_size: 2 }, ..all.clone() };
        assert_eq!(hosts(store, &second).await, (vec!["south".into()], 3));
        let beyond = Filter { paging: Paging { page: 9, page_size: 2 }, ..all.clone() };
        assert_eq!(hosts(store, &beyond).await, (vec![], 3));
        let of_south = Filter { collector: Some("south".to_owned()), ..all.clone() };
        assert_eq!(hosts(store, &of_south).await.1, 2);
        let silent = Filter { connected: Some(false), ..all.clone() };
        assert_eq!(hosts(store, &silent).await, (vec!["north".into()], 1));
        let search = Filter { search: host_uuid(2).to_string(), ..all.clone() };
        assert_eq!(hosts(store, &search).await.1, 1);
        for by in [Sort::Host, Sort::LastSampleAt, Sort::ConnectedAt, Sort::ClockOffset] {
            let order = Order { by, descending: true };
            let sorted = session::list(store, &Filter { order, ..all.clone() }).await.unwrap();
            assert_eq!(sorted.total, 3, "{by:?}");
            if by == Sort::ClockOffset {
                let offsets: Vec<i64> = sorted.items.iter().map(|session| session.clock_offset_us).collect();
                assert_eq!(offsets, [-9, 7, 5]);
            }
        }
    }
}
