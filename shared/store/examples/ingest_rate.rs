//! How fast the writer is beside `psql \copy`: 300,000 VM rows, both into a table of their own database.
//!
//! `cargo run --release -p vmscope-store --features testing --example ingest_rate [timescale]`, with the servers of
//! `packaging/dev/services` up.

use std::process::Command;
use std::time::Instant;
use uuid::Uuid;
use vmscope_model::{Entity, HostId, Kind, Table, Tick, Value, VmId, catalogue};
use vmscope_store::ingest::{HostBatch, Writer};
use vmscope_store::{Flavor, entity, session, testing::Database};

const HOSTS: i64 = 20;
const VMS: usize = 50;
const TICKS: u64 = 300;

/// A tick in which every VM has all metrics, and each its own numbers.
fn tick(sequence: u64, vm_ids: &[i32]) -> Tick {
    let mut table = Table::new(Kind::Vm);
    for id in vm_ids {
        let row = table.push(id.cast_unsigned());
        for (value, column) in row.iter_mut().zip(0_i64..) {
            *value = Value::new(sequence.cast_signed() * 1_000_003 + i64::from(*id) * 977 + column);
        }
        for column in [
            catalogue::vm::STATE,
            catalogue::vm::STATE_REASON,
            catalogue::vm::MEMORY_USED_SOURCE,
        ] {
            row[column] = Value::new(1);
        }
        row[catalogue::vm::VCPU_CURRENT] = Value::new(2);
    }
    Tick {
        time_us: 1_795_348_800_000_000 + sequence.cast_signed() * 1_000_000,
        tables: vec![table],
        ..Tick::default()
    }
}

fn opening(host_id: i32) -> session::Opening {
    session::Opening {
        host_id,
        collector: "measurement".to_owned(),
        remote: String::new(),
        agent_version: String::new(),
        clock_offset_us: 0,
    }
}

#[tokio::main]
#[expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement: what fails must stop it, and it prints"
)]
async fn main() {
    let flavor = if std::env::args().nth(1).as_deref() == Some("timescale") {
        Flavor::Timescale
    } else {
        Flavor::Postgres
    };
    let database = Database::create(flavor).await.unwrap();
    let mut batches = Vec::new();
    for host in 0..HOSTS {
        let uuid = |number: usize| Uuid::from_u64_pair(host.cast_unsigned(), number as u64);
        let host_id = entity::register_host(database.store(), HostId(uuid(0)))
            .await
            .unwrap();
        let entities: Vec<_> = (1..=VMS).map(|vm| Entity::Vm(VmId(uuid(vm)))).collect();
        let vm_ids = entity::resolve(database.store(), host_id, &entities)
            .await
            .unwrap();
        let ticks = (1..=TICKS)
            .map(|sequence| (sequence, tick(sequence, &vm_ids)))
            .collect();
        batches.push(HostBatch {
            host_id,
            fence: session::begin(database.store(), &opening(host_id)).await.unwrap(),
            epoch: 1,
            ticks,
        });
    }
    let mut writer = Writer::connect(database.url()).await.unwrap();
    let begin = Instant::now();
    let committed = writer.commit(&batches).await.unwrap();
    let writer_s = begin.elapsed().as_secs_f64();
    println!("{flavor:?} writer: {} rows in {writer_s:.2} s", committed.rows);

    let file = std::env::temp_dir().join(format!("vmscope-ingest-rate-{}.bin", std::process::id()));
    let psql = |command: String| {
        let begin = Instant::now();
        assert!(
            Command::new("psql")
                .args(["-qX", database.url(), "-c", &command])
                .status()
                .unwrap()
                .success()
        );
        begin.elapsed().as_secs_f64()
    };
    psql(format!(
        "\\copy (SELECT * FROM vm_sample ORDER BY entity_id, time) TO '{}' (FORMAT binary)",
        file.display()
    ));
    psql("TRUNCATE vm_sample".to_owned());
    let psql_s = psql(format!(
        "\\copy vm_sample FROM '{}' (FORMAT binary)",
        file.display()
    ));
    std::fs::remove_file(&file).unwrap();
    println!(
        "{flavor:?} psql: the same in {psql_s:.2} s; the writer takes {:.0} %",
        100.0 * writer_s / psql_s
    );
    database.close().await.unwrap();
}
