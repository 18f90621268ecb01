//! How fast rollups are: an hour of samples of some hosts, one each second, as a multiple of the time that they were taken in.
//!
//! `cargo run --release -p vmscope-store --features testing --example rollup_rate [timescale] [HOSTS [VMS]]`, with the servers of
//! `packaging/dev/services` up.

use std::time::Instant;
use vmscope_store::rollup::{Rolled, Roller};
use vmscope_store::testing::{self, Database, Fleet};
use vmscope_store::{Error, Flavor};

/// The time of the samples.
const SECONDS: u32 = 3600;

#[tokio::main]
#[expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a measurement: what fails must stop it, and it prints"
)]
async fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let flavor = if arguments.first().is_some_and(|first| first == "timescale") {
        arguments.remove(0);
        Flavor::Timescale
    } else {
        Flavor::Postgres
    };
    let number = |place: usize, default| arguments.get(place).map_or(default, |text| text.parse().unwrap());
    let (hosts, vms) = (number(0, 10), number(1, 20));
    let database = Database::create(flavor).await.unwrap();
    let store = database.store();
    let fleet = Fleet {
        first: 1,
        hosts,
        vms,
        devices: 0,
    };
    let known = testing::make_known(store, fleet).await.unwrap();
    let from = "2026-11-20T12:00:00Z".parse().unwrap();
    let to = "2026-11-20T13:00:00Z".parse().unwrap();
    let begin = Instant::now();
    let written = testing::fill(store, &known, (from, to), 1).await.unwrap();
    println!(
        "{flavor:?}: {written} rows filled in {:.1} s",
        begin.elapsed().as_secs_f64()
    );
    for turn in ["first", "again"] {
        let begin = Instant::now();
        let rolled = roll(&database).await.unwrap();
        let took_s = begin.elapsed().as_secs_f64();
        println!(
            "{flavor:?} {turn}: {} rows into {} hours and {} days in {took_s:.2} s: {:.0} rows/s, {:.0} times the time of \
             {hosts} hosts with {vms} VMs",
            rolled.rows,
            rolled.hours,
            rolled.days,
            rolled.rows as f64 / took_s,
            f64::from(SECONDS) / took_s,
        );
        let client = database.client().await.unwrap();
        client
            .batch_execute("UPDATE ingest_progress SET dirty_from = '2026-11-20 12:00Z'")
            .await
            .unwrap();
    }
    let client = database.client().await.unwrap();
    for table in ["vm_sample", "vm_hour"] {
        let size = format!("SELECT avg(pg_column_size(t.*))::int8 FROM {table} t");
        let bytes: i64 = client.query_one(&size, &[]).await.unwrap().get(0);
        println!("{flavor:?}: a row of {table} takes {bytes} bytes");
    }
    database.close().await.unwrap();
}

async fn roll(database: &Database) -> Result<Rolled, Error> {
    let mut all = Rolled::default();
    if let Some(mut roller) = Roller::begin(database.store()).await? {
        for host in roller.due().await? {
            all += roller.roll(host).await?;
        }
        roller.end().await?;
    }
    Ok(all)
}
