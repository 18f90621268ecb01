//! What is kept of a connection that was lost, for a while, so that the next one goes on where it was.
//!
//! Each connection has a token. Another connection of the same person that shows it gets the subscriptions, and the first one is
//! over: a browser that comes back through another network is here before its old connection is found dead. What samples said
//! meanwhile is not kept: the last known values are sent, which is what the client missed. Tokens are good at this server only, and
//! not after its restart; who shows an unknown one subscribes again.

use super::topic::Topic;
use crate::auth::secret;
use crate::error::ApiError;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long a lost connection is remembered.
pub(super) const RESUME_FOR: Duration = Duration::from_mins(1);
/// Lost connections that are remembered: when there are more, the oldest is forgotten.
const MAX_LOST: usize = 4_000;

/// Connections by the hash of their token.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<[u8; 32], Session>>);

#[derive(Debug)]
struct Session {
    owner: Uuid,
    topics: Arc<HashSet<Topic>>,
    /// Ends the connection, in favour of another one.
    over: CancellationToken,
    /// When it was lost; `None` while it is there.
    lost: Option<Instant>,
}

/// A connection's own entry; it counts as lost when this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    sessions: Arc<Sessions>,
    key: [u8; 32],
    owner: Uuid,
    /// Names the connection.
    pub(super) id: Uuid,
    /// What another connection has to show.
    pub(super) token: String,
    /// Cancelled when another connection has gone on in its place.
    pub(super) over: CancellationToken,
}

impl Sessions {
    /// An entry for a connection of `owner`.
    ///
    /// # Errors
    /// [`ApiError::Internal`] when the system has no random bytes.
    pub(super) fn open(self: &Arc<Self>, owner: Uuid) -> Result<Held, ApiError> {
        let token = secret::token()?;
        let (key, over) = (secret::sha256(&token), CancellationToken::new());
        let session = Session {
            owner,
            topics: Arc::default(),
            over: over.clone(),
            lost: None,
        };
        self.all().insert(key, session);
        Ok(Held {
            sessions: self.clone(),
            key,
            owner,
            id: Uuid::new_v4(),
            token,
            over,
        })
    }

    fn all(&self) -> MutexGuard<'_, HashMap<[u8; 32], Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    fn is_good(&self, now: Instant) -> bool {
        self.lost.is_none_or(|lost| now - lost < RESUME_FOR)
    }
}

impl Held {
    /// Keeps what the connection is subscribed to.
    pub(super) fn keep(&self, topics: &Arc<HashSet<Topic>>) {
        if let Some(session) = self.sessions.all().get_mut(&self.key) {
            session.topics = topics.clone();
        }
    }

    /// The subscriptions of the owner's connection with this token, which is over now.
    pub(super) fn resume(&self, token: &str) -> Option<Arc<HashSet<Topic>>> {
        let (key, mut all) = (secret::sha256(token), self.sessions.all());
        let found = all.get(&key)?;
        if key == self.key || found.owner != self.owner || !found.is_good(Instant::now()) {
            return None;
        }
        let session = all.remove(&key)?;
        session.over.cancel();
        Some(session.topics)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let (now, mut all) = (Instant::now(), self.sessions.all());
        if let Some(session) = all.get_mut(&self.key) {
            session.lost = Some(now);
        }
        all.retain(|_, session| session.is_good(now));
        let lost = || {
            all.iter()
                .filter_map(|(key, session)| Some((session.lost?, *key)))
        };
        if lost().count() > MAX_LOST
            && let Some((_, oldest)) = lost().min()
        {
            all.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Uuid = Uuid::from_u128(1);

    fn topics() -> Arc<HashSet<Topic>> {
        Arc::new(HashSet::from([Topic::Group(Uuid::from_u128(7))]))
    }

    fn held(sessions: &Arc<Sessions>) -> Held {
        sessions.open(OWNER).expect("chance")
    }

    #[test]
    fn a_lost_connection_goes_on_once() {
        let sessions = Arc::default();
        let first = held(&sessions);
        first.keep(&topics());
        let token = first.token.clone();
        drop(first);
        let second = held(&sessions);
        assert_eq!(second.resume(&token), Some(topics()));
        assert_eq!(second.resume(&token), None);
    }

    #[test]
    fn a_connection_that_is_still_there_is_over() {
        let sessions = Arc::default();
        let (first, second) = (held(&sessions), held(&sessions));
        first.keep(&topics());
        assert_eq!(second.resume(&first.token), Some(topics()));
        assert!(first.over.is_cancelled() && !second.over.is_cancelled());
    }

    #[test]
    fn nobody_goes_on_for_somebody_else_with_a_made_up_token_or_in_his_own_place() {
        let sessions: Arc<Sessions> = Arc::default();
        let first = held(&sessions);
        let stranger = sessions.open(Uuid::from_u128(2)).expect("chance");
        assert_eq!(stranger.resume(&first.token), None);
        assert_eq!(stranger.resume("nonsense"), None);
        assert_eq!(first.resume(&first.token), None);
        assert!(!first.over.is_cancelled());
    }

    #[test]
    fn what_is_lost_is_forgotten_in_time_and_when_there_is_too_much() {
        let sessions: Arc<Sessions> = Arc::default();
        let first = held(&sessions);
        let (key, token) = (first.key, first.token.clone());
        drop(first);
        let long_ago = Instant::now().checked_sub(RESUME_FOR).expect("a clock that runs");
        sessions.all().get_mut(&key).expect("an entry").lost = Some(long_ago);
        assert_eq!(held(&sessions).resume(&token), None);
        for _ in 0..=MAX_LOST {
            drop(held(&sessions));
        }
        assert_eq!(sessions.all().len(), MAX_LOST);
    }
}
