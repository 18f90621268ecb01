//! Periodic work on the database: partitions made ahead, raw samples removed when their time is over, certificates and tokens
//! forgotten that ran out long ago.
//!
//! All of it is idempotent, so several collectors over one database may do them; a failure is tried again at the next turn.

use crate::database::{Database, chain};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use vmscope_service::Lifecycle;
use vmscope_service::periodic::{self, Activity, Status};
use vmscope_store::{enrolment, retention, schema};

/// How often partitions are made ahead; they reach days further.
const PARTITIONS_EVERY: Duration = Duration::from_hours(1);

/// How often retention looks.
const RETENTION_EVERY: Duration = Duration::from_hours(1);

/// How often certificates and tokens are looked through, and how long after their end they are forgotten.
const FORGET: (Duration, Duration) = (Duration::from_hours(6), Duration::from_hours(30 * 24));

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
    periodic::spawn(lifecycle, Forgetting(Arc::clone(database)), FORGET.0);
}

struct Forgetting(Arc<Database>);

impl Activity for Forgetting {
    fn name(&self) -> &'static str {
        "certificates_forgotten"
    }

    async fn activate(&self) -> Status {
        match enrolment::forget_expired(&self.0.store, FORGET.1).await {
            Ok(rows) => Status::Done(format!("{rows} certificates and tokens forgotten")),
            Err(error) => Status::Failed(chain(&error)),
        }
    }
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
