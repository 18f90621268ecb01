//! The installation itself: is everything that has to run running, and how does it go?

use crate::api::Envelope;
use crate::api::counts::number;
use crate::api::extract::{Nothing, Params};
use crate::error::ApiError;
use crate::state::App;
use axum::extract::State;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use vmscope_store::size::Size;
use vmscope_store::{Flavor, collector, system};

/// Growth is not reckoned over less: it would be an accident.
const SHORTEST_GROWTH_S: i64 = 3600;
const DAY_S: f64 = 86_400.0;

/// How the installation is: all from the database. What it does not know is null.
#[derive(Debug, Serialize, ToSchema)]
pub struct System {
    /// When this was asked.
    pub as_of: Timestamp,
    /// The agents in numbers; `/agents` lists them.
    pub agents: AgentCounts,
    /// Every collector that was alive in the last month.
    pub collectors: Vec<Collector>,
    /// The periodic work of the collectors.
    pub activities: Vec<Activity>,
    /// The database.
    pub database: Database,
}

/// Agents by how they are.
#[derive(Debug, Serialize, ToSchema)]
pub struct AgentCounts {
    /// All that ever had a session.
    pub total: u64,
    /// Those with a session now, at a collector that lives.
    pub connected: u64,
    /// Those whose host is revoked: they are not let in.
    pub revoked: u64,
    /// The others.
    pub disconnected: u64,
    /// Those of the connected whose newest stored sample is older than 15 s.
    pub behind: u64,
    /// Those whose host's clock is off by more than 5 s.
    pub skewed: u64,
    /// Those whose certificate should have been renewed: it is past five sixths of its life, or over it.
    pub expiring: u64,
    /// Their versions, the most frequent first.
    pub versions: Vec<VersionCount>,
}

/// How many agents have a version.
#[derive(Debug, Serialize, ToSchema)]
pub struct VersionCount {
    /// The version.
    pub version: String,
    /// How many.
    pub agents: u64,
}

/// A collector, as its last heartbeat said.
#[derive(Debug, Serialize, ToSchema)]
pub struct Collector {
    /// The name in its certificate.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where it listens.
    pub address: String,
    /// When it started.
    pub started_at: Timestamp,
    /// When its heart beat last.
    pub heartbeat_at: Timestamp,
    /// How long ago that was, in seconds.
    pub heartbeat_age_s: f64,
    /// When it stopped in order; null while it runs, and when it died.
    #[schema(required)]
    pub stopped_at: Option<Timestamp>,
    /// It has not stopped and was heard of in the last 15 s.
    pub alive: bool,
    /// Agents' sessions that it holds.
    pub sessions: u64,
    /// Connections on which it writes.
    pub writers: u64,
    /// Frames that wait for a writer.
    pub queue_frames: u64,
    /// Rows decoded and not yet committed.
    pub rows_in_flight: u64,
    /// Rows committed since it started.
    pub rows_total: u64,
    /// Rows committed each second, between its last two heartbeats.
    pub rows_per_s: f32,
    /// Mean duration of the commits between its last two heartbeats; null when there was none.
    #[schema(required)]
    pub commit_mean_ms: Option<f32>,
    /// The longest of them.
    #[schema(required)]
    pub commit_max_ms: Option<f32>,
}

/// The last turn of a piece of periodic work.
#[derive(Debug, Serialize, ToSchema)]
pub struct Activity {
    /// Name of the collector.
    pub collector: String,
    /// Name of the work.
    #[schema(example = "retention")]
    pub name: String,
    /// It was done; otherwise it is tried again.
    pub done: bool,
    /// What was done, or why not.
    pub message: String,
    /// When it began.
    pub began_at: Timestamp,
    /// How long it took.
    pub took_ms: u64,
}

/// The database.
#[derive(Debug, Serialize, ToSchema)]
pub struct Database {
    /// `timescale` or `postgres`: what the sample tables are made of.
    #[schema(example = "timescale")]
    pub flavor: &'static str,
    /// Version of the server.
    #[schema(example = "15.14")]
    pub server: String,
    /// Version of the schema.
    pub schema: i32,
    /// Its size; null before it was measured.
    #[schema(required)]
    pub bytes: Option<u64>,
    /// When that was measured.
    #[schema(required)]
    pub measured_at: Option<Timestamp>,
    /// What it gains a day, over the span since `growth_since`; negative when it shrinks, null before an hour of sizes.
    #[schema(required)]
    pub growth_bytes_per_day: Option<f64>,
    /// Since when growth is reckoned: a week, or less in a younger database.
    #[schema(required)]
    pub growth_since: Option<Timestamp>,
    /// How large it may get, as the collectors' configuration says; null when it does not.
    #[schema(required)]
    pub capacity_bytes: Option<u64>,
    /// Days until it is full at that growth; 0 when it is full, null when it does not grow and when that can't be told.
    #[schema(required)]
    pub days_until_full: Option<f64>,
}

impl From<Vec<system::Agents>> for AgentCounts {
    fn from(versions: Vec<system::Agents>) -> Self {
        let sum = |of: fn(&system::Agents) -> i64| number(versions.iter().map(of).sum());
        let (total, connected) = (sum(|agents| agents.total), sum(|agents| agents.connected));
        let revoked = sum(|agents| agents.revoked);
        Self {
            total,
            connected,
            revoked,
            disconnected: total.saturating_sub(connected + revoked),
            behind: sum(|agents| agents.behind),
            skewed: sum(|agents| agents.skewed),
            expiring: sum(|agents| agents.expiring),
            versions: versions
                .iter()
                .map(|agents| VersionCount {
                    version: agents.version.clone(),
                    agents: number(agents.total),
                })
                .collect(),
        }
    }
}

impl Collector {
    fn at(now: Timestamp, collector: collector::Collector) -> Self {
        let collector::Collector {
            introduction,
            pulse,
            heartbeat_at,
            stopped_at,
            alive,
        } = collector;
        Self {
            name: introduction.name,
            version: introduction.version,
            address: introduction.address,
            started_at: introduction.started_at,
            heartbeat_at,
            heartbeat_age_s: now.duration_since(heartbeat_at).as_secs_f64().max(0.0),
            stopped_at,
            alive,
            sessions: number(pulse.sessions.into()),
            writers: number(introduction.writers.into()),
            queue_frames: number(pulse.queue_frames),
            rows_in_flight: number(pulse.rows_in_flight),
            rows_total: number(pulse.rows_total),
            rows_per_s: pulse.rows_per_s,
            commit_mean_ms: pulse.commit_mean_ms,
            commit_max_ms: pulse.commit_max_ms,
        }
    }
}

impl From<collector::Activity> for Activity {
    fn from(activity: collector::Activity) -> Self {
        Self {
            collector: activity.collector,
            name: activity.name,
            done: activity.done,
            message: activity.message,
            began_at: activity.began_at,
            took_ms: number(activity.took_ms),
        }
    }
}

impl From<system::Database> for Database {
    fn from(database: system::Database) -> Self {
        let growth = database
            .oldest
            .zip(database.newest)
            .and_then(|(oldest, newest)| Some((oldest.at, growth(oldest, newest)?)));
        Self {
            flavor: match database.flavor {
                Flavor::Timescale => "timescale",
                Flavor::Postgres => "postgres",
            },
            server: database.server,
            schema: database.schema,
            bytes: database.newest.map(|size| number(size.bytes)),
            measured_at: database.newest.map(|size| size.at),
            growth_bytes_per_day: growth.map(|(_, bytes)| bytes),
            growth_since: growth.map(|(since, _)| since),
            capacity_bytes: database.capacity_bytes.map(number),
            days_until_full: database.newest.zip(database.capacity_bytes).zip(growth).and_then(
                |((newest, capacity), (_, growth))| days_until_full(newest.bytes, capacity, growth),
            ),
        }
    }
}

/// When it is full at this growth, in bytes a day.
#[expect(clippy::cast_precision_loss, reason = "days for people")]
fn days_until_full(bytes: i64, capacity_bytes: i64, growth: f64) -> Option<f64> {
    match capacity_bytes - bytes {
        ..=0 => Some(0.0),
        free if growth > 0.0 => Some(free as f64 / growth),
        _ => None,
    }
}

/// Bytes a day between two sizes, when they are far enough apart.
#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn growth(oldest: Size, newest: Size) -> Option<f64> {
    let span = newest.at.duration_since(oldest.at);
    (span.as_secs() >= SHORTEST_GROWTH_S)
        .then(|| (newest.bytes - oldest.bytes) as f64 / span.as_secs_f64() * DAY_S)
}

/// The health of the installation: agents, collectors, their work, and the database.
#[utoipa::path(get, path = "/system", tag = "system",
    responses((status = 200, description = "The health", body = Envelope<System>)))]
pub(crate) async fn get_system(
    State(app): State<App>,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Envelope<System>, ApiError> {
    let database = system::database(&app.store).await?;
    let now = database.now;
    let collectors = collector::list(&app.store).await?;
    Ok(Envelope::ok(System {
        as_of: now,
        agents: system::agents(&app.store).await?.into(),
        collectors: collectors
            .into_iter()
            .map(|collector| Collector::at(now, collector))
            .collect(),
        activities: collector::activities(&app.store)
            .await?
            .into_iter()
            .map(Activity::from)
            .collect(),
        database: database.into(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(hour: i64, bytes: i64) -> Size {
        Size {
            at: Timestamp::from_second(hour * 3600).expect("a time"),
            bytes,
        }
    }

    #[test]
    fn growth_is_a_rate_over_at_least_an_hour() {
        assert_eq!(growth(size(0, 100), size(12, 600)), Some(1000.0));
        assert_eq!(growth(size(0, 600), size(24, 100)), Some(-500.0));
        assert_eq!(growth(size(3, 100), size(3, 100)), None);
    }

    #[test]
    fn what_grows_is_full_one_day() {
        assert_eq!(days_until_full(400, 1000, 100.0), Some(6.0));
        assert_eq!(days_until_full(400, 1000, -100.0), None);
        assert_eq!(days_until_full(400, 1000, 0.0), None);
        assert_eq!(days_until_full(1100, 1000, -1.0), Some(0.0));
    }
}
