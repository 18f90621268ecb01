//! Periodic work on the database: partitions made ahead, raw samples removed when their time is over.
//!
//! Both are idempotent, so several collectors over one database may do them; a failure is tried again at the next turn.

use crate::database::{Database, chain};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use vmscope_service::Lifecycle;
use vmscope_service::periodic::{self, Activity, Status};
use vmscope_store::{retention, schema};

/// How often partitions are made ahead; they reach days further.
const PARTITIONS_EVERY: Duration = Duration::from_hours(1);

/// How often retention looks.
const RETENTION_EVERY: Duration = Duration::from_hours(1);

const DAY: Duration = Duration::from_hours(24);

/// Starts the periodic work.
pub(crate) fn spawn(lifecycle: &Lifecycle, database: &Arc<Database>, retention_days: NonZeroU32) {
    let keep = DAY * retention_days.get();
    periodic::spawn(lifecycle, Partitions(Arc::clone(database)), PARTITIONS_EVERY);
    periodic::spawn(
        lifecycle,
        Retention {
            database: Arc::clone(database),
            keep,
        },
        RETENTION_EVERY,
    );
}

struct Partitions(Arc<Database>);

impl Activity for Partitions {
    fn name(&self) -> &'static str {
        "partitions"
    }

    async fn activate(&self) -> Status {
        match schema::make_partitions(&self.0.store).await {
            Ok(()) => Status::Done("made ahead".to_owned()),
            Err(error) => Status::Failed(chain(&error)),
        }
    }
}

struct Retention {
    database: Arc<Database>,
    keep: Duration,
}

impl Activity for Retention {
    fn name(&self) -> &'static str {
        "retention"
    }

    async fn activate(&self) -> Status {
        match retention::enforce(&self.database.store, self.keep).await {
            Ok(removed) => Status::Done(format!("{} tables of samples removed", removed.tables)),
            Err(error) => Status::Failed(chain(&error)),
        }
    }
}
