//! Where feeds put samples and clients fetch them.
//!
//! A client's mailbox holds no samples: it holds, for each entity with news, the number of the first sample that the client has
//! not fetched. What is sent is written when it is fetched, once for all who are as far ([`Latest::write`]). So a client that does
//! not read costs a few bytes an entity, however long it does not read, and gets the newest values when it reads again.

use super::group::Groups;
use super::latest::Latest;
use super::meter::{FORGET_AFTER, Meters, Origin};
use super::past::Past;
use super::protocol::Sample;
use super::session::Sessions;
use axum::extract::ws::Utf8Bytes;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::{Notify, watch};
use vmscope_model::{Entity, HostId, Position, Tick};
use vmscope_store::entity::Reference;
use vmscope_store::live::Last;

/// Clients at the same time. Each costs some 60 kB with what is open, and next to nothing more when it does not read.
pub(super) const MAX_CLIENTS: usize = 4_000;
/// Entities that one client may watch.
pub(super) const MAX_SUBSCRIPTIONS: usize = 1000;
/// Samples that a client takes at once: what has been taken is sent, even when there is a newer one meanwhile.
const TAKEN_AT_ONCE: usize = 64;

/// The meeting point of feeds and clients.
#[derive(Debug)]
pub struct Hub {
    state: Mutex<State>,
    /// Clients that are gone and may come back.
    pub(super) sessions: Arc<Sessions>,
    /// Groups that clients watch.
    pub(super) groups: Groups,
    /// What was before the feeds.
    pub(super) past: Past,
    /// How many collectors feed this server.
    feeds: watch::Sender<usize>,
    figures: Figures,
}

/// What `/metrics` says.
#[derive(Debug, Default)]
struct Figures {
    clients: Gauge,
    refused: Counter,
    feeding: Gauge,
    sent: Counter,
    conflated: Counter,
}

impl Figures {
    fn register(registry: &mut Registry) -> Self {
        let figures = Self::default();
        let mut gauge = |name, help, gauge: &Gauge| registry.register(name, help, gauge.clone());
        gauge("vmscope_web_live_clients", "WebSocket clients", &figures.clients);
        gauge(
            "vmscope_web_live_feeds",
            "Collectors that feed this server",
            &figures.feeding,
        );
        let mut counter = |name, help, counter: &Counter| registry.register(name, help, counter.clone());
        counter(
            "vmscope_web_live_refused",
            "WebSocket clients that were refused because there were too many",
            &figures.refused,
        );
        counter(
            "vmscope_web_live_samples",
            "Samples written to WebSocket clients",
            &figures.sent,
        );
        counter(
            "vmscope_web_live_conflated",
            "Samples merged into one that a slow client had not fetched",
            &figures.conflated,
        );
        figures
    }
}

#[derive(Debug, Default)]
struct State {
    meters: Meters,
    latest: HashMap<Reference, Latest>,
    mailboxes: HashMap<u64, Mailbox>,
    watchers: HashMap<Reference, HashSet<u64>>,
    /// Of the newest sample.
    number: u64,
    last_id: u64,
    swept: Option<Instant>,
}

#[derive(Debug, Default)]
struct Mailbox {
    entities: HashSet<Reference>,
    /// The first sample that has not been fetched, at most one for each of `entities`.
    pending: HashMap<Reference, u64>,
    /// The keys of `pending`, oldest first: a slow client gets all in turn.
    order: VecDeque<Reference>,
    wake: Arc<Notify>,
}

impl Hub {
    /// A hub without feeds and clients.
    pub fn new(registry: &mut Registry) -> Self {
        Self {
            state: Mutex::default(),
            sessions: Arc::default(),
            groups: Groups::default(),
            past: Past::default(),
            feeds: watch::Sender::new(0),
            figures: Figures::register(registry),
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
        self.figures.feeding.inc();
        FeedGuard(self.clone())
    }

    /// Lays the samples of hosts and VMs into the mailboxes of those who watch them. `entities` is the dictionary that the
    /// tick's tables refer to.
    pub(super) fn publish(&self, host: HostId, position: Position, entities: &[Entity], tick: &Tick) {
        let now = Instant::now();
        let mut state = self.state();
        state.sweep(now);
        state.meters.begin(host, tick);
        let mut conflated = 0;
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
                let origin = Origin { host, position };
                let values = state.meters.read(entity, origin, tick.time_us, row);
                if !values.is_empty() {
                    conflated += state.take(entity, tick.time_us, &values, now);
                }
            }
        }
        drop(state);
        self.figures.conflated.inc_by(conflated);
    }

    /// Those of these of which nothing is known.
    pub(super) fn unknown(&self, entities: impl IntoIterator<Item = Reference>) -> Vec<Reference> {
        let state = self.state();
        let is_unknown = |entity: &Reference| !state.latest.contains_key(entity);
        entities.into_iter().filter(is_unknown).collect()
    }

    /// Takes last values that the database knows.
    pub(super) fn fill(&self, last: &[Last]) {
        let now = Instant::now();
        let mut state = self.state();
        state.sweep(now);
        for Last { entity, values } in last {
            state.latest_of(*entity, now).fill(values);
        }
    }

    /// A new client; `None` when there are too many.
    pub(crate) fn connect(self: &Arc<Self>) -> Option<Client> {
        let mut state = self.state();
        if state.mailboxes.len() >= MAX_CLIENTS {
            self.figures.refused.inc();
            return None;
        }
        state.last_id += 1;
        let (id, mailbox) = (state.last_id, Mailbox::default());
        let wake = mailbox.wake.clone();
        state.mailboxes.insert(id, mailbox);
        self.figures.clients.inc();
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
    fn latest_of(&mut self, entity: Reference, now: Instant) -> &mut Latest {
        self.latest
            .entry(entity)
            .or_insert_with(|| Latest::new(entity, now))
    }

    /// Takes a sample and notes it for who watches `entity`; says how many had not fetched an older one.
    fn take(&mut self, entity: Reference, time_us: i64, values: &[(usize, f64)], now: Instant) -> u64 {
        self.number += 1;
        let number = self.number;
        self.latest_of(entity, now).take(number, time_us, values, now);
        let mut conflated = 0;
        for id in self.watchers.get(&entity).into_iter().flatten() {
            let Some(mailbox) = self.mailboxes.get_mut(id) else {
                continue;
            };
            match mailbox.pending.entry(entity) {
                Entry::Occupied(_) => conflated += 1,
                Entry::Vacant(place) => {
                    place.insert(number);
                    mailbox.order.push_back(entity);
                    mailbox.wake.notify_one();
                }
            }
        }
        conflated
    }

    /// Makes `entities` what a client watches. What it no longer watches is no news for it, nor what it is told otherwise.
    fn watch(&mut self, id: u64, entities: HashSet<Reference>, told: &[Reference]) {
        let Some(mailbox) = self.mailboxes.get_mut(&id) else {
            return;
        };
        let before = std::mem::replace(&mut mailbox.entities, entities);
        let gone: Vec<_> = before.difference(&mailbox.entities).copied().collect();
        for entity in gone.iter().chain(told) {
            mailbox.pending.remove(entity);
        }
        let Mailbox { pending, order, .. } = mailbox;
        order.retain(|entity| pending.contains_key(entity));
        for &entity in mailbox.entities.difference(&before) {
            self.watchers.entry(entity).or_default().insert(id);
        }
        for entity in gone {
            self.unwatch(id, entity);
        }
    }

    fn unwatch(&mut self, id: u64, entity: Reference) {
        if let Entry::Occupied(mut watchers) = self.watchers.entry(entity) {
            watchers.get_mut().remove(&id);
            if watchers.get().is_empty() {
                watchers.remove();
            }
        }
    }

    /// Now and then, forgets what was not seen for long.
    fn sweep(&mut self, now: Instant) {
        if self.swept.is_none_or(|swept| now - swept >= FORGET_AFTER) {
            self.latest.retain(|_, latest| now - latest.seen < FORGET_AFTER);
            self.swept = Some(now);
        }
    }
}

/// See [`Hub::feed`].
#[derive(Debug)]
pub(super) struct FeedGuard(Arc<Hub>);

impl Drop for FeedGuard {
    fn drop(&mut self) {
        self.0.feeds.send_modify(|feeds| *feeds -= 1);
        self.0.figures.feeding.dec();
    }
}

/// One client's end: what it watches and its mailbox, gone when dropped.
#[derive(Debug)]
pub(crate) struct Client {
    hub: Arc<Hub>,
    id: u64,
    wake: Arc<Notify>,
}

impl Client {
    /// The hub that this client belongs to.
    pub(super) const fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// What is watched.
    pub(super) fn watched(&self) -> HashSet<Reference> {
        let state = self.hub.state();
        let mailbox = state.mailboxes.get(&self.id);
        mailbox
            .map(|mailbox| mailbox.entities.clone())
            .unwrap_or_default()
    }

    /// Watches these from now on, and nothing else. Returns what is known of `told`: samples go on from there.
    pub(super) fn watch(&self, entities: HashSet<Reference>, told: &[Reference]) -> Vec<Sample> {
        let mut state = self.hub.state();
        state.watch(self.id, entities, told);
        told.iter()
            .filter_map(|entity| state.latest.get(entity)?.sample())
            .collect()
    }

    /// Waits until there are samples and takes some, as messages. Cancel-safe.
    pub(super) async fn next(&self) -> Vec<Utf8Bytes> {
        loop {
            self.wake.notified().await;
            let texts = self.take();
            if !texts.is_empty() {
                return texts;
            }
        }
    }

    fn take(&self) -> Vec<Utf8Bytes> {
        let mut texts = Vec::new();
        let mut state = self.hub.state();
        let State {
            mailboxes, latest, ..
        } = &mut *state;
        let Some(mailbox) = mailboxes.get_mut(&self.id) else {
            return texts;
        };
        while texts.len() < TAKEN_AT_ONCE
            && let Some(entity) = mailbox.order.pop_front()
        {
            let first = mailbox.pending.remove(&entity);
            // What was forgotten meanwhile is of no use to anybody.
            let text = first.zip(latest.get_mut(&entity));
            texts.extend(text.and_then(|(first, latest)| latest.write(first)));
        }
        if !mailbox.order.is_empty() {
            mailbox.wake.notify_one();
        }
        drop(state);
        self.hub.figures.sent.inc_by(texts.len() as u64);
        texts
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let mut state = self.hub.state();
        let mailbox = state.mailboxes.remove(&self.id);
        for entity in mailbox.into_iter().flat_map(|mailbox| mailbox.entities) {
            state.unwatch(self.id, entity);
        }
        self.hub.figures.clients.dec();
    }
}

#[cfg(test)]
mod tests;
