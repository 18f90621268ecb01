//! The writer: each tick exactly once.

use crate::fixture::{NOON_US, SECOND_US, batch, count, host_uuid, known, tick, vm_uuid};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_postgres::Client;
use vmscope_model::access::Reach;
use vmscope_model::{
    Cause, Fact, Gap, Group, Guest, GuestFacts, HostFacts, Kind, Position, Table, Tick, Value, VmFacts,
    catalogue,
};
use vmscope_store::ingest::{HostBatch, Writer};
use vmscope_store::testing::Database;
use vmscope_store::{Error, on_both_flavors, progress};

/// `count` ticks of all `vms` with a state and a counter.
fn ticks(vms: &[i32], count: u64) -> Vec<(u64, Tick)> {
    (1..=count)
        .map(|sequence| {
            let elapsed = sequence.cast_signed();
            let cells = [
                (catalogue::vm::STATE, 1),
                (catalogue::vm::CPU_TIME_NS, elapsed * 1000),
            ];
            let rows: Vec<_> = vms.iter().map(|vm| (*vm, &cells[..])).collect();
            (sequence, tick(NOON_US + elapsed * SECOND_US, Kind::Vm, &rows))
        })
        .collect()
}

/// Rows of VMs, and how many there would be if none were there twice.
async fn rows(database: &Database) -> (i64, i64) {
    let distinct = "(SELECT DISTINCT entity_id, time FROM vm_sample) AS d";
    (
        count(database, "vm_sample").await,
        count(database, distinct).await,
    )
}

/// Waits until a statement called `operation` waits for a lock; returns its backend.
async fn blocked_backend(client: &Client, operation: &str) -> i32 {
    let statement = "SELECT pid FROM pg_stat_activity WHERE datname = current_database()
        AND wait_event_type = 'Lock' AND query LIKE $1";
    let find = async {
        loop {
            if let Some(row) = client
                .query_opt(statement, &[&format!("-- {operation}%")])
                .await
                .unwrap()
            {
                return row.get(0);
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), find)
        .await
        .expect("the statement never waited")
}

/// Forwards one connection to the server of `url` and goes away, silently, when the server has been told to commit rows.
/// Returns the URL to connect to.
async fn relay_that_loses_the_answer_to_commit(url: &str) -> String {
    let config: tokio_postgres::Config = url.parse().unwrap();
    let server = format!("127.0.0.1:{}", config.get_ports()[0]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let through = url.replace(&server, &listener.local_addr().unwrap().to_string());
    tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut far = TcpStream::connect(server).await.unwrap();
        let (mut from_client, mut from_server) = (vec![0; 64 << 10], vec![0; 64 << 10]);
        let mut copied = false;
        loop {
            tokio::select! {
                read = near.read(&mut from_client) => {
                    let bytes = &from_client[..read.unwrap()];
                    far.write_all(bytes).await.unwrap();
                    let says = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
                    copied |= says(b"-- copy_samples");
                    if copied && says(b"COMMIT\0") {
                        drop(near);
                        // The server answers into the void, then sees the end.
                        let _ = far.read(&mut from_server).await;
                        return;
                    }
                }
                read = far.read(&mut from_server) => near.write_all(&from_server[..read.unwrap()]).await.unwrap(),
            }
        }
    });
    through
}

on_both_flavors! {
    async fn stores_values_as_the_catalogue_says(database: Database) {
        let (host_id, vm_ids) = known(database.store(), 1, 1).await;
        let mut writer = Writer::connect(database.url()).await.unwrap();
        let host: &[(usize, i64)] = &[(catalogue::host::LOAD_1M, 1500), (catalogue::host::CPU_USER_NS, i64::MAX)];
        let vm: &[(usize, i64)] = &[(catalogue::vm::STATE, 5), (catalogue::vm::DISK_READ_BYTES, -1)];
        let mut both = tick(NOON_US + 1, Kind::Host, &[(host_id, host)]);
        both.tables.extend(tick(0, Kind::Vm, &[(vm_ids[0], vm)]).tables);
        let committed = writer.commit(&[batch(host_id, 7, vec![(3, both)])]).await.unwrap();
        assert_eq!((committed.rows, committed.ticks, committed.duplicates), (2, 1, 0));
        assert_eq!(committed.marks, [(host_id, Position { epoch: 7, sequence: 3 })]);

        let client = database.client().await.unwrap();
        let stored = "SELECT h.load_1m, h.cpu_user_ns, h.uptime_s, v.state, v.disk_read_bytes,
            (extract(epoch FROM v.time) * 1000000)::int8 FROM host_sample h, vm_sample v";
        let row = client.query_one(stored, &[]).await.unwrap();
        assert_eq!((row.get::<_, f32>(0), row.get::<_, i64>(1)), (1.5, i64::MAX));
        assert_eq!(row.get::<_, Option<i64>>(2), None);
        assert_eq!((row.get::<_, i16>(3), row.get::<_, i64>(4), row.get::<_, i64>(5)), (5, -1, NOON_US + 1));
    }

    async fn a_replay_stores_only_what_is_new(database: Database) {
        let (host_id, vm_ids) = known(database.store(), 1, 5).await;
        let mut writer = Writer::connect(database.url()).await.unwrap();
        let all = ticks(&vm_ids, 10);
        writer.commit(&[batch(host_id, 1, all[..6].to_vec())]).await.unwrap();
        // Another writer, the same ticks and more, split over two batches.
        let mut other = Writer::connect(database.url()).await.unwrap();
        let split = [batch(host_id, 1, all[3..8].to_vec()), batch(host_id, 1, all[2..].to_vec())];
        let committed = other.commit(&split).await.unwrap();
        assert_eq!((committed.ticks, committed.duplicates, committed.rows), (4, 9, 20));
        assert_eq!(rows(&database).await, (50, 50));
        // The next run of the agent counts from 1 again.
        other.commit(&[batch(host_id, 2, vec![(1, Tick { time_us: NOON_US, ..Tick::default() })])]).await.unwrap();
        let marks = progress::marks(database.store(), host_id).await.unwrap();
        assert_eq!(marks, [Position { epoch: 1, sequence: 10 }, Position { epoch: 2, sequence: 1 }]);
    }

    async fn a_transaction_cut_off_leaves_nothing_and_can_be_repeated(database: Database) {
        let (host_id, vm_ids) = known(database.store(), 1, 20).await;
        let client = database.client().await.unwrap();
        client.batch_execute("BEGIN; SELECT FROM vm FOR UPDATE").await.unwrap();
        let batches = vec![batch(host_id, 1, ticks(&vm_ids, 50))];
        let url = database.url().to_owned();
        let (sent, mut writer) = (batches.clone(), Writer::connect(&url).await.unwrap());
        let committing = tokio::spawn(async move { writer.commit(&sent).await });
        // The rows are copied by now: the VMs' own rows come after them.
        let backend = blocked_backend(&database.client().await.unwrap(), "update_vms").await;
        client.execute("SELECT pg_terminate_backend($1)", &[&backend]).await.unwrap();
        let failed = committing.await.unwrap().unwrap_err();
        assert!(failed.is_transient(), "{failed:?}");
        client.batch_execute("COMMIT").await.unwrap();
        assert_eq!(rows(&database).await, (0, 0));

        let committed = Writer::connect(&url).await.unwrap().commit(&batches).await.unwrap();
        assert_eq!((committed.ticks, committed.duplicates), (50, 0));
        assert_eq!(rows(&database).await, (1000, 1000));
    }

    async fn a_commit_whose_answer_is_lost_is_not_repeated(database: Database) {
        let (host_id, vm_ids) = known(database.store(), 1, 20).await;
        let batches = [batch(host_id, 1, ticks(&vm_ids, 50))];
        let relayed = relay_that_loses_the_answer_to_commit(database.url()).await;
        let mut writer = Writer::connect(&relayed).await.unwrap();
        let failed = writer.commit(&batches).await.unwrap_err();
        assert!(failed.is_transient(), "{failed:?}");
        let committed = Writer::connect(database.url()).await.unwrap().commit(&batches).await.unwrap();
        assert_eq!((committed.ticks, committed.duplicates, committed.rows), (0, 50, 0));
    }

    async fn writers_that_share_hosts_neither_lock_up_nor_repeat(database: Database) {
        let mut hosts = Vec::new();
        for host in 0..6 {
            hosts.push(known(database.store(), host, 6).await);
        }
        let mut batches: Vec<HostBatch> =
            hosts.iter().zip(0..).map(|((host_id, vms), n)| batch(*host_id, 1, ticks(&vms[n..=n], 40))).collect();
        let writing: Vec<_> = (0..4).map(|_| {
            batches.rotate_left(2);
            let (url, batches) = (database.url().to_owned(), batches.clone());
            tokio::spawn(async move { Writer::connect(&url).await.unwrap().commit(&batches).await })
        }).collect();
        let mut new = 0;
        for written in writing {
            new += written.await.unwrap().unwrap().ticks;
        }
        assert_eq!(new, 6 * 40);
        assert_eq!(rows(&database).await, (240, 240));
    }

    async fn refuses_data_that_no_table_can_hold(database: Database) {
        let (host_id, vm_ids) = known(database.store(), 1, 1).await;
        let mut writer = Writer::connect(database.url()).await.unwrap();
        let mut short = ticks(&vm_ids, 1);
        short[0].1.tables = vec![Table { kind: Kind::Vm, entities: vec![1, 2], values: vec![Value::new(1)] }];
        let mut no_state = ticks(&vm_ids, 1);
        no_state[0].1.tables[0].values[catalogue::vm::STATE] = Value::new(1 << 40);
        let mut no_clock = ticks(&vm_ids, 1);
        no_clock[0].1.time_us = i64::MAX;
        for bad in [short, no_state, no_clock, vec![(u64::MAX, Tick { time_us: NOON_US, ..Tick::default() })]] {
            let refused = writer.commit(&[batch(host_id, 1, bad)]).await.unwrap_err();
            assert!(matches!(refused, Error::Shape { .. } | Error::Range { .. }), "{refused:?}");
            assert!(!refused.is_transient());
        }
        // And the same writer goes on.
        let committed = writer.commit(&[batch(host_id, 1, ticks(&vm_ids, 2))]).await.unwrap();
        assert_eq!((committed.ticks, committed.rows), (2, 2));
    }

    async fn facts_and_gaps_go_with_their_tick(database: Database) {
        let (host_id, _) = known(database.store(), 1, 0).await;
        let mut writer = Writer::connect(database.url()).await.unwrap();
        let facts = HostFacts {
            name: "node\0-1".to_owned(), cpu_count: 8, memory_bytes: 1 << 34, boot_time_us: NOON_US, ..HostFacts::default()
        };
        let gap = |vm| Gap {
            vm, group: Group::Dear, cause: Cause::Busy, from_us: NOON_US, to_us: NOON_US + 1, ticks: 1, lost: None,
        };
        let tick = Tick {
            time_us: NOON_US + 2,
            facts: vec![Fact::Host(facts), Fact::Vm(VmFacts { vm: vm_uuid(5), name: "web-1".to_owned() })],
            gaps: vec![gap(None), gap(Some(vm_uuid(6)))],
            ..Tick::default()
        };
        for _ in 0..2 {
            writer.commit(&[batch(host_id, 1, vec![(1, tick.clone())])]).await.unwrap();
        }
        let host = vmscope_store::host::get(database.store(), host_uuid(1), &Reach::Everything, &Reach::Everything).await.unwrap().unwrap();
        assert_eq!((host.name.as_str(), host.cpu_count, host.memory_bytes), ("node-1", 8, 1 << 34));
        assert_eq!(host.last_sample_at.unwrap().as_microsecond(), NOON_US + 2);
        let vm = vmscope_store::vm::get(database.store(), vm_uuid(5), &Reach::Everything).await.unwrap().unwrap();
        assert_eq!((vm.name.as_str(), vm.state), ("web-1", None));
        assert_eq!(count(&database, "gap").await, 2);
        let named = "gap JOIN vm ON vm.id = gap.vm_id WHERE cause = 'busy' AND metric_group = 'dear'";
        assert_eq!(count(&database, named).await, 1);
    }

    async fn a_guest_s_newest_word_is_kept(database: Database) {
        let (host_id, _) = known(database.store(), 1, 0).await;
        let mut writer = Writer::connect(database.url()).await.unwrap();
        let said = |host_name: &str, as_of_us| {
            let guest = Guest {
                host_name: host_name.to_owned(), users: vec!["o'\"\\u0000".to_owned()], user_count: Some(1), ..Guest::default()
            };
            let facts = GuestFacts { vm: vm_uuid(1), as_of_us, guest };
            Tick { time_us: NOON_US, facts: vec![Fact::Guest(facts)], ..Tick::default() }
        };
        let now_us = jiff::Timestamp::now().as_microsecond();
        let words = [
            ("ahead", now_us + 3_600 * SECOND_US), ("right", now_us - 10 * SECOND_US), ("late", now_us - 20 * SECOND_US),
        ];
        for (sequence, (name, as_of_us)) in (1..).zip(words) {
            writer.commit(&[batch(host_id, 1, vec![(sequence, said(name, as_of_us))])]).await.unwrap();
        }
        let (as_of, guest) = vmscope_store::guest::get(database.store(), vm_uuid(1)).await.unwrap().unwrap();
        assert_eq!((guest.host_name.as_str(), as_of.as_microsecond()), ("right", words[1].1));
        assert_eq!((guest.user_count, guest.users), (Some(1), vec!["o'\"\\u0000".to_owned()]));
        assert_eq!(vmscope_store::guest::get(database.store(), vm_uuid(2)).await.unwrap(), None);
    }
}
