//! Periodic work: machines that have left the inventory of their host leave the lists.
//!
//! One statement, idempotent, and any number of collectors may do it. A machine's next sample brings it back, whoever archived it.

use crate::database::{Database, chain};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use vmscope_service::Lifecycle;
use vmscope_service::periodic::{self, Activity, Handle, Status};
use vmscope_store::vm;

/// How often it looks.
const EVERY: Duration = Duration::from_mins(10);

struct Archive {
    database: Arc<Database>,
    after: Duration,
}

/// Starts the work; the handle tells what it comes to.
pub(crate) fn spawn(lifecycle: &Lifecycle, database: &Arc<Database>, after_hours: NonZeroU32) -> Handle {
    let archive = Archive {
        database: Arc::clone(database),
        after: Duration::from_hours(u64::from(after_hours.get())),
    };
    periodic::spawn(lifecycle, archive, EVERY)
}

impl Activity for Archive {
    fn name(&self) -> &'static str {
        "vms_archived"
    }

    async fn activate(&self) -> Status {
        match vm::archive(&self.database.store, self.after).await {
            Ok(count) => Status::Done(format!("{count} virtual machines archived")),
            Err(error) => Status::Failed(chain(&error)),
        }
    }
}
