//! The database goes away and comes back; nothing is lost, nothing comes twice, memory keeps its bound.

use crate::relay::Relay;
use crate::support::{Site, VMS, host, number, stored, until};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use vmscope_store::on_both_flavors;

/// Rows in memory in these tests: a dozen ticks.
const BUDGET: u32 = 50;

/// A relay to the server in `url`, and the URL through it.
async fn relayed(url: &str) -> (Relay, String) {
    let (scheme, rest) = url.split_once("://").expect("a URL");
    let (authority, path) = rest.split_once('/').expect("a database");
    let (user, server) = authority
        .rsplit_once('@')
        .map_or(("", authority), |(user, server)| (user, server));
    let server: SocketAddr = server
        .replace("localhost", "127.0.0.1")
        .parse()
        .expect("host and port");
    let relay = Relay::open(server).await;
    let at = if user.is_empty() { "" } else { "@" };
    let url = format!("{scheme}://{user}{at}{}/{path}", relay.address);
    (relay, url)
}

on_both_flavors! {
    async fn ended_connections_lose_nothing(database: Database) {
        let site = Site::start(database.url()).await;
        let mut agent = site.agent(host(1)).await;
        let last = 400;
        let sent = AtomicBool::new(false);
        let sending = async {
            for sequence in 1..=last {
                agent.send(1, sequence..=sequence).await;
            }
            agent.acknowledged(1, last).await;
            sent.store(true, Ordering::Release);
        };
        let cutting = async {
            let mut cut = 0;
            while !sent.load(Ordering::Acquire) {
                let before = site.metric("vmscope_collector_ticks_total").await;
                cut += database.cut_connections().await.expect("cut");
                // Cut without a pause, no commit would ever get through.
                let went_on = async || {
                    sent.load(Ordering::Acquire) || site.metric("vmscope_collector_ticks_total").await > before
                };
                until("progress after a cut", went_on).await;
            }
            cut
        };
        let ((), cut) = tokio::join!(sending, cutting);
        assert!(cut > 0);
        assert!(site.metric("vmscope_collector_database_retries_total").await > 0);
        site.stop().await;
        let stored = stored(&database).await;
        let rows = i64::try_from(last).expect("a few") * i64::from(VMS);
        assert_eq!((stored.hosts * i64::from(VMS), stored.vms, stored.distinct), (rows, rows, rows));
    }

    async fn a_database_that_is_away_stops_the_flow_and_loses_nothing(database: Database) {
        let (mut relay, url) = relayed(database.url()).await;
        let site = Site::start_with(&url, |config| config.database.rows_in_flight = number(BUDGET)).await;
        let mut agent = site.agent(host(1)).await;
        agent.send(1, 1..=1).await;
        agent.acknowledged(1, 1).await;
        relay.cut().await;
        let last = 200;
        let sending = async {
            for sequence in 2..=last {
                agent.send(1, sequence..=sequence).await;
            }
            agent.acknowledged(1, last).await;
        };
        let watching = async {
            site.ready(503).await;
            // Both parts of the budget fill up to the last tick that fits, and no further.
            let row = 1 + VMS;
            let kept = BUDGET / 4;
            let full = u64::from(kept / row * row + (BUDGET - kept) / row * row);
            until("full budget", async || site.metric("vmscope_collector_rows_in_flight").await == full).await;
            relay.mend().await;
        };
        tokio::join!(sending, watching);
        site.ready(200).await;
        assert_eq!(site.metric("vmscope_collector_rows_in_flight").await, 0);
        site.stop().await;
        let stored = stored(&database).await;
        assert_eq!((stored.hosts, stored.vms, stored.distinct), (200, 600, 600));
    }

    async fn a_collector_starts_before_its_database(database: Database) {
        let (mut relay, url) = relayed(database.url()).await;
        relay.cut().await;
        let site = Site::start(&url).await;
        site.ready(503).await;
        relay.mend().await;
        site.ready(200).await;
        let mut agent = site.agent(host(1)).await;
        agent.send(1, 1..=1).await;
        agent.acknowledged(1, 1).await;
        site.stop().await;
    }

    async fn a_collector_stops_while_its_database_is_away(database: Database) {
        let (mut relay, url) = relayed(database.url()).await;
        let site = Site::start(&url).await;
        let mut agent = site.agent(host(1)).await;
        agent.send(1, 1..=1).await;
        agent.acknowledged(1, 1).await;
        relay.cut().await;
        agent.send(1, 2..=3).await;
        site.ready(503).await;
        let ((), acknowledged) = tokio::join!(site.stop(), agent.drain());
        assert_eq!(acknowledged, 0);
        assert_eq!(stored(&database).await.hosts, 1);
    }
}
