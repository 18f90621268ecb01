//! Where feeds put samples and clients fetch them.

use super::meter::{Meters, Origin, Values};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};
use vmscope_model::{Entity, HostId, Position, Tick};
use vmscope_store::entity::Reference;

/// Clients at the same time.
pub(super) const MAX_CLIENTS: usize = 1000;
/// Entities that one client may watch.
pub(super) const MAX_SUBSCRIPTIONS: usize = 1000;

/// The meeting point of feeds and clients.
#[derive(Debug)]
pub struct Hub {
    state: Mutex<State>,
    /// How many collectors feed this server.
    feeds: watch::Sender<usize>,
    clients: Gauge,
    feeding: Gauge,
    conflated: Counter,
}

#[derive(Debug, Default)]
struct State {
    meters: Meters,
    mailboxes: HashMap<u64, Mailbox>,
    watchers: HashMap<Reference, HashSet<u64>>,
    last_id: u64,
}

#[derive(Debug, Default)]
struct Mailbox {
    entities: HashSet<Reference>,
    /// At most one sample for each of `entities`.
    pending: HashMap<Reference, Sample>,
    wake: Arc<Notify>,
}

/// Values of one entity on their way to one client.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    /// When the newest of the values was taken, microseconds since the Unix epoch.
    pub(super) time_us: i64,
    /// API values by metric name.
    pub(super) values: BTreeMap<&'static str, f64>,
}

/// A client watches at most [`MAX_SUBSCRIPTIONS`] entities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {MAX_SUBSCRIPTIONS} subscriptions")]
pub(super) struct TooManySubscriptions;

impl Hub {
    /// A hub without feeds and clients.
    pub fn new(registry: &mut Registry) -> Self {
        let (clients, feeding, conflated) = (Gauge::default(), Gauge::default(), Counter::default());
        registry.register("vmscope_web_live_clients", "WebSocket clients", clients.clone());
        registry.register(
            "vmscope_web_live_feeds",
            "Collectors that feed this server",
            feeding.clone(),
        );
        registry.register(
            "vmscope_web_live_conflated",
            "Samples merged into one that a slow client had not fetched",
            conflated.clone(),
        );
        Self {
            state: Mutex::default(),
            feeds: watch::Sender::new(0),
            clients,
            feeding,
            conflated,
        }
    }

    /// Whether at least one collector feeds this server.
    pub fn is_fed(&self) -> bool {
        *self.feeds.borrow() > 0
    }

    /// Tells of collectors that come and go: how many there are.
    pub(super) fn feeds(&self) -> watch::Receiver<usize> {
        self.feeds.subscribe()
    }

    /// A collector feeds this server for as long as the guard lives.
    pub(super) fn feed(self: &Arc<Self>) -> FeedGuard {
        self.feeds.send_modify(|feeds| *feeds += 1);
        self.feeding.inc();
        FeedGuard(self.clone())
    }

    /// Lays the samples of hosts and VMs into the mailboxes of those who watch them. `entities` is the dictionary that the
    /// tick's tables refer to.
    pub(super) fn publish(&self, host: HostId, position: Position, entities: &[Entity], tick: &Tick) {
        let mut state = self.state();
        state.meters.begin(host, tick);
        for table in &tick.tables {
            for (number, row) in table.rows() {
                let entity = match usize::try_from(number)
                    .ok()
                    .and_then(|number| entities.get(number))
                {
                    Some(Entity::Host) => Reference::Host(host),
                    Some(Entity::Vm(vm)) => Reference::Vm(*vm),
                    _ => continue,
                };
                let values = state
                    .meters
                    .read(entity, Origin { host, position }, tick.time_us, row);
                self.conflated
                    .inc_by(state.deliver(entity, tick.time_us, &values));
            }
        }
    }

    /// A new client; `None` when there are too many.
    pub(crate) fn connect(self: &Arc<Self>) -> Option<Client> {
        let mut state = self.state();
        if state.mailboxes.len() >= MAX_CLIENTS {
            return None;
        }
        state.last_id += 1;
        let (id, wake) = (state.last_id, Arc::new(Notify::new()));
        state.mailboxes.insert(
            id,
            Mailbox {
                wake: wake.clone(),
                ..Mailbox::default()
            },
        );
        self.clients.inc();
        drop(state);
        Some(Client {
            hub: self.clone(),
            id,
            wake,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Puts values into the mailboxes of who watches `entity`; says how many found older ones there.
    fn deliver(&mut self, entity: Reference, time_us: i64, values: &Values) -> u64 {
        let Some(watchers) = self.watchers.get(&entity).filter(|_| !values.is_empty()) else {
            return 0;
        };
        let mut merged = 0;
        for id in watchers {
            let Some(mailbox) = self.mailboxes.get_mut(id) else {
                continue;
            };
            let sample = mailbox.pending.entry(entity).or_insert_with(|| Sample {
                time_us,
                values: BTreeMap::new(),
            });
            merged += u64::from(!sample.values.is_empty());
            sample.time_us = time_us;
            sample.values.extend(values.iter().copied());
            mailbox.wake.notify_one();
        }
        merged
    }

    fn unwatch(&mut self, id: u64, entity: Reference) {
        if let Entry::Occupied(mut watchers) = self.watchers.entry(entity) {
            watchers.get_mut().remove(&id);
            if watchers.get().is_empty() {
                watchers.remove();
            }
        }
    }
}

/// See [`Hub::feed`].
#[derive(Debug)]
pub(super) struct FeedGuard(Arc<Hub>);

impl Drop for FeedGuard {
    fn drop(&mut self) {
        self.0.feeds.send_modify(|feeds| *feeds -= 1);
        self.0.feeding.dec();
    }
}

/// One client's end: its subscriptions and its mailbox, gone when dropped.
#[derive(Debug)]
pub(crate) struct Client {
    hub: Arc<Hub>,
    id: u64,
    wake: Arc<Notify>,
}

impl Client {
    /// The hub that this client belongs to.
    pub(super) fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Watches these, too: all of them or none.
    pub(super) fn subscribe(&self, entities: &[Reference]) -> Result<(), TooManySubscriptions> {
        let mut state = self.hub.state();
        let State {
            mailboxes, watchers, ..
        } = &mut *state;
        let Some(mailbox) = mailboxes.get_mut(&self.id) else {
            return Ok(());
        };
        let new: HashSet<_> = entities
            .iter()
            .filter(|entity| !mailbox.entities.contains(entity))
            .collect();
        if mailbox.entities.len() + new.len() > MAX_SUBSCRIPTIONS {
            return Err(TooManySubscriptions);
        }
        for &entity in new {
            mailbox.entities.insert(entity);
            watchers.entry(entity).or_default().insert(self.id);
        }
        Ok(())
    }

    /// No longer watches these.
    pub(super) fn unsubscribe(&self, entities: &[Reference]) {
        let mut state = self.hub.state();
        for &entity in entities {
            if let Some(mailbox) = state.mailboxes.get_mut(&self.id) {
                mailbox.entities.remove(&entity);
                mailbox.pending.remove(&entity);
            }
            state.unwatch(self.id, entity);
        }
    }

    /// What is watched.
    pub(super) fn references(&self) -> Vec<Reference> {
        let state = self.hub.state();
        let mailbox = state.mailboxes.get(&self.id);
        mailbox
            .iter()
            .flat_map(|mailbox| &mailbox.entities)
            .copied()
            .collect()
    }

    /// What is watched, as the API writes it, sorted.
    pub(super) fn entities(&self) -> Vec<String> {
        let state = self.hub.state();
        let mailbox = state.mailboxes.get(&self.id);
        let mut entities: Vec<_> = mailbox
            .iter()
            .flat_map(|mailbox| &mailbox.entities)
            .copied()
            .map(crate::api::entity::format)
            .collect();
        entities.sort_unstable();
        entities
    }

    /// Waits until there are samples and takes them. Cancel-safe.
    pub(super) async fn next(&self) -> HashMap<Reference, Sample> {
        loop {
            self.wake.notified().await;
            let mut state = self.hub.state();
            let samples = state
                .mailboxes
                .get_mut(&self.id)
                .map(|mailbox| std::mem::take(&mut mailbox.pending));
            if let Some(samples) = samples.filter(|samples| !samples.is_empty()) {
                return samples;
            }
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let mut state = self.hub.state();
        let mailbox = state.mailboxes.remove(&self.id);
        for entity in mailbox.into_iter().flat_map(|mailbox| mailbox.entities) {
            state.unwatch(self.id, entity);
        }
        self.hub.clients.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vmscope_model::catalogue::vm;
    use vmscope_model::{Kind, Table, Value, VmId};

    const HOST: HostId = HostId(uuid::Uuid::from_u128(1));
    const VM: VmId = VmId(uuid::Uuid::from_u128(2));

    fn hub() -> Arc<Hub> {
        Arc::new(Hub::new(&mut Registry::default()))
    }

    /// The tick with this number, taken so many microseconds after 1970.
    fn publish(hub: &Hub, sequence: u64, column: usize, value: i64) {
        let mut table = Table::new(Kind::Vm);
        table.push(0)[column] = Value::new(value);
        hub.publish(
            HOST,
            Position { epoch: 1, sequence },
            &[Entity::Vm(VM)],
            &Tick {
                time_us: sequence.cast_signed(),
                tables: vec![table],
                ..Tick::default()
            },
        );
    }

    #[tokio::test]
    async fn merges_what_a_slow_client_has_not_fetched() {
        let hub = hub();
        let client = hub.connect().expect("a place");
        client.subscribe(&[Reference::Vm(VM)]).expect("subscribed");
        publish(&hub, 1, vm::MEMORY_USED_BYTES, 100);
        publish(&hub, 2, vm::STATE, 1);
        publish(&hub, 3, vm::MEMORY_USED_BYTES, 300);
        let samples = client.next().await;
        let values = BTreeMap::from([("memory_used_bytes", 300.0), ("state", 1.0)]);
        assert_eq!(
            samples,
            HashMap::from([(Reference::Vm(VM), Sample { time_us: 3, values })])
        );
        assert_eq!(hub.conflated.get(), 2);
    }

    #[tokio::test]
    async fn delivers_nothing_that_is_not_watched() {
        let hub = hub();
        let (client, other) = (hub.connect().expect("a place"), hub.connect().expect("a place"));
        other.subscribe(&[Reference::Host(HOST)]).expect("subscribed");
        client
            .subscribe(&[Reference::Vm(VM), Reference::Host(HOST)])
            .expect("subscribed");
        client.unsubscribe(&[Reference::Host(HOST)]);
        publish(&hub, 1, vm::STATE, 1);
        assert_eq!(
            client.next().await.into_keys().collect::<Vec<_>>(),
            [Reference::Vm(VM)]
        );
        assert!(hub.state().mailboxes[&other.id].pending.is_empty());
    }

    #[test]
    fn leaves_nothing_behind_of_a_client_that_is_gone() {
        let hub = hub();
        let client = hub.connect().expect("a place");
        client.subscribe(&[Reference::Vm(VM)]).expect("subscribed");
        drop(client);
        let state = hub.state();
        assert!(state.mailboxes.is_empty() && state.watchers.is_empty());
    }

    #[test]
    fn refuses_a_client_that_watches_too_much_as_a_whole() {
        let hub = hub();
        let client = hub.connect().expect("a place");
        let many = |count| {
            (0..count)
                .map(|id| Reference::Vm(VmId(uuid::Uuid::from_u128(id))))
                .collect::<Vec<_>>()
        };
        assert_eq!(client.subscribe(&many(1001)), Err(TooManySubscriptions));
        assert!(client.entities().is_empty());
        assert_eq!(client.subscribe(&many(1000)), Ok(()));
        assert_eq!(client.subscribe(&many(1000)), Ok(()));
        assert_eq!(
            client.subscribe(&[Reference::Host(HOST)]),
            Err(TooManySubscriptions)
        );
    }

    #[test]
    fn is_fed_while_one_collector_is_there() {
        let hub = hub();
        assert!(!hub.is_fed());
        let (one, two) = (hub.feed(), hub.feed());
        drop(one);
        assert!(hub.is_fed());
        drop(two);
        assert!(!hub.is_fed());
    }
}
