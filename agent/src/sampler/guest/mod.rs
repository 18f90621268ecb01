//! The loop of what guests say of themselves, through their agents.
//!
//! It has read-write connections of its own, which are closed after each round, and shares nothing with the loops of samples.
//! In a round [`WORKERS`] guests are asked at a time, each with a deadline. libvirt waits for an agent as long as it takes:
//! a question that nobody waits for any more still holds one of its workers. The connection that asked is parked until
//! libvirt is rid of the question; that guest is asked nothing meanwhile, and while [`MAX_PARKED`] are parked nobody is, so
//! that guests that hang can't take all of libvirt's workers (20 by default).
//!
//! Facts that don't come are no gap: what is known of a guest says when the guest said it.

mod config;
mod patience;

pub use config::{Config, Error as ConfigError};

use super::clock::now_us;
use super::outlet::{Closed, Outlet};
use crate::libvirt::protocol::Access;
use crate::libvirt::{self, Client, Domain};
use patience::Patience;
use std::collections::{HashSet, VecDeque};
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::time::MissedTickBehavior;
use vmscope_model::{Fact, Guest, GuestFacts, Record, VmId};

/// Guests that are asked at the same time.
const WORKERS: usize = 4;
/// Questions that may be left to hang in libvirt.
const MAX_PARKED: usize = 8;

/// Asks guests.
pub(super) struct GuestLoop {
    config: Config,
    uri: String,
    outlet: Outlet,
    books: Mutex<Books>,
    is_down: bool,
}

/// What the workers of a round share.
struct Books {
    queue: VecDeque<Domain>,
    patience: Patience,
    parked: Vec<(VmId, Client)>,
    is_full: bool,
}

/// Why a worker ends before its round.
enum End {
    Closed(Closed),
    Libvirt(libvirt::Error),
}

impl From<libvirt::Error> for End {
    fn from(error: libvirt::Error) -> Self {
        Self::Libvirt(error)
    }
}

impl GuestLoop {
    pub(super) fn new(config: Config, uri: String, outlet: Outlet) -> Self {
        let books = Books {
            queue: VecDeque::new(),
            patience: Patience::new(config.interval()),
            parked: Vec::new(),
            is_full: false,
        };
        Self {
            config,
            uri,
            outlet,
            books: Mutex::new(books),
            is_down: false,
        }
    }

    pub(super) async fn run(mut self) -> Result<Infallible, Closed> {
        if !self.config.enabled {
            return std::future::pending().await;
        }
        let mut rounds = tokio::time::interval(self.config.interval());
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            rounds.tick().await;
            match self.round().await {
                Ok(()) => {
                    if std::mem::take(&mut self.is_down) {
                        tracing::info!("libvirt can be asked about guests again");
                    }
                }
                Err(End::Closed(closed)) => return Err(closed),
                Err(End::Libvirt(error)) => {
                    if !std::mem::replace(&mut self.is_down, true) {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(error, "libvirt can't be asked about guests, their facts grow old");
                    }
                }
            }
        }
    }

    async fn round(&self) -> Result<(), End> {
        let mut client = self.connect().await?;
        let domains = within(self.config.deadline(), client.running()).await?;
        let is_open = self.books().begin(domains);
        if !is_open {
            return Ok(());
        }
        let [one, two, three, four] = [Some(client), None, None, None].map(|client| self.work(client));
        const { assert!(WORKERS == 4, "as many as there are here") };
        tokio::try_join!(one, two, three, four).map(|_| ())
    }

    /// Asks one guest after the other, until none is left in the round or too many hang.
    async fn work(&self, mut client: Option<Client>) -> Result<(), End> {
        loop {
            let Some(domain) = self.books().next() else {
                return Ok(());
            };
            let mut asking = match client.take() {
                Some(client) => client,
                None => self.connect().await?,
            };
            match tokio::time::timeout(self.config.deadline(), asking.guest(&domain)).await {
                Ok(Ok(guest)) => {
                    client = Some(asking);
                    self.books().patience.answered(domain.vm);
                    self.tell(domain.vm, guest).await.map_err(End::Closed)?;
                }
                Ok(Err(libvirt::Error::Refused { code, message, .. })) => {
                    client = Some(asking);
                    if self.books().patience.failed(domain.vm) {
                        tracing::debug!(vm.id = %domain.vm, libvirt.code = code, message, "guest has no agent that answers");
                    }
                }
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => self.books().park(domain.vm, asking),
            }
        }
    }

    async fn connect(&self) -> Result<Client, libvirt::Error> {
        let connecting = Client::connect(&self.config.libvirt_socket, &self.uri, Access::Write);
        within(self.config.deadline(), connecting).await
    }

    async fn tell(&self, vm: VmId, guest: Guest) -> Result<(), Closed> {
        let mut record = Record::default();
        record.tick.facts.push(Fact::Guest(GuestFacts {
            vm,
            as_of_us: now_us(),
            guest,
        }));
        self.outlet.send(record).await
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    /// A round begins with the guests that run. Returns whether anybody is asked.
    fn begin(&mut self, domains: Vec<Domain>) -> bool {
        self.parked.retain(|(_, client)| !client.is_released());
        let hanging: HashSet<VmId> = self.parked.iter().map(|(vm, _)| *vm).collect();
        let guests = domains.iter().map(|domain| domain.vm).collect();
        let due = self.patience.begin(&guests);
        let is_due = |domain: &Domain| due.contains(&domain.vm) && !hanging.contains(&domain.vm);
        self.queue = domains.into_iter().filter(is_due).collect();
        let is_full = self.parked.len() >= MAX_PARKED;
        if is_full && !self.is_full {
            tracing::warn!(
                guests = self.parked.len(),
                "guests' agents hang, no other guest is asked"
            );
        }
        self.is_full = is_full;
        !is_full
    }

    /// The next guest to ask.
    fn next(&mut self) -> Option<Domain> {
        if self.parked.len() >= MAX_PARKED {
            return None;
        }
        self.queue.pop_front()
    }

    /// A guest has not answered in time.
    fn park(&mut self, vm: VmId, client: Client) {
        if self.patience.failed(vm) {
            tracing::warn!(vm.id = %vm, "guest's agent does not answer in time, its facts grow old");
        }
        self.parked.push((vm, client));
    }
}

/// As long as a guest may take, libvirt may itself.
async fn within<T>(
    deadline: std::time::Duration,
    asking: impl Future<Output = Result<T, libvirt::Error>>,
) -> Result<T, libvirt::Error> {
    tokio::time::timeout(deadline, asking)
        .await
        .unwrap_or(Err(libvirt::Error::Deadline))
}
