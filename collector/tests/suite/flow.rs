//! Who waits for whom: limits, and live samples beside a backlog.

use crate::support::{Agent, BEGIN_US, Site, VMS, database, host, number, stored, until};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;
use tokio::task::JoinSet;
use vmscope_link::Role;
use vmscope_store::{Flavor, on_both_flavors};

/// Ticks in one frame of a backlog.
const FRAME: u64 = 128;

/// Frames that a backlog keeps on their way; enough to fill what backlog may have of the budget.
const WINDOW: u64 = 250;

/// Rows of backlog in a transaction, at most, while live frames come: the collector's constant and one frame more.
const BACKLOG_ROWS: u64 = 10_000 + FRAME * (1 + VMS as u64);

fn now_us() -> i64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970");
    i64::try_from(since.as_micros()).expect("a while to go")
}

/// Sends ticks that are days old as fast as they are taken, until told to stop; gives the last one, which is committed.
async fn drain(mut agent: Agent, enough: Arc<AtomicBool>) -> u64 {
    let (mut sent, mut acknowledged) = (0, 0);
    while !enough.load(Ordering::Acquire) {
        agent.send(1, sent + 1..=sent + FRAME).await;
        sent += FRAME;
        if sent - acknowledged >= WINDOW * FRAME {
            acknowledged += FRAME;
            agent.acknowledged(1, acknowledged).await;
        }
    }
    agent.acknowledged(1, sent).await;
    sent
}

on_both_flavors! {
    async fn a_backlog_does_not_delay_live_samples(database: Database) {
        let site = Site::start_with(database.url(), |config| {
            config.database.writers = std::num::NonZeroU16::MIN;
        })
        .await;
        let enough = Arc::new(AtomicBool::new(false));
        let mut backlogs = JoinSet::new();
        for number in 1..=3 {
            // Its clock is right, so its ticks are old.
            let agent = site.agent_at(host(number), now_us()).await;
            backlogs.spawn(drain(agent, Arc::clone(&enough)));
        }
        let rows = async || site.metric("vmscope_collector_rows_total").await;
        let queued = async || site.metric("vmscope_collector_queue").await * FRAME * u64::from(1 + VMS);
        until("backlog for many transactions", async || queued().await > 8 * BACKLOG_ROWS).await;
        let mut live = site.agent(host(9)).await;
        // Before the first live frame, transactions are large.
        live.send(1, 1..=1).await;
        live.acknowledged(1, 1).await;
        let begun = rows().await;
        for sequence in 2..=20 {
            until("backlog that could stand before it", async || queued().await > 6 * BACKLOG_ROWS).await;
            let before = rows().await;
            live.send(1, sequence..=sequence).await;
            live.acknowledged(1, sequence).await;
            // The transaction under way, its own, and one for each of the two looks at the counter.
            let between = rows().await - before;
            assert!(between <= 4 * BACKLOG_ROWS, "{between} rows before a live frame");
        }
        assert!(rows().await - begun > 6 * BACKLOG_ROWS, "the backlog went on meanwhile");
        enough.store(true, Ordering::Release);
        let mut ticks = 20;
        while let Some(sent) = backlogs.join_next().await {
            ticks += i64::try_from(sent.expect("drained")).expect("a few");
        }
        assert_eq!(site.metric("vmscope_collector_duplicates_total").await, 0);
        assert!(site.metric("vmscope_collector_backlog_frames_total").await > 0);
        site.stop().await;
        let stored = stored(&database).await;
        let vms = ticks * i64::from(VMS);
        assert_eq!((stored.hosts, stored.vms, stored.distinct), (ticks, vms, vms));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_catches_up_does_not_overtake_itself() {
    let database = database(Flavor::Postgres).await;
    let site = Site::start(database.url()).await;
    // Half of what it sends is old by its own clock.
    let (half, last) = (1_000, 2_000);
    let mut agent = site.agent_at(host(1), BEGIN_US + 1_030 * 1_000_000).await;
    for first in (1..last).step_by(10) {
        agent.send(1, first..=first + 9).await;
    }
    agent.acknowledged(1, last).await;
    let old_frames = site.metric("vmscope_collector_backlog_frames_total").await;
    assert!(
        (half / 10 - 10..=half / 10 + 10).contains(&old_frames),
        "{old_frames}"
    );
    assert_eq!(site.metric("vmscope_collector_duplicates_total").await, 0);
    site.stop().await;
    assert_eq!(stored(&database).await.hosts, 2_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_beyond_its_limit_is_read_later_and_loses_nothing() {
    let database = database(Flavor::Postgres).await;
    let site = Site::start_with(database.url(), |config| {
        config.limits.host_rows_per_s = number(400);
    })
    .await;
    let mut agent = site.agent(host(1)).await;
    for first in (1..=200).step_by(20) {
        agent.send(1, first..=first + 19).await;
    }
    agent.acknowledged(1, 200).await;
    assert!(site.metric("vmscope_collector_paced_total").await > 0);
    site.stop().await;
    assert_eq!(stored(&database).await.hosts, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_comes_too_often_is_refused_and_the_others_are_not() {
    let database = database(Flavor::Postgres).await;
    let site = Site::start_with(database.url(), |config| {
        config.limits.host_sessions_per_min = number(2);
    })
    .await;
    for _ in 0..2 {
        site.agent(host(1)).await;
    }
    let mut third = site.dial(&Role::Agent(host(1))).await;
    third.greet(BEGIN_US).await;
    assert_eq!(third.refusal().await, "too_many_sessions");
    assert_eq!(site.refused("too_many_sessions").await, 1);
    site.agent(host(2)).await;
    site.stop().await;
}
