//! Peers that break a rule: each is told, counted by its cause, and costs nobody else anything.

use crate::support::{Agent, Peer, Site, database, host, record, stored, until};
use vmscope_link::{Authority, Role};
use vmscope_model::wire::{Frame, FrameEncoder, Message};
use vmscope_model::{Position, Value, catalogue};
use vmscope_store::Flavor;

async fn site() -> (vmscope_store::testing::Database, Site) {
    let database = database(Flavor::Postgres).await;
    let site = Site::start(database.url()).await;
    site.ready(200).await;
    (database, site)
}

/// A session after the one that was refused.
async fn still_serves(site: &Site) {
    let mut agent = site.agent(host(99)).await;
    let first = agent.committed.first().map_or(1, |mark| mark.sequence + 1);
    agent.send(1, first..=first).await;
    agent.acknowledged(1, first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_of_another_host_is_refused() {
    let (_database, site) = site().await;
    let mut agent = site.agent(host(1)).await;
    let mut forger = FrameEncoder::new(host(2));
    let frame = forger
        .encode(&[(
            Position {
                epoch: 1,
                sequence: 1,
            },
            record(host(2), 1),
        )])
        .expect("encoded");
    agent.peer.send(&Message::Frame(frame)).await;
    assert_eq!(agent.peer.refusal().await, "host_mismatch");
    assert_eq!(site.refused("host_mismatch").await, 1);
    still_serves(&site).await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_can_not_be_read_are_refused() {
    let (_database, site) = site().await;
    for round in 1..=3_u8 {
        let mut agent = site.agent(host(1)).await;
        let body = vec![round; usize::from(round) * 100];
        agent
            .peer
            .send(&Message::Frame(Frame { host: host(1), body }))
            .await;
        assert_eq!(agent.peer.refusal().await, "bad_frame");
        assert_eq!(site.refused("bad_frame").await, u64::from(round));
    }
    still_serves(&site).await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_that_do_not_grow_are_refused() {
    let (database, site) = site().await;
    let mut agent = site.agent(host(1)).await;
    agent.send(1, 1..=3).await;
    agent.acknowledged(1, 3).await;
    agent.send(1, 3..=4).await;
    assert_eq!(agent.peer.refusal().await, "out_of_order");
    assert_eq!(site.refused("out_of_order").await, 1);
    site.stop().await;
    assert_eq!(stored(&database).await.hosts, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_do_not_begin_with_a_hello_are_refused() {
    let (_database, site) = site().await;
    for (count, role) in [(1, Role::Agent(host(1))), (2, Role::Web("test".to_owned()))] {
        let mut peer = site.dial(&role).await;
        peer.send(&Message::Subscribe { hosts: None }).await;
        assert_eq!(peer.refusal().await, "no_hello");
        assert_eq!(site.refused("no_hello").await, count);
    }
    still_serves(&site).await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_the_other_role_are_refused() {
    let (_database, site) = site().await;
    let mut agent = site.agent(host(1)).await;
    agent.peer.send(&Message::Subscribe { hosts: None }).await;
    assert_eq!(agent.peer.refusal().await, "unexpected_message");
    let mut web = site.web().await;
    web.send(&Message::Frame(Frame {
        host: host(1),
        body: Vec::new(),
    }))
    .await;
    assert_eq!(web.refusal().await, "unexpected_message");
    assert_eq!(site.refused("unexpected_message").await, 2);
    still_serves(&site).await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_with_another_role_or_authority_get_no_session() {
    let (_database, site) = site().await;
    let address = site.collector.address;
    let collector = Role::Collector("other".to_owned());
    assert!(Peer::is_turned_away(&site.authority, address, &collector).await);
    until("refusal by role", async || site.refused("wrong_role").await == 1).await;
    let stranger = Authority::create("stranger").expect("an authority");
    assert!(Peer::is_turned_away(&stranger, address, &Role::Agent(host(1))).await);
    still_serves(&site).await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_session_of_a_host_replaces_the_older() {
    let (database, site) = site().await;
    let mut older = site.agent(host(1)).await;
    older.send(1, 1..=2).await;
    older.acknowledged(1, 2).await;
    let mut newer = site.agent(host(1)).await;
    assert_eq!(older.peer.refusal().await, "replaced");
    assert_eq!(
        newer.committed,
        [Position {
            epoch: 1,
            sequence: 2
        }]
    );
    newer.send(1, 3..=4).await;
    newer.acknowledged(1, 4).await;
    assert_eq!(site.refused("replaced").await, 1);
    site.stop().await;
    assert_eq!(stored(&database).await.hosts, 4);
}

/// A state that no column of states can hold: the session that sends it is refused, also for what it sends behind it,
/// so that no mark passes the tick that was not stored. Others in the same transactions go on.
#[tokio::test(flavor = "multi_thread")]
async fn data_that_the_database_refuses_costs_only_its_own_session() {
    let (database, site) = site().await;
    let mut bad = site.agent(host(1)).await;
    let mut good: Vec<Agent> = Vec::new();
    for number in 2..=5 {
        good.push(site.agent(host(number)).await);
    }
    bad.send(1, 1..=1).await;
    let mut broken = record(host(1), 2);
    broken.tick.tables[1].values[catalogue::vm::STATE] = Value::new(i64::from(i16::MAX) + 1);
    bad.send_records(&[(
        Position {
            epoch: 1,
            sequence: 2,
        },
        broken,
    )])
    .await;
    bad.send(1, 3..=4).await;
    for agent in &mut good {
        agent.send(1, 1..=4).await;
    }
    for agent in &mut good {
        agent.acknowledged(1, 4).await;
    }
    assert_eq!(bad.peer.refusal().await, "bad_data");
    assert_eq!(site.refused("bad_data").await, 1);
    let again = site.agent(host(1)).await;
    assert_eq!(
        again.committed,
        [Position {
            epoch: 1,
            sequence: 1
        }]
    );
    site.stop().await;
    assert_eq!(stored(&database).await.hosts, 1 + 4 * 4);
}
