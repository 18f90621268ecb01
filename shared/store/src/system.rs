//! The installation itself: how its agents are in numbers, how the database grows, and of what kind it is.

use crate::collector::SILENT_S;
use crate::size::Size;
use crate::{Error, Flavor, REPORTING_S, Store};
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;
use vmscope_model::HostId;

/// A host's clock is shown as skewed when it is further than this from its collector's: the collector's own default.
pub const SKEWED_US: i64 = 5_000_000;

/// Agents renew at two thirds of a certificate's life: one that is older than this share of it was not renewed in time.
pub const LATE_SHARE: f64 = 5.0 / 6.0;

/// Over how many days growth is reckoned.
const GROWTH_DAYS: i32 = 7;

/// How the agents of one version are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agents {
    /// The version, as they say.
    pub version: String,
    /// How many.
    pub total: i64,
    /// Those with a session that has not ended, at a collector that lives.
    pub connected: i64,
    /// Those of the connected whose newest stored sample is older than [`REPORTING_S`], by the collector's clock.
    pub behind: i64,
    /// Those whose host's clock is off by more than [`SKEWED_US`].
    pub skewed: i64,
    /// Those not connected whose host is revoked: nobody is let in for it.
    pub revoked: i64,
    /// Those whose certificate is past [`LATE_SHARE`] of its life, or over it.
    pub expiring: i64,
}

/// The agents in numbers, by version: the most frequent first.
///
/// # Errors
/// The database's failures.
pub async fn agents(store: &Store) -> Result<Vec<Agents>, Error> {
    // A sample's time is by the host's clock: taking the offset off makes it the collector's.
    const COUNT_AGENTS: &str = "\
-- count_agents
WITH agent AS (
    SELECT s.agent_version, abs(s.clock_offset_us) > $3 AS skewed, s.disconnected_at IS NULL AND EXISTS (
        SELECT FROM collector c
        WHERE c.name = s.collector AND c.stopped_at IS NULL
          AND c.heartbeat_at >= now() - make_interval(secs => $1::int8::float8)
    ) AS connected, coalesce((
        SELECT max(last_tick_at) FROM ingest_progress WHERE host_id = s.host_id
    ) >= now() + make_interval(secs => s.clock_offset_us / 1e6 - $2::int8::float8), false) AS fresh,
    EXISTS (SELECT FROM host_revocation r WHERE r.host_uuid = h.uuid AND r.lifted_at IS NULL) AS revoked, coalesce((
        SELECT now() > c.issued_at + (c.expires_at - c.issued_at) * $4 FROM certificate c
        WHERE c.host_uuid = h.uuid AND c.revoked_at IS NULL ORDER BY c.issued_at DESC LIMIT 1
    ), false) AS expiring
    FROM host_session s JOIN host h ON h.id = s.host_id
)
SELECT agent_version, count(*), count(*) FILTER (WHERE connected), count(*) FILTER (WHERE connected AND NOT fresh),
    count(*) FILTER (WHERE skewed), count(*) FILTER (WHERE revoked AND NOT connected), count(*) FILTER (WHERE expiring AND NOT revoked)
FROM agent GROUP BY agent_version ORDER BY count(*) DESC, agent_version";
    let client = store.get().await?;
    let rows = client
        .query(COUNT_AGENTS, &[&SILENT_S, &REPORTING_S, &SKEWED_US, &LATE_SHARE])
        .await
        .map_err(Error::statement("count_agents"))?;
    let agents = |row: &Row| Agents {
        version: row.get(0),
        total: row.get(1),
        connected: row.get(2),
        behind: row.get(3),
        skewed: row.get(4),
        revoked: row.get(5),
        expiring: row.get(6),
    };
    Ok(rows.iter().map(agents).collect())
}

/// Whether and how long a host is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// When its newest recorded certificate expires; `None` when it has one that was made by hand.
    pub expires_at: Option<Timestamp>,
    /// That is past [`LATE_SHARE`] of its life.
    pub expiring: bool,
    /// Nobody is let in for it.
    pub revoked: bool,
}

/// How these hosts are let in, in their order.
///
/// # Errors
/// The database's failures.
pub async fn admissions(store: &Store, hosts: &[HostId]) -> Result<Vec<Admission>, Error> {
    const LIST_ADMISSIONS: &str = "\
-- list_admissions
SELECT c.expires_at, coalesce(now() > c.issued_at + (c.expires_at - c.issued_at) * $2, false),
    EXISTS (SELECT FROM host_revocation r WHERE r.host_uuid = u.uuid AND r.lifted_at IS NULL)
FROM unnest($1::uuid[]) WITH ORDINALITY AS u (uuid, number)
LEFT JOIN LATERAL (
    SELECT issued_at, expires_at FROM certificate
    WHERE host_uuid = u.uuid AND revoked_at IS NULL ORDER BY issued_at DESC LIMIT 1
) c ON true
ORDER BY u.number";
    let uuids: Vec<Uuid> = hosts.iter().map(|host| host.0).collect();
    let client = store.get().await?;
    let rows = client
        .query(LIST_ADMISSIONS, &[&uuids, &LATE_SHARE])
        .await
        .map_err(Error::statement("list_admissions"))?;
    let admission = |row: &Row| Admission {
        expires_at: row.get(0),
        expiring: row.get(1),
        revoked: row.get(2),
    };
    Ok(rows.iter().map(admission).collect())
}

/// Of what kind the database is, and how large.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// Its clock when it was asked.
    pub now: Timestamp,
    /// What the sample tables are made of.
    pub flavor: Flavor,
    /// Version of the schema.
    pub schema: i32,
    /// Version of the server, as it says.
    pub server: String,
    /// The newest measured size.
    pub newest: Option<Size>,
    /// The oldest size of the last week; `None` when nothing was measured in it.
    pub oldest: Option<Size>,
    /// How large it may get; `None` when nobody said so.
    pub capacity_bytes: Option<i64>,
}

/// Looks at the database.
///
/// # Errors
/// The database's failures.
pub async fn database(store: &Store) -> Result<Database, Error> {
    const LOOK_AT_DATABASE: &str = "\
-- look_at_database
SELECT now(), current_setting('server_version'), (SELECT max(version) FROM refinery_schema_history),
    n.at AS newest_at, n.bytes AS newest_bytes, n.capacity_bytes, o.at AS oldest_at, o.bytes AS oldest_bytes
FROM (VALUES (1)) AS one
LEFT JOIN LATERAL (SELECT at, bytes, capacity_bytes FROM database_size ORDER BY at DESC LIMIT 1) n ON true
LEFT JOIN LATERAL (
    SELECT at, bytes FROM database_size WHERE at >= now() - make_interval(days => $1) ORDER BY at LIMIT 1
) o ON true";
    let flavor = store.flavor().await?;
    let client = store.get().await?;
    let row = client
        .query_one(LOOK_AT_DATABASE, &[&GROWTH_DAYS])
        .await
        .map_err(Error::statement("look_at_database"))?;
    let size = |at: &str, bytes: &str| {
        let at: Option<Timestamp> = row.get(at);
        at.zip(row.get(bytes)).map(|(at, bytes)| Size { at, bytes })
    };
    Ok(Database {
        now: row.get(0),
        flavor,
        schema: row.get(2),
        server: row.get(1),
        newest: size("newest_at", "newest_bytes"),
        oldest: size("oldest_at", "oldest_bytes"),
        capacity_bytes: row.get("capacity_bytes"),
    })
}
