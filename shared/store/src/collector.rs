//! Collectors: who they are, how they are, and what their periodic work came to.
//!
//! Each collector writes its own rows, by the name in its certificate. One that has died says nothing any more: whoever
//! reads takes it for silent when its heartbeat is older than [`SILENT_S`].

use crate::{Error, Store};
use jiff::Timestamp;
use tokio_postgres::Row;

/// A collector counts as alive while its last heartbeat is not older than this: three heartbeats.
pub const SILENT_S: i64 = 15;

/// Collectors that have been silent for so long are forgotten.
const FORGOTTEN_DAYS: i32 = 30;

/// Who a collector is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introduction {
    /// The name in its certificate.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where it listens.
    pub address: String,
    /// When it started.
    pub started_at: Timestamp,
    /// Connections on which it writes.
    pub writers: i32,
}

/// How a collector is at a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pulse {
    /// Agents' sessions that it holds.
    pub sessions: i32,
    /// Rows decoded and not yet committed.
    pub rows_in_flight: i64,
    /// Frames that wait for a writer.
    pub queue_frames: i64,
    /// Rows committed since it started.
    pub rows_total: i64,
    /// Rows committed each second since the heartbeat before.
    pub rows_per_s: f32,
    /// Mean duration of the commits since the heartbeat before; `None` when there was none.
    pub commit_mean_ms: Option<f32>,
    /// The longest of them.
    pub commit_max_ms: Option<f32>,
}

/// A collector as the health page shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Collector {
    /// Who it is.
    pub introduction: Introduction,
    /// How it was at its last heartbeat.
    pub pulse: Pulse,
    /// When that was.
    pub heartbeat_at: Timestamp,
    /// When it stopped in order.
    pub stopped_at: Option<Timestamp>,
    /// Its heart beats: it has not stopped and was heard of in the last [`SILENT_S`].
    pub alive: bool,
}

/// The last turn of a collector's periodic work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    /// Name of the collector.
    pub collector: String,
    /// Name of the work.
    pub name: String,
    /// It was done; otherwise it is tried again.
    pub done: bool,
    /// What was done, or why not.
    pub message: String,
    /// When it began.
    pub began_at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: i64,
}

/// Makes a collector known at its start: what an earlier run of it left open is closed, collectors that have been silent
/// for a month are forgotten.
///
/// # Errors
/// The database's failures.
pub async fn introduce(store: &Store, introduction: &Introduction) -> Result<(), Error> {
    const INTRODUCE: &str = "\
-- introduce_collector
INSERT INTO collector (name, version, address, started_at, heartbeat_at, writers) VALUES ($1, $2, $3, $4, now(), $5)
ON CONFLICT (name) DO UPDATE SET version = $2, address = $3, started_at = $4, heartbeat_at = now(), stopped_at = NULL,
    writers = $5, sessions = 0, rows_in_flight = 0, queue_frames = 0, rows_total = 0, rows_per_s = 0,
    commit_mean_ms = NULL, commit_max_ms = NULL";
    const CLOSE_SESSIONS: &str = "\
-- close_sessions
UPDATE host_session SET disconnected_at = now() WHERE collector = $1 AND disconnected_at IS NULL";
    const FORGET: &str = "\
-- forget_collectors
DELETE FROM collector WHERE heartbeat_at < now() - make_interval(days => $1)";
    let Introduction {
        name,
        version,
        address,
        started_at,
        writers,
    } = introduction;
    let mut client = store.get().await?;
    let transaction = client
        .transaction()
        .await
        .map_err(Error::statement("introduce_collector"))?;
    transaction
        .execute(INTRODUCE, &[name, version, address, started_at, writers])
        .await
        .map_err(Error::statement("introduce_collector"))?;
    transaction
        .execute(CLOSE_SESSIONS, &[name])
        .await
        .map_err(Error::statement("close_sessions"))?;
    transaction
        .execute(FORGET, &[&FORGOTTEN_DAYS])
        .await
        .map_err(Error::statement("forget_collectors"))?;
    transaction
        .commit()
        .await
        .map_err(Error::statement("introduce_collector"))
}

/// Writes a heartbeat; says whether the row is still this run's: another collector may use the same name.
///
/// # Errors
/// The database's failures.
pub async fn beat(store: &Store, introduction: &Introduction, pulse: &Pulse) -> Result<bool, Error> {
    const BEAT: &str = "\
-- beat
UPDATE collector SET heartbeat_at = now(), sessions = $3, rows_in_flight = $4, queue_frames = $5, rows_total = $6,
    rows_per_s = $7, commit_mean_ms = $8, commit_max_ms = $9
WHERE name = $1 AND started_at = $2";
    let client = store.get().await?;
    let beaten = client
        .execute(
            BEAT,
            &[
                &introduction.name,
                &introduction.started_at,
                &pulse.sessions,
                &pulse.rows_in_flight,
                &pulse.queue_frames,
                &pulse.rows_total,
                &pulse.rows_per_s,
                &pulse.commit_mean_ms,
                &pulse.commit_max_ms,
            ],
        )
        .await
        .map_err(Error::statement("beat"))?;
    Ok(beaten > 0)
}

/// Notes that a collector has stopped in order.
///
/// # Errors
/// The database's failures.
pub async fn stopped(store: &Store, introduction: &Introduction) -> Result<(), Error> {
    const STOPPED: &str = "\
-- collector_stopped
UPDATE collector SET stopped_at = now(), sessions = 0, rows_in_flight = 0, queue_frames = 0, rows_per_s = 0
WHERE name = $1 AND started_at = $2";
    let client = store.get().await?;
    client
        .execute(STOPPED, &[&introduction.name, &introduction.started_at])
        .await
        .map(drop)
        .map_err(Error::statement("collector_stopped"))
}

/// Writes what a piece of periodic work came to. Its collector must be known.
///
/// # Errors
/// The database's failures.
pub async fn record(store: &Store, activity: &Activity) -> Result<(), Error> {
    const RECORD: &str = "\
-- record_activity
INSERT INTO activity (collector, name, status, message, began_at, took_ms)
VALUES ($1, $2, CASE WHEN $3 THEN 'ok' ELSE 'failed' END, $4, $5, $6)
ON CONFLICT (collector, name) DO UPDATE SET status = excluded.status, message = excluded.message,
    began_at = excluded.began_at, took_ms = excluded.took_ms";
    let client = store.get().await?;
    client
        .execute(
            RECORD,
            &[
                &activity.collector,
                &activity.name,
                &activity.done,
                &activity.message,
                &activity.began_at,
                &activity.took_ms,
            ],
        )
        .await
        .map(drop)
        .map_err(Error::statement("record_activity"))
}

/// Every collector that was alive in the last month, by name: there are a handful.
///
/// # Errors
/// The database's failures.
pub async fn list(store: &Store) -> Result<Vec<Collector>, Error> {
    const LIST_COLLECTORS: &str = "\
-- list_collectors
SELECT name, version, address, started_at, heartbeat_at, stopped_at, sessions, writers, rows_in_flight, queue_frames,
    rows_total, rows_per_s, commit_mean_ms, commit_max_ms,
    stopped_at IS NULL AND heartbeat_at >= now() - make_interval(secs => $1::int8::float8) AS alive
FROM collector ORDER BY name";
    let client = store.get().await?;
    let rows = client
        .query(LIST_COLLECTORS, &[&SILENT_S])
        .await
        .map_err(Error::statement("list_collectors"))?;
    Ok(rows.iter().map(collector).collect())
}

/// The periodic work of every collector, by collector and name.
///
/// # Errors
/// The database's failures.
pub async fn activities(store: &Store) -> Result<Vec<Activity>, Error> {
    const LIST_ACTIVITIES: &str = "\
-- list_activities
SELECT collector, name, status = 'ok', message, began_at, took_ms FROM activity ORDER BY collector, name";
    let client = store.get().await?;
    let rows = client
        .query(LIST_ACTIVITIES, &[])
        .await
        .map_err(Error::statement("list_activities"))?;
    let activity = |row: &Row| Activity {
        collector: row.get(0),
        name: row.get(1),
        done: row.get(2),
        message: row.get(3),
        began_at: row.get(4),
        took_ms: row.get(5),
    };
    Ok(rows.iter().map(activity).collect())
}

fn collector(row: &Row) -> Collector {
    Collector {
        introduction: Introduction {
            name: row.get("name"),
            version: row.get("version"),
            address: row.get("address"),
            started_at: row.get("started_at"),
            writers: row.get("writers"),
        },
        pulse: Pulse {
            sessions: row.get("sessions"),
            rows_in_flight: row.get("rows_in_flight"),
            queue_frames: row.get("queue_frames"),
            rows_total: row.get("rows_total"),
            rows_per_s: row.get("rows_per_s"),
            commit_mean_ms: row.get("commit_mean_ms"),
            commit_max_ms: row.get("commit_max_ms"),
        },
        heartbeat_at: row.get("heartbeat_at"),
        stopped_at: row.get("stopped_at"),
        alive: row.get("alive"),
    }
}
