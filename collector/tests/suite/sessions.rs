//! Sessions and collectors as the database shows them, and two collectors over one database.

use crate::support::{BEGIN_US, Site, database, host, stored, until};
use std::sync::Arc;
use vmscope_link::Authority;
use vmscope_model::Position;
use vmscope_store::{Flavor, collector, on_both_flavors, session, size};

on_both_flavors! {
    async fn a_session_taken_over_at_another_collector_ends_and_stores_nothing_more(database: Database) {
        let authority = Arc::new(Authority::create("test").expect("an authority"));
        let north = Site::start_as("north", Arc::clone(&authority), database.url(), |_| {}).await;
        let south = Site::start_as("south", authority, database.url(), |_| {}).await;
        let (mut at_north, mut other) = (north.agent(host(1)).await, north.agent(host(2)).await);
        at_north.send(1, 1..=3).await;
        at_north.acknowledged(1, 3).await;

        let mut at_south = south.agent(host(1)).await;
        assert_eq!(at_south.committed, [Position { epoch: 1, sequence: 3 }]);
        at_north.send(1, 4..=5).await;
        other.send(1, 1..=9).await;
        assert_eq!(at_north.peer.refusal().await, "replaced");
        assert_eq!(north.refused("replaced").await, 1);
        other.acknowledged(1, 9).await;
        assert_eq!(stored(&database).await.hosts, 3 + 9);
        at_south.send(1, 4..=7).await;
        at_south.acknowledged(1, 7).await;
        assert_eq!(south.metric("vmscope_collector_duplicates_total").await, 0);

        let held = session::get(database.store(), host(1)).await.expect("read").expect("a session");
        assert_eq!((held.collector.as_str(), held.fence, held.disconnected_at), ("south", 2, None));
        north.stop().await;
        south.stop().await;
        let stored = stored(&database).await;
        assert_eq!((stored.hosts, stored.distinct), (7 + 9, (7 + 9) * 3));
    }

    async fn the_end_of_a_session_is_noted(database: Database) {
        let site = Site::start(database.url()).await;
        let agent = site.agent(host(1)).await;
        let read = async || session::get(database.store(), host(1)).await.expect("read").expect("a session");
        let held = read().await;
        assert!(held.connected);
        assert_eq!((held.collector.as_str(), held.agent_version.as_str()), ("test", "test"));
        assert!(held.remote.starts_with("127.0.0.1:"), "{}", held.remote);
        drop(agent);
        until("the end of the session", async || read().await.disconnected_at.is_some()).await;
        assert!(!read().await.connected);
        site.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_tells_how_it_is_until_it_stops() {
    let database = database(Flavor::Postgres).await;
    let site = Site::start(database.url()).await;
    let mut agent = site.agent(host(1)).await;
    agent.send(1, 1..=10).await;
    agent.acknowledged(1, 10).await;
    let read = async || collector::list(database.store()).await.expect("read").remove(0);
    until("a heartbeat after the commit", async || {
        read().await.pulse.rows_total == 40
    })
    .await;
    let seen = read().await;
    assert!(seen.alive);
    assert_eq!(
        (seen.introduction.name.as_str(), seen.introduction.writers),
        ("test", 2)
    );
    assert_eq!(seen.introduction.address, site.collector.address.to_string());
    assert_eq!((seen.pulse.sessions, seen.pulse.rows_in_flight), (1, 0));
    let told = async || collector::activities(database.store()).await.expect("read");
    let done = async |name: &str| told().await.iter().any(|work| work.name == name && work.done);
    for name in ["database_size", "partitions", "retention"] {
        until("word of periodic work", async || done(name).await).await;
    }
    let (from, to) = (seen.introduction.started_at, jiff::Timestamp::now());
    assert_eq!(
        size::list(database.store(), from, to).await.expect("read").len(),
        1
    );
    site.stop().await;
    let seen = read().await;
    assert!(!seen.alive && seen.stopped_at.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_is_seen_and_changes_no_sample() {
    let database = database(Flavor::Postgres).await;
    let site = Site::start(database.url()).await;
    let now_us = jiff::Timestamp::now().as_microsecond();
    let mut agent = site.agent_at(host(1), now_us + 3_600_000_000).await;
    assert_eq!(site.metric("vmscope_collector_clocks_off").await, 1);
    agent.send(1, 1..=1).await;
    agent.acknowledged(1, 1).await;
    let held = session::get(database.store(), host(1))
        .await
        .expect("read")
        .expect("a session");
    // What passed before the hello was heard is all that may be missing of the hour.
    assert!(
        (3_500_000_000..=3_601_000_000).contains(&held.clock_offset_us),
        "{}",
        held.clock_offset_us
    );
    assert_eq!(
        held.last_sample_at.expect("a sample").as_microsecond(),
        BEGIN_US + 1_000_000
    );
    drop(agent);
    site.agent_at(host(1), jiff::Timestamp::now().as_microsecond())
        .await;
    assert_eq!(site.metric("vmscope_collector_clocks_off").await, 0);
    site.stop().await;
}
