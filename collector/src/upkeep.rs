//! Periodic work on the database: partitions made ahead, tiers cut off where their time is over, certificates and tokens
//! forgotten that ran out long ago, its size measured.
//!
//! All of it is idempotent, so several collectors over one database may do it (one of them measures); a failure is tried
//! again at the next turn.

use crate::config::Config;
use crate::database::{Database, chain};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use vmscope_service::Lifecycle;
use vmscope_service::periodic::{self, Activity, Handle, Status};
use vmscope_store::retention::{self, Keep, Removed};
use vmscope_store::size::{self, Capacity};
use vmscope_store::{enrolment, schema};

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
pub(crate) fn spawn(lifecycle: &Lifecycle, database: &Arc<Database>, config: &Config) -> Vec<Handle> {
    let days = config.retention;
    let retention = Retention {
        database: Arc::clone(database),
        keep: Keep {
            raw: DAY * days.raw_days.get(),
            hour: DAY * days.hourly_days.get(),
            day: DAY * days.daily_days.get(),
        },
    };
    let size = Size {
        database: Arc::clone(database),
        // More than the largest number of the database is no limit.
        capacity_bytes: config
            .database
            .capacity_bytes
            .and_then(|bytes| i64::try_from(bytes.get()).ok()),
        disk: config.database.disk.clone(),
    };
    vec![
        periodic::spawn(lifecycle, Partitions(Arc::clone(database)), PARTITIONS_EVERY),
        periodic::spawn(lifecycle, retention, RETENTION_EVERY),
        periodic::spawn(lifecycle, size, SIZE_EVERY),
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
    keep: Keep,
}

impl Activity for Retention {
    fn name(&self) -> &'static str {
        "retention"
    }

    async fn activate(&self) -> Status {
        match retention::enforce(&self.database.store, &self.keep).await {
            Ok(removed) => Status::Done(told(&removed)),
            Err(error) => Status::Failed(chain(&error)),
        }
    }
}

/// What was removed, in words.
fn told(removed: &Removed) -> String {
    let [raw, hour, day] = removed.tables;
    let waits = if removed.waits {
        "; samples wait for their rollup"
    } else {
        ""
    };
    format!("removed {raw} tables of samples, {hour} of hours, {day} of days{waits}")
}

struct Size {
    database: Arc<Database>,
    capacity_bytes: Option<i64>,
    disk: Option<PathBuf>,
}

impl Size {
    fn capacity(&self) -> std::io::Result<Capacity> {
        match (self.capacity_bytes, &self.disk) {
            (Some(bytes), _) => Ok(Capacity::Bytes(bytes)),
            (None, Some(disk)) => {
                let disk = rustix::fs::statvfs(disk)?;
                let free = disk.f_bavail.saturating_mul(disk.f_frsize);
                Ok(i64::try_from(free).map_or(Capacity::Unknown, Capacity::Free))
            }
            (None, None) => Ok(Capacity::Unknown),
        }
    }
}

impl Activity for Size {
    fn name(&self) -> &'static str {
        "database_size"
    }

    async fn activate(&self) -> Status {
        let capacity = match self.capacity() {
            Ok(capacity) => capacity,
            Err(error) => return Status::Failed(format!("[database] disk: {error}")),
        };
        match size::measure(&self.database.store, SIZE_SPACING, capacity).await {
            Ok(Some(size)) => Status::Done(format!("{} MiB", size.bytes >> 20)),
            Ok(None) => Status::Done("measured a moment ago".to_owned()),
            Err(error) => Status::Failed(chain(&error)),
        }
    }
}
