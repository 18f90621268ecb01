//! A host whose wall clock is set, with the real agent and collector.

use anyhow::Context;
use std::time::Duration;
use tokio_postgres::Client;
use vmscope_harness::clock::Clock;
use vmscope_harness::site::{AgentOptions, Site, eventually};
use vmscope_store::Flavor;
use vmscope_store::testing::Database;

/// How long anything may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);
/// By how much the clock is set, in seconds.
const STEP_S: i32 = 600;

/// How many samples of the host were taken by a clock that was wrong by this many seconds, to a minute.
async fn samples(client: &Client, wrong_s: i64) -> anyhow::Result<i64> {
    let text = "SELECT count(*) FROM host_sample
        WHERE time BETWEEN now() + make_interval(secs => $1::int8::float8 - 60)
            AND now() + make_interval(secs => $1::int8::float8 + 1)";
    Ok(client.query_one(text, &[&wrong_s]).await?.get(0))
}

/// Lengths in seconds of the spans that steps of the clock have left, in the order in which they came.
async fn steps(client: &Client) -> anyhow::Result<Vec<i64>> {
    let text = "SELECT extract(epoch FROM to_at - from_at)::int8, vm_id, metric_group, ticks FROM gap
        WHERE cause = 'clock_step' ORDER BY ctid";
    let rows = client.query(text, &[]).await?;
    for row in &rows {
        let subject: (Option<i32>, &str, i64) = (row.get(1), row.get(2), row.get(3));
        anyhow::ensure!(subject == (None, "all", 0), "{subject:?}");
    }
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

async fn set(client: &Client, clock: &Clock, wrong_s: i32) -> anyhow::Result<()> {
    let before = steps(client).await?.len();
    clock.set(wrong_s)?;
    eventually(&format!("samples {wrong_s} s from now"), PATIENCE, async || {
        Ok(samples(client, wrong_s.into()).await? >= 3 && steps(client).await?.len() > before)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_set_loses_nothing_and_is_told_once() {
    let database = Database::create(Flavor::Postgres).await.unwrap();
    let site = Site::new(database.url()).unwrap();
    let clock = Clock::new(site.path("clock")).unwrap();
    let _collector = site.start_collector().unwrap();
    let host = site.add_host().unwrap();
    let options = AgentOptions {
        wrapper: clock.enter(),
        ..AgentOptions::new(site.collector_address)
    };
    let agent = site.start_agent(&host, &options).unwrap();
    let client = site.connect().await.unwrap();
    eventually("samples of now", PATIENCE, async || {
        Ok(samples(&client, 0).await? >= 3)
    })
    .await
    .unwrap();
    for wrong_s in [STEP_S, 0, -STEP_S] {
        set(&client, &clock, wrong_s).await.unwrap();
    }
    assert!(agent.stop().unwrap().success());

    let spans = steps(&client).await.unwrap();
    assert_eq!(spans.len(), 3, "once each: {spans:?}");
    for span_s in spans {
        let step_s = i64::from(STEP_S);
        assert!((step_s..step_s + 20).contains(&span_s), "{span_s} s");
    }
    let account = vmscope_harness::account::Account::read(&host.account_path()).unwrap();
    let verdict = account.compare(&client, host.id).await.unwrap();
    assert_eq!(verdict.faults, Vec::<String>::new(), "each sample is there once");
    check_cadence(&client).await.context("cadence").unwrap();
}

/// Whatever the clock said, the agent sampled each second.
async fn check_cadence(client: &Client) -> anyhow::Result<()> {
    let text = "SELECT count(*), (max(uptime_s) - min(uptime_s))::int8 FROM host_sample";
    let row = client.query_one(text, &[]).await?;
    let (samples, seconds): (i64, i64) = (row.get(0), row.get(1));
    anyhow::ensure!(samples >= seconds - 3, "{samples} samples in {seconds} s");
    Ok(())
}
