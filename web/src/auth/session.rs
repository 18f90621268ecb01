//! What is known of the sessions and tokens that are in use, for a moment.
//!
//! A dashboard asks several times a second; each time the database would say the same. It is asked again when the answer
//! is older than [`FRESH_FOR`], and at once after any change that went through this server. So a session that is revoked at another
//! server, or at the command line, works for that long at most.

use super::Holder;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How long an answer of the database is good.
pub(crate) const FRESH_FOR: Duration = Duration::from_secs(2);
/// Answers that are kept; when there are more, all are forgotten.
const MAX_KEPT: usize = 10_000;

/// Holders by the id of their session or token.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<HashMap<Uuid, Known>>);

#[derive(Debug)]
struct Known {
    since: Instant,
    holder: Arc<Holder>,
}

impl Sessions {
    /// Whom the session belongs to, if that was asked a moment ago.
    pub(super) fn find(&self, id: Uuid) -> Option<Arc<Holder>> {
        let known = self.known();
        let found = known.get(&id)?;
        (found.since.elapsed() < FRESH_FOR).then(|| found.holder.clone())
    }

    /// Keeps what the database said when it was asked at `since`.
    pub(super) fn keep(&self, id: Uuid, since: Instant, holder: &Arc<Holder>) {
        let mut known = self.known();
        if known.len() >= MAX_KEPT {
            known.retain(|_, known| known.since.elapsed() < FRESH_FOR);
        }
        if known.len() >= MAX_KEPT {
            known.clear();
        }
        let holder = holder.clone();
        known.insert(id, Known { since, holder });
    }

    /// Forgets everything: something has changed.
    pub(crate) fn forget(&self) {
        self.known().clear();
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Uuid, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
