//! Who is in the groups that clients watch: asked of the database once for all of them, a few seconds late at most.

use crate::error::ApiError;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use uuid::Uuid;
use vmscope_model::VmId;
use vmscope_store::{Store, live};

/// How long an answer is good. Clients look every [`RECHECK`](super::watch::RECHECK), so they follow a change within the sum.
const FRESH_FOR: Duration = Duration::from_secs(3);

/// Groups that somebody watches.
#[derive(Debug, Default)]
pub(super) struct Groups(Mutex<HashMap<Uuid, Known>>);

#[derive(Debug, Clone)]
struct Known {
    since: Instant,
    /// Sorted; `None` when there is no such group.
    members: Option<Arc<[VmId]>>,
}

impl Groups {
    /// The virtual machines of those of these groups that exist.
    ///
    /// # Errors
    /// [`ApiError::DatabaseUnavailable`].
    pub(super) async fn members(
        &self,
        store: &Store,
        groups: &[Uuid],
    ) -> Result<HashMap<Uuid, Arc<[VmId]>>, ApiError> {
        if groups.is_empty() {
            return Ok(HashMap::new());
        }
        // Held while the database answers: those who want the same wait for the same answer.
        let mut known = self.0.lock().await;
        let now = Instant::now();
        known.retain(|_, known| now - known.since < FRESH_FOR);
        let stale: Vec<Uuid> = groups
            .iter()
            .filter(|group| !known.contains_key(*group))
            .copied()
            .collect();
        if !stale.is_empty() {
            let mut found = live::members(store, &stale).await?;
            for group in stale {
                let members = found.remove(&group).map(Arc::from);
                known.insert(group, Known { since: now, members });
            }
        }
        let members = |group: &Uuid| Some((*group, known.get(group)?.members.clone()?));
        Ok(groups.iter().filter_map(members).collect())
    }
}
