//! Migrations, layout, partitions, retention.

use crate::fixture::{DAY_US, NOON_US, batch, count, known, tick};
use vmscope_model::metric::Behaviour;
use vmscope_model::{Kind, catalogue};
use vmscope_store::ingest::Writer;
use vmscope_store::testing::Database;
use vmscope_store::{Error, Flavor, Store, on_both_flavors, schema};

on_both_flavors! {
    async fn every_metric_has_its_columns_in_every_tier(database: Database) {
        let client = database.client().await.unwrap();
        for (kind, tier) in Kind::ALL.into_iter().flat_map(|kind| ["sample", "hour", "day"].map(|tier| (kind, tier))) {
            let columns = "SELECT column_name::text FROM information_schema.columns WHERE table_name = $1";
            let rows = client.query(columns, &[&format!("{kind}_{tier}")]).await.unwrap();
            let present: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
            for metric in catalogue::metrics(kind) {
                let suffixes: &[&str] = match metric.behaviour {
                    _ if tier == "sample" => &[""],
                    Behaviour::State(_) => &["_last", "_codes", "_seconds"],
                    Behaviour::Gauge | Behaviour::Counter => &["_min", "_max", "_last", "_avg", "_weight"],
                };
                for suffix in suffixes {
                    let column = format!("{}{suffix}", metric.name);
                    assert!(present.contains(&column), "{kind} {tier} {column}");
                }
            }
        }
    }

    async fn a_new_metric_becomes_a_column(database: Database) {
        let client = database.client().await.unwrap();
        let lacking = "ALTER TABLE nic_sample DROP COLUMN tx_drops; ALTER TABLE nic_day DROP COLUMN tx_drops_avg";
        client.batch_execute(lacking).await.unwrap();
        schema::migrate(database.store()).await.unwrap();
        client.batch_execute("SELECT tx_drops, tx_drops_avg FROM nic_sample, nic_day").await.unwrap();
    }

    async fn a_newer_schema_is_refused_untouched(database: Database) {
        let client = database.client().await.unwrap();
        let newer = "UPDATE refinery_schema_history SET version = 9999
            WHERE version = (SELECT max(version) FROM refinery_schema_history);
            ALTER TABLE nic_sample DROP COLUMN tx_drops";
        client.batch_execute(newer).await.unwrap();
        let refused = schema::migrate(database.store()).await.unwrap_err();
        assert!(matches!(refused, Error::NewerSchema { found: 9999, .. }), "{refused}");
        assert!(!refused.is_transient());
        assert!(matches!(schema::check(database.store()).await, Err(Error::NewerSchema { .. })));
        assert!(client.batch_execute("SELECT tx_drops FROM nic_sample").await.is_err());
    }

    async fn late_and_early_samples_find_their_day(database: Database) {
        let (host_id, vm_ids) = known(database.store(), 1, 1).await;
        let mut writer = Writer::connect(database.url()).await.unwrap();
        let cell: &[(usize, i64)] = &[(catalogue::vm::CPU_TIME_NS, 1)];
        let days = [-400, -1, 0, 40];
        let ticks = days.iter().zip(1..).map(|(day, sequence)| {
            (sequence, tick(NOON_US + day * DAY_US, Kind::Vm, &[(vm_ids[0], cell)]))
        });
        writer.commit(&[batch(host_id, 1, ticks.collect())]).await.unwrap();
        assert_eq!(count(&database, "vm_sample").await, 4);
    }
}

async fn migrates_at_once_from_many(flavor: Flavor) {
    let database = Database::create_empty(flavor).await.unwrap();
    assert!(matches!(
        schema::check(database.store()).await,
        Err(Error::OlderSchema { found: 0, .. })
    ));
    let opening: Vec<_> = (0..4)
        .map(|_| {
            let url = database.url().to_owned();
            tokio::spawn(async move { Store::open(&url).await })
        })
        .collect();
    for opened in opening {
        assert_eq!(opened.await.unwrap().unwrap().flavor().await.unwrap(), flavor);
    }
    schema::check(database.store()).await.unwrap();
    Store::open(database.url()).await.unwrap();
    database.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn timescale_migrates_at_once_from_many() {
    migrates_at_once_from_many(Flavor::Timescale).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_migrates_at_once_from_many() {
    migrates_at_once_from_many(Flavor::Postgres).await;
}

#[tokio::test]
async fn a_server_that_is_away_is_transient() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://nobody@{}/nothing", listener.local_addr().unwrap());
    drop(listener);
    let refused = Store::open(&url).await.unwrap_err();
    assert!(refused.is_transient(), "{refused:?}");
    let refused = schema::check(&Store::new(&url).unwrap()).await.unwrap_err();
    assert!(refused.is_transient(), "{refused:?}");
    assert!(!Store::new("postgres://:::").unwrap_err().is_transient());
}
