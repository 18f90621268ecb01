//! Removes files of exports that no job has any more: expired, given up, or left behind by a collector that died.

use super::{FOLDER, owner};
use crate::database::{Database, chain};
use std::collections::HashSet;
use std::sync::Arc;
use vmscope_service::periodic::{Activity, Status};
use vmscope_storage::Storage;
use vmscope_store::export::job;

pub(super) struct Sweep {
    pub(super) database: Arc<Database>,
    pub(super) storage: Storage,
}

impl Activity for Sweep {
    fn name(&self) -> &'static str {
        "exports_removed"
    }

    async fn activate(&self) -> Status {
        match self.sweep().await {
            Ok(removed) => Status::Done(format!("{removed} files removed")),
            Err(error) => Status::Failed(error),
        }
    }
}

impl Sweep {
    async fn sweep(&self) -> Result<usize, String> {
        job::expire(&self.database.store)
            .await
            .map_err(|error| chain(&error))?;
        // In this order: what is begun after the list was made is not in it, and keeps its job while it is looked up.
        let files = self.storage.list(FOLDER).await.map_err(|error| chain(&error))?;
        let jobs: HashSet<_> = job::with_files(&self.database.store)
            .await
            .map_err(|error| chain(&error))?
            .into_iter()
            .collect();
        let mut removed = 0;
        for file in files {
            if owner(&file.key).is_some_and(|owner| !jobs.contains(&owner)) {
                self.storage
                    .delete(&file.key)
                    .await
                    .map_err(|error| chain(&error))?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}
