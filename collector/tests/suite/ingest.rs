//! From frames to rows, on both kinds of database.

use crate::support::{Site, VMS, host, stored};
use vmscope_model::Position;
use vmscope_store::on_both_flavors;

on_both_flavors! {
    async fn frames_become_rows(database: Database) {
        let site = Site::start(database.url()).await;
        let mut one = site.agent(host(1)).await;
        let mut two = site.agent(host(2)).await;
        assert_eq!(one.committed, []);
        one.send(5, 1..=1).await;
        two.send(7, 1..=40).await;
        one.send(5, 2..=30).await;
        // An agent that started again: a new epoch, in the same session, because its buffer kept the rest.
        one.send(6, 31..=32).await;
        one.acknowledged(6, 32).await;
        two.acknowledged(7, 40).await;
        assert_eq!(site.metric("vmscope_collector_ticks_total").await, 72);
        assert_eq!(site.metric("vmscope_collector_rows_in_flight").await, 0);
        assert_eq!(site.metric("vmscope_collector_queue").await, 0);
        site.stop().await;

        let stored = stored(&database).await;
        assert_eq!(stored.hosts, 72);
        assert_eq!(stored.vms, 72 * i64::from(VMS));
        // The values: 10 times the sequence, plus the number of the VM.
        let sequences = (1..=32).sum::<i64>() + (1..=40).sum::<i64>();
        assert_eq!(stored.cpu_time_sum, 3 * 10 * sequences + 72 * (1 + 2 + 3));
        assert_eq!(stored.distinct, stored.vms);
        database.close().await.expect("dropped");
    }

    async fn ticks_sent_again_are_stored_once(database: Database) {
        let site = Site::start(database.url()).await;
        let mut agent = site.agent(host(1)).await;
        agent.send(1, 1..=10).await;
        agent.acknowledged(1, 10).await;
        drop(agent);
        let mut agent = site.agent(host(1)).await;
        assert_eq!(agent.committed, [Position { epoch: 1, sequence: 10 }]);
        // As if the welcome had come too late to matter.
        agent.send(1, 4..=15).await;
        agent.acknowledged(1, 15).await;
        assert_eq!(site.metric("vmscope_collector_duplicates_total").await, 7);
        site.stop().await;
        let stored = stored(&database).await;
        assert_eq!((stored.hosts, stored.vms, stored.distinct), (15, 45, 45));
        database.close().await.expect("dropped");
    }

    async fn a_second_collector_goes_on_where_the_first_stopped(database: Database) {
        let first = Site::start(database.url()).await;
        let mut agent = first.agent(host(1)).await;
        agent.send(1, 1..=500).await;
        // Stopping commits what was taken, and says so to the agent.
        let ((), acknowledged) = tokio::join!(first.stop(), agent.drain());
        let second = Site::start(database.url()).await;
        let mut agent = second.agent(host(1)).await;
        assert_eq!(agent.committed.first().map_or(0, |mark| mark.sequence), acknowledged);
        agent.send(1, acknowledged + 1..=600).await;
        agent.acknowledged(1, 600).await;
        second.stop().await;
        assert_eq!(stored(&database).await.hosts, 600);
        database.close().await.expect("dropped");
    }
}
