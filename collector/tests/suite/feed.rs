//! The live feed as web servers see it.

use crate::support::{Agent, PATIENCE, Peer, Site, database, host, record};
use tokio::time::timeout;
use uuid::Uuid;
use vmscope_model::metric::Behaviour;
use vmscope_model::wire::{FrameDecoder, Message, columns};
use vmscope_model::{Entity, Kind, Position, Record, Table, Tick, Value, VmId, catalogue};
use vmscope_store::Flavor;

/// A web server's end of the feed of one host.
struct Follower {
    web: Peer,
    decoder: FrameDecoder,
}

impl Follower {
    async fn next(&mut self) -> Vec<(Position, Tick)> {
        let Message::Frame(frame) = self.web.receive().await else {
            panic!("not a frame")
        };
        assert_eq!(frame.host, host(2));
        self.decoder.decode(&frame).expect("a frame")
    }

    /// Subscribes to host 2 and lets the agents send ticks until one comes through; gives it and the last one sent.
    async fn subscribe(site: &Site, other: &mut Agent, agent: &mut Agent) -> (Self, (Position, Tick), u64) {
        let web = site.web().await;
        let mut follower = Self {
            web,
            decoder: FrameDecoder::new(&columns()).expect("own columns"),
        };
        follower
            .web
            .send(&Message::Subscribe {
                hosts: Some(vec![host(2)]),
            })
            .await;
        let mut sequence = 0;
        let sending = async {
            loop {
                sequence += 1;
                other.send(1, sequence..=sequence).await;
                other.acknowledged(1, sequence).await;
                agent.send(1, sequence..=sequence).await;
                agent.acknowledged(1, sequence).await;
            }
        };
        let first = tokio::select! {
            ticks = follower.next() => ticks.into_iter().next().expect("a tick"),
            () = sending => unreachable!("it sends for ever"),
        };
        (follower, first, sequence)
    }
}

/// Rows with the entities' names in the place of their numbers.
fn named(entities: &[Entity], tick: &Tick) -> Vec<String> {
    let rows = tick.tables.iter().flat_map(Table::rows);
    rows.map(|(number, row)| format!("{:?} {row:?}", entities[number as usize]))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_gets_what_agents_sent_of_the_hosts_it_wants() {
    let database = database(Flavor::Postgres).await;
    let site = Site::start(database.url()).await;
    let (mut other, mut agent) = (site.agent(host(1)).await, site.agent(host(2)).await);
    let (follower, (position, tick), _) = Follower::subscribe(&site, &mut other, &mut agent).await;
    let sent = record(host(2), position.sequence);
    assert_eq!(tick.time_us, sent.tick.time_us);
    assert_eq!(
        named(follower.decoder.entities(), &tick),
        named(&sent.dictionary, &sent.tick)
    );
    site.stop().await;
}

/// A record too noisy to compress: some 100 kB.
fn noise(sequence: u64) -> Record {
    let mut record = record(host(2), sequence);
    record.tick.tables.remove(1);
    let mut table = Table::new(Kind::Vm);
    let mut state = sequence;
    for number in 0..500_u128 {
        record
            .dictionary
            .push(Entity::Vm(VmId(Uuid::from_u128((1 << 64) + number))));
        let row = table.push(u32::try_from(record.dictionary.len() - 1).expect("a few"));
        for (value, metric) in row.iter_mut().zip(catalogue::metrics(Kind::Vm)) {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            if !matches!(metric.behaviour, Behaviour::State(_)) {
                *value = Value::new((state >> 33).cast_signed());
            }
        }
    }
    record.tick.tables.push(table);
    record
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_does_not_read_loses_ticks_and_holds_up_nobody() {
    let database = database(Flavor::Postgres).await;
    let site = Site::start(database.url()).await;
    let (mut other, mut agent) = (site.agent(host(1)).await, site.agent(host(2)).await);
    let (mut follower, _, before) = Follower::subscribe(&site, &mut other, &mut agent).await;
    let last = before + 60;
    for sequence in before + 1..=last {
        agent
            .send_records(&[(Position { epoch: 1, sequence }, noise(sequence))])
            .await;
    }
    agent.acknowledged(1, last).await;
    assert!(site.metric("vmscope_collector_feed_dropped_ticks_total").await > 0);
    let reading = async {
        loop {
            let ticks = follower.next().await;
            let (position, tick) = ticks.last().expect("a tick").clone();
            if position.sequence == last {
                return tick;
            }
        }
    };
    let newest = timeout(PATIENCE, reading)
        .await
        .expect("the newest tick comes through");
    let sent = noise(last);
    assert_eq!(
        named(follower.decoder.entities(), &newest),
        named(&sent.dictionary, &sent.tick)
    );
    site.stop().await;
}
