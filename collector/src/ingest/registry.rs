//! Which session speaks for which host: the newest one.
//!
//! An agent that reconnects may find its old session still open here (its address changed, a packet got lost).
//! The newer session replaces the older, which is told and closed; what the older one has queued is committed in
//! order before anything of the newer, because a host's frames all pass through one writer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;
use vmscope_model::HostId;

/// The open agent sessions by host.
#[derive(Debug, Default)]
pub(crate) struct Registry(Mutex<Sessions>);

#[derive(Debug, Default)]
struct Sessions {
    last_number: u64,
    current: HashMap<HostId, (u64, CancellationToken)>,
}

/// A session's place in the registry, left by dropping it.
#[derive(Debug)]
pub(crate) struct Seat {
    registry: Arc<Registry>,
    host: HostId,
    number: u64,
    replaced: CancellationToken,
}

impl Registry {
    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the caller's the session of `host` and tells the one before that it is replaced.
    pub(crate) fn enter(self: &Arc<Self>, host: HostId) -> Seat {
        let replaced = CancellationToken::new();
        let mut sessions = self.sessions();
        sessions.last_number += 1;
        let number = sessions.last_number;
        if let Some((_, older)) = sessions.current.insert(host, (number, replaced.clone())) {
            older.cancel();
        }
        Seat {
            registry: Arc::clone(self),
            host,
            number,
            replaced,
        }
    }
}

impl Seat {
    /// Number of the session, unique in this process.
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    /// Completes when a newer session has taken over.
    pub(crate) async fn replaced(&self) {
        self.replaced.cancelled().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut sessions = self.registry.sessions();
        if sessions
            .current
            .get(&self.host)
            .is_some_and(|(number, _)| *number == self.number)
        {
            sessions.current.remove(&self.host);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_newer_session_replaces_the_older_and_outlives_its_leaving() {
        let registry = Arc::new(Registry::default());
        let host = HostId(Uuid::from_u128(1));
        let older = registry.enter(host);
        let newer = registry.enter(host);
        assert!(older.replaced.is_cancelled());
        assert!(!newer.replaced.is_cancelled());
        drop(older);
        drop(registry.enter(host));
        assert!(newer.replaced.is_cancelled());
        assert!(registry.sessions().current.is_empty());
    }
}
