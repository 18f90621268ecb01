//! Who is let in, and who is let in no longer.
//!
//! The database is asked at the beginning of each session, and for all of them again when it says that a host was revoked,
//! and now and then without that. A session is noted before it is asked for, so that no revocation falls between.

use crate::database::{Database, chain};
use crate::ingest::{End, Refusal};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use vmscope_link::{Backoff, Fingerprint};
use vmscope_model::HostId;
use vmscope_store::certificate::{self, Shown};
use vmscope_store::revocation::Watch;

/// How often sessions are asked for again without any news.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Bounds of the pause before the database is listened to again.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// The gate of one collector.
#[derive(Debug)]
pub(crate) struct Gate {
    database: Arc<Database>,
    live: Mutex<Live>,
}

#[derive(Debug, Default)]
struct Live {
    last_number: u64,
    sessions: HashMap<u64, (Shown, CancellationToken)>,
}

/// The right of one session to be open; given back by dropping it.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    number: u64,
    revoked: CancellationToken,
}

impl Gate {
    pub(crate) fn new(database: Arc<Database>) -> Self {
        Self {
            database,
            live: Mutex::default(),
        }
    }

    /// Lets in a session of `host` that shows `certificate`; waits while the database is away.
    pub(crate) async fn admit(self: &Arc<Self>, host: HostId, certificate: Fingerprint) -> Result<Pass, End> {
        let shown = Shown {
            host,
            sha256: *certificate.bytes(),
        };
        let pass = self.note(shown);
        let (store, availability) = (&self.database.store, &self.database.availability);
        let asked = [shown];
        match availability.insist(|| certificate::admitted(store, &asked)).await {
            Ok(answer) if answer == [true] => Ok(pass),
            Ok(_) => Err(Refusal::Revoked.into()),
            Err(failure) => Err(End::from_failure(failure)),
        }
    }

    /// Ends sessions as their hosts are revoked, until the collector stops.
    pub(crate) async fn watch(self: Arc<Self>, stopping: CancellationToken) {
        let mut backoff = Backoff::new(RETRY.0, RETRY.1);
        while !stopping.is_cancelled() {
            let watched = tokio::select! {
                watched = self.watch_once(&mut backoff) => watched,
                () = stopping.cancelled() => return,
            };
            if let Err(error) = watched {
                tracing::debug!(error = chain(&error), "revocations are looked for by time only");
            }
            tokio::select! {
                () = tokio::time::sleep(backoff.next_delay()) => {}
                () = stopping.cancelled() => return,
            }
        }
    }

    /// Listens as long as the connection lives.
    async fn watch_once(&self, backoff: &mut Backoff) -> Result<(), vmscope_store::Error> {
        let mut watch = Watch::open(&self.database.store).await?;
        loop {
            self.look_again().await?;
            backoff.reset();
            match tokio::time::timeout(LOOK_EVERY, watch.changed()).await {
                Ok(true) | Err(_) => {}
                Ok(false) => return Ok(()),
            }
        }
    }

    async fn look_again(&self) -> Result<(), vmscope_store::Error> {
        let noted: Vec<(u64, Shown)> = {
            let live = self.live();
            live.sessions
                .iter()
                .map(|(number, (shown, _))| (*number, *shown))
                .collect()
        };
        if noted.is_empty() {
            return Ok(());
        }
        let shown: Vec<Shown> = noted.iter().map(|(_, shown)| *shown).collect();
        let admitted = certificate::admitted(&self.database.store, &shown).await?;
        let live = self.live();
        for ((number, _), _) in noted.iter().zip(admitted).filter(|(_, admitted)| !admitted) {
            if let Some((_, revoked)) = live.sessions.get(number) {
                revoked.cancel();
            }
        }
        Ok(())
    }

    fn note(self: &Arc<Self>, shown: Shown) -> Pass {
        let revoked = CancellationToken::new();
        let mut live = self.live();
        live.last_number += 1;
        let number = live.last_number;
        live.sessions.insert(number, (shown, revoked.clone()));
        Pass {
            gate: Arc::clone(self),
            number,
            revoked,
        }
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass {
    /// Completes when the session has to end.
    pub(crate) async fn revoked(&self) {
        self.revoked.cancelled().await;
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.gate.live().sessions.remove(&self.number);
    }
}
