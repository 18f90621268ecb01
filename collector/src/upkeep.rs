//! Periodic work on the database: partitions made ahead, raw samples removed when their time is over, certificates and tokens
//! forgotten that ran out long ago, its size measured.
//!
//! All of it is idempotent, so several collectors over one database may do it (one of them measures); a failure is tried
//! again at the next turn.

use crate::database::{Database, chain};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use vmscope_service::Lifecycle;
use vmscope_service::periodic::{self, Activity, Handle, Status};
use vmscope_store::{enrolment, retention, schema, size};

/// How often partitions are made ahead; they reach days further.
const PARTITIONS_EVERY: Duration = Duration::from_hours(1);

/// How often retention looks.
const RETENTION_EVERY: Duration = Duration::from_hours(1);

/// How often the size of the database is measured.
const SIZE_EVERY: Duration = Duration::from_mins(5);

/// A size that is younger than this, of this collector or another, is not measured again.
const SIZE_SPACING: Duration = Duration::from_mins(4);

/// How often certificates and tokens are looked through, and how long after their end they are forgotten.
const FORGET: (Duration, Duration) = (Duration::from_hours(6), Duration::from_hours(30 * 24));

const DAY: Duration = Duration::from_hours(24);

/// Starts the periodic work; the handles tell what it comes to.
pub(crate) fn spawn(
    lifecycle: &Lifecycle,
    database: &Arc<Database>,
    retention_days: NonZeroU32,
) -> Vec<Handle> {
    let retention = Retention {
        database: Arc::clone(database),
        keep: DAY * retention_days.get(),
    };
    vec![
        periodic::spawn(lifecycle, Partitions(Arc::clone(database)), PARTITIONS_EVERY),
        periodic::spawn(lifecycle, retention, RETENTION_EVERY),
        periodic::spawn(lifecycle, Size(Arc::clone(database)), SIZE_EVERY),
        periodic::spawn(lifecycle, Forgetting(Arc::clone(database)), FORGET.0),
    ]
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

struct Size(Arc<Database>);

impl Activity for Size {
    fn name(&self) -> &'static str {
        "database_size"
    }

    async fn activate(&self) -> Status {
        match size::measure(&self.0.store, SIZE_SPACING).await {
            Ok(Some(size)) => Status::Done(format!("{} MiB", size.bytes >> 20)),
            Ok(None) => Status::Done("measured a moment ago".to_owned()),
            Err(error) => Status::Failed(chain(&error)),
        }
    }
}
