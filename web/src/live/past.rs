//! The last values of what no feed has spoken of since the server started, from the database.

use super::Hub;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use vmscope_store::entity::Reference;
use vmscope_store::{Store, live};

/// Entities that are asked for in one statement.
const AT_ONCE: usize = 500;

/// Asks the database, for all clients that come at the same time.
#[derive(Debug, Default)]
pub(super) struct Past {
    wanted: Mutex<HashSet<Reference>>,
    turn: tokio::sync::Mutex<()>,
}

impl Past {
    /// Lets the hub know what the database knows of these. Without the database nothing is known: it is the past of a screen that the
    /// next sample fills.
    pub(super) async fn recall(&self, store: &Store, hub: &Hub, entities: Vec<Reference>) {
        if entities.is_empty() {
            return;
        }
        self.wanted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(entities.iter().copied());
        // One at a time asks for what all want; who waited finds his own done.
        let _turn = self.turn.lock().await;
        while let Some(some) = self.take_for(&entities) {
            match live::last(store, &some).await {
                Ok(last) => hub.fill(&last),
                Err(error) => {
                    let error = format!("{:#}", anyhow::Error::from(error));
                    tracing::warn!(error, "last values can't be looked up");
                    return;
                }
            }
        }
    }

    /// What is wanted, as long as some of these are.
    fn take_for(&self, entities: &[Reference]) -> Option<Vec<Reference>> {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let mut own = entities.iter().filter(|entity| wanted.contains(*entity)).copied();
        let mut some: Vec<Reference> = own.by_ref().take(AT_ONCE).collect();
        if some.is_empty() {
            return None;
        }
        for entity in &some {
            wanted.remove(entity);
        }
        let others: Vec<Reference> = wanted.iter().take(AT_ONCE - some.len()).copied().collect();
        for entity in &others {
            wanted.remove(entity);
        }
        some.extend(others);
        Some(some)
    }
}
