//! The live feed: samples for the eye, past the database.
//!
//! Every tick is offered to the subscribers as soon as its session has it, before it is committed. Each subscriber
//! has a short queue per host; a host's queue that is full loses its oldest tick. So a slow subscriber skips ticks
//! and never holds up ingest, and a host with much to tell never displaces another. What a subscriber misses is
//! counted; the database has it anyway. A tick that an agent sends again after a reconnect may be offered twice:
//! a subscriber tells by its position.
//!
//! While nobody subscribes to a host, its ticks are neither copied nor looked at.

mod session;

pub(crate) use session::serve;

use crate::metrics::Metrics;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use vmscope_model::{Entity, HostId, Position, Record, Table, Tick};

/// Ticks kept per host for one subscriber: some five seconds at the default intervals.
const TICKS_PER_HOST: usize = 16;

/// What a subscriber wants and what waits for it.
#[derive(Debug, Default)]
struct Queues {
    /// `None` before the first `Subscribe`.
    wanted: Option<Wanted>,
    waiting: HashMap<HostId, VecDeque<Live>>,
}

#[derive(Debug)]
enum Wanted {
    Every,
    Some(HashSet<HostId>),
}

impl Queues {
    fn wants(&self, host: HostId) -> bool {
        match &self.wanted {
            None => false,
            Some(Wanted::Every) => true,
            Some(Wanted::Some(hosts)) => hosts.contains(&host),
        }
    }
}

/// One tick on its way to subscribers.
pub(crate) type Live = (Position, Arc<Record>);

/// Where ingest offers ticks and subscribers fetch them.
#[derive(Debug)]
pub(crate) struct Hub {
    subscribers: Mutex<Vec<Arc<Subscriber>>>,
    metrics: Metrics,
}

/// The hub's end of one subscription.
#[derive(Debug, Default)]
struct Subscriber {
    queues: Mutex<Queues>,
    offered: Notify,
}

impl Subscriber {
    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hub {
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self {
            subscribers: Mutex::default(),
            metrics,
        }
    }

    fn subscribers(&self) -> MutexGuard<'_, Vec<Arc<Subscriber>>> {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a subscription that wants nothing yet.
    pub(crate) fn subscribe(self: &Arc<Self>) -> Subscription {
        let subscriber = Arc::new(Subscriber::default());
        self.subscribers().push(Arc::clone(&subscriber));
        Subscription {
            hub: Arc::clone(self),
            subscriber,
        }
    }

    /// Offers `ticks` of `host`, whose tables index `entities`, to whoever wants them.
    pub(crate) fn publish(&self, host: HostId, entities: &[Entity], ticks: &[(Position, Tick)]) {
        let listeners: Vec<_> = self
            .subscribers()
            .iter()
            .filter(|subscriber| subscriber.queues().wants(host))
            .cloned()
            .collect();
        if listeners.is_empty() {
            return;
        }
        // Older ones would be displaced at once: a frame with more ticks is a backlog.
        let newest = ticks.len().saturating_sub(TICKS_PER_HOST);
        let live: Vec<Live> = ticks[newest..]
            .iter()
            .map(|(position, tick)| (*position, Arc::new(stand_alone(entities, tick))))
            .collect();
        for subscriber in listeners {
            self.offer(&subscriber, host, &live);
        }
    }

    fn offer(&self, subscriber: &Subscriber, host: HostId, live: &[Live]) {
        let mut queues = subscriber.queues();
        if !queues.wants(host) {
            return;
        }
        let waiting = queues.waiting.entry(host).or_default();
        for (position, record) in live {
            if waiting.len() == TICKS_PER_HOST {
                waiting.pop_front();
                self.metrics.feed_dropped.inc();
            }
            waiting.push_back((*position, Arc::clone(record)));
        }
        drop(queues);
        subscriber.offered.notify_one();
    }
}

/// One subscriber's end; dropping it ends the subscription.
#[derive(Debug)]
pub(crate) struct Subscription {
    hub: Arc<Hub>,
    subscriber: Arc<Subscriber>,
}

impl Subscription {
    /// From now on wants the ticks of `hosts`, or of every host.
    pub(crate) fn want(&self, hosts: Option<Vec<HostId>>) {
        let mut queues = self.subscriber.queues();
        queues.wanted = Some(hosts.map_or(Wanted::Every, |hosts| Wanted::Some(hosts.into_iter().collect())));
        let Queues { wanted, waiting } = &mut *queues;
        if let Some(Wanted::Some(hosts)) = wanted {
            waiting.retain(|host, _| hosts.contains(host));
        }
    }

    /// Waits for ticks and takes all that wait, oldest first within each host. Cancel-safe.
    pub(crate) async fn next(&self) -> Vec<(HostId, VecDeque<Live>)> {
        loop {
            let waiting = std::mem::take(&mut self.subscriber.queues().waiting);
            if !waiting.is_empty() {
                return waiting.into_iter().collect();
            }
            self.subscriber.offered.notified().await;
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.hub
            .subscribers()
            .retain(|other| !Arc::ptr_eq(other, &self.subscriber));
    }
}

/// A record with a dictionary of just the entities that `tick` speaks of.
fn stand_alone(entities: &[Entity], tick: &Tick) -> Record {
    let mut dictionary = Vec::new();
    let mut numbers: HashMap<u32, u32> = HashMap::new();
    let mut renumber = |number: &u32| {
        *numbers.entry(*number).or_insert_with(|| {
            dictionary.push(entities[*number as usize].clone());
            u32::try_from(dictionary.len() - 1).unwrap_or(u32::MAX)
        })
    };
    let tables = tick
        .tables
        .iter()
        .map(|table| Table {
            kind: table.kind,
            entities: table.entities.iter().map(&mut renumber).collect(),
            values: table.values.clone(),
        })
        .collect();
    let tick = Tick {
        time_us: tick.time_us,
        tables,
        facts: tick.facts.clone(),
        gaps: tick.gaps.clone(),
    };
    Record { dictionary, tick }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::registry::Registry;
    use uuid::Uuid;
    use vmscope_model::{Kind, VmId};

    const HOST: HostId = HostId(Uuid::from_u128(1));
    const OTHER: HostId = HostId(Uuid::from_u128(2));

    fn hub() -> Arc<Hub> {
        Arc::new(Hub::new(Metrics::new(&mut Registry::default())))
    }

    fn entities() -> Vec<Entity> {
        (1..=3)
            .map(|number| Entity::Vm(VmId(Uuid::from_u128(number))))
            .collect()
    }

    fn ticks(sequences: std::ops::RangeInclusive<u64>) -> Vec<(Position, Tick)> {
        sequences
            .map(|sequence| {
                let mut table = Table::new(Kind::Vm);
                table.push(2);
                let tick = Tick {
                    tables: vec![table],
                    ..Tick::default()
                };
                (Position { epoch: 1, sequence }, tick)
            })
            .collect()
    }

    fn sequences(queue: &VecDeque<Live>) -> Vec<u64> {
        queue.iter().map(|live| live.0.sequence).collect()
    }

    #[tokio::test]
    async fn a_subscriber_gets_the_hosts_it_wants_with_their_own_dictionary() {
        let hub = hub();
        let subscription = hub.subscribe();
        hub.publish(HOST, &entities(), &ticks(1..=1));
        subscription.want(Some(vec![HOST]));
        hub.publish(OTHER, &entities(), &ticks(1..=1));
        hub.publish(HOST, &entities(), &ticks(2..=3));
        let taken = subscription.next().await;
        assert_eq!(taken.len(), 1);
        assert_eq!((taken[0].0, sequences(&taken[0].1)), (HOST, vec![2, 3]));
        let record = &taken[0].1[0].1;
        assert_eq!(record.dictionary, entities()[2..]);
        assert_eq!(record.tick.tables[0].entities, [0]);
    }

    #[tokio::test]
    async fn a_slow_subscriber_keeps_the_newest_ticks_of_each_host() {
        let hub = hub();
        let subscription = hub.subscribe();
        subscription.want(None);
        hub.publish(OTHER, &entities(), &ticks(7..=7));
        for sequence in 1..=100 {
            hub.publish(HOST, &entities(), &ticks(sequence..=sequence));
        }
        let mut taken = subscription.next().await;
        taken.sort_by_key(|(host, _)| *host);
        assert_eq!(sequences(&taken[0].1), (85..=100).collect::<Vec<_>>());
        assert_eq!(sequences(&taken[1].1), [7]);
        assert_eq!(hub.metrics.feed_dropped.get(), 84);
    }

    #[tokio::test]
    async fn an_ended_subscription_is_forgotten() {
        let hub = hub();
        drop(hub.subscribe());
        assert!(hub.subscribers().is_empty());
    }
}
