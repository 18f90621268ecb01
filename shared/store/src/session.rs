//! Agents' sessions: which one speaks for a host.
//!
//! Each session takes the host's next fence ([`begin`]). Every transaction that writes samples holds a share of the
//! session's row and refuses batches with an older fence ([`Error::Fenced`]). So when [`begin`] has returned, whatever an
//! earlier session had under way is committed or never will be, whichever collector it was at: the progress marks that
//! are read after it are final for everything before it.
//!
//! Failure: a collector that froze, or whose machine died, within a transaction holds its share until the server notices.
//! [`begin`] does not wait for that: it ends such transactions, and their writer, if it lives, repeats them.

use crate::collector::SILENT_S;
use crate::{Error, Order, Page, Paging, Store, page};
use jiff::Timestamp;
use std::time::Duration;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use vmscope_model::HostId;

/// How long a session waits for transactions of the one before until it looks whether they are frozen, and between looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A transaction that is older than this and waits for its program is frozen. A program that is alive only needs to
/// repeat it.
const FROZEN_S: i64 = 2;

/// What a new session tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// Database id of the host.
    pub host_id: i32,
    /// Name of the collector that holds the session.
    pub collector: String,
    /// From where the agent speaks.
    pub remote: String,
    /// The agent's version, as it says.
    pub agent_version: String,
    /// How far the host's clock is ahead of the collector's, in microseconds.
    pub clock_offset_us: i64,
}

/// Makes the caller's the session of the host and returns its fence. See the [module](self).
///
/// # Errors
/// The database's failures.
pub async fn begin(store: &Store, opening: &Opening) -> Result<i64, Error> {
    const BEGIN_SESSION: &str = "\
-- begin_session
INSERT INTO host_session AS s (host_id, fence, collector, remote, agent_version, connected_at, clock_offset_us)
VALUES ($1, 1, $2, $3, $4, now(), $5)
ON CONFLICT (host_id) DO UPDATE SET fence = s.fence + 1, collector = $2, remote = $3, agent_version = $4,
    connected_at = now(), disconnected_at = NULL, clock_offset_us = $5
RETURNING fence";
    // PostgreSQL's text has no place for NUL.
    let version = opening.agent_version.replace('\0', "");
    let client = store.get().await?;
    let taking = async {
        let row = client
            .query_one(
                BEGIN_SESSION,
                &[
                    &opening.host_id,
                    &opening.collector,
                    &opening.remote,
                    &version,
                    &opening.clock_offset_us,
                ],
            )
            .await
            .map_err(Error::statement("begin_session"))?;
        Ok(row.get(0))
    };
    tokio::pin!(taking);
    loop {
        match tokio::time::timeout(LOOK_EVERY, &mut taking).await {
            Ok(taken) => return taken,
            Err(_) => thaw(store).await,
        }
    }
}

/// Ends the frozen transactions for which the beginning of a session waits.
async fn thaw(store: &Store) {
    const END_FROZEN: &str = "\
-- end_frozen
SELECT pg_terminate_backend(b.pid)
FROM pg_stat_activity w, unnest(pg_blocking_pids(w.pid)) AS blocking (pid)
JOIN pg_stat_activity b ON b.pid = blocking.pid
WHERE w.datname = current_database() AND w.wait_event_type = 'Lock' AND w.query LIKE '-- begin_session%'
  AND b.wait_event_type = 'Client' AND b.xact_start < now() - make_interval(secs => $1::int8::float8)";
    let ended = async {
        let client = store.get().await?;
        client
            .query(END_FROZEN, &[&FROZEN_S])
            .await
            .map_err(Error::statement("end_frozen"))
    };
    match ended.await {
        Ok(ended) if ended.is_empty() => {}
        Ok(ended) => tracing::warn!(
            transactions = ended.len(),
            "ended transactions of a collector that does not go on"
        ),
        // Then the session waits as long as the server lets the other transaction live.
        Err(error) => tracing::warn!(
            error = &error as &dyn std::error::Error,
            "a session waits for transactions and can't look whether they are frozen"
        ),
    }
}

/// Notes the end of the session that has `fence`; says whether it was still the host's.
///
/// # Errors
/// The database's failures.
pub async fn end(store: &Store, host_id: i32, fence: i64) -> Result<bool, Error> {
    const END_SESSION: &str = "\
-- end_session
UPDATE host_session SET disconnected_at = now() WHERE host_id = $1 AND fence = $2 AND disconnected_at IS NULL";
    let client = store.get().await?;
    let ended = client
        .execute(END_SESSION, &[&host_id, &fence])
        .await
        .map_err(Error::statement("end_session"))?;
    Ok(ended > 0)
}

/// The newest session of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The host's UUID.
    pub host: HostId,
    /// The host's name.
    pub host_name: String,
    /// Number of the session among the host's.
    pub fence: i64,
    /// The collector that holds it.
    pub collector: String,
    /// From where the agent speaks.
    pub remote: String,
    /// The agent's version.
    pub agent_version: String,
    /// When it began.
    pub connected_at: Timestamp,
    /// When it ended, if its collector could say so.
    pub disconnected_at: Option<Timestamp>,
    /// It has not ended, and its collector lives.
    pub connected: bool,
    /// How far the host's clock was ahead of the collector's, in microseconds.
    pub clock_offset_us: i64,
    /// When the host's newest stored sample was taken.
    pub last_sample_at: Option<Timestamp>,
}

/// By what sessions are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// Name of the host.
    #[default]
    Host,
    /// Time of the last sample.
    LastSampleAt,
    /// Distance of the clock, to either side.
    ClockOffset,
    /// When it began.
    ConnectedAt,
}

/// Which sessions, in which order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Part of the host's name in any case, or the beginning of its UUID; empty for all.
    pub search: String,
    /// Only those of this collector.
    pub collector: Option<String>,
    /// Only those that are connected, or only those that are not.
    pub connected: Option<bool>,
    /// Order.
    pub order: Order<Sort>,
    /// Page.
    pub paging: Paging,
}

/// Sessions with what lists show beside them; `$1` is [`SILENT_S`].
const SESSIONS: &str = "
SELECT h.uuid, h.name, s.fence, s.collector, s.remote, s.agent_version, s.connected_at, s.disconnected_at,
    s.clock_offset_us, p.last_sample_at, c.connected
FROM host_session s
JOIN host h ON h.id = s.host_id
CROSS JOIN LATERAL (
    SELECT s.disconnected_at IS NULL AND EXISTS (
        SELECT FROM collector c
        WHERE c.name = s.collector AND c.stopped_at IS NULL
          AND c.heartbeat_at >= now() - make_interval(secs => $1::int8::float8)
    ) AS connected
) c
LEFT JOIN LATERAL (
    SELECT max(last_tick_at) AS last_sample_at FROM ingest_progress WHERE host_id = h.id
) p ON true";

/// Which of them a [`Filter`] wants.
const WANTED: &str = "
WHERE (h.name ILIKE $2 OR h.uuid::text LIKE $3) AND s.collector = coalesce($4, s.collector)
  AND c.connected = coalesce($5, c.connected)";

/// The newest session of each host, a page at a time.
///
/// # Errors
/// The database's failures.
pub async fn list(store: &Store, filter: &Filter) -> Result<Page<Session>, Error> {
    let column = match filter.order.by {
        Sort::Host => "name",
        Sort::LastSampleAt => "last_sample_at",
        Sort::ClockOffset => "abs(clock_offset_us)",
        Sort::ConnectedAt => "connected_at",
    };
    let order = filter.order.clause(column, "uuid");
    let statement =
        format!("-- list_sessions\nSELECT * FROM ({SESSIONS}{WANTED}) AS session {order} LIMIT $6 OFFSET $7");
    let count = format!("-- count_sessions\nSELECT count(*) FROM ({SESSIONS}{WANTED}) AS session");
    let (name, uuid) = page::patterns(&filter.search);
    let (limit, offset) = (filter.paging.limit(), filter.paging.offset());
    let wanted: [&(dyn ToSql + Sync); 5] = [&SILENT_S, &name, &uuid, &filter.collector, &filter.connected];
    let client = store.get().await?;
    let total = client
        .query_one(&count, &wanted)
        .await
        .map_err(Error::statement("count_sessions"))?;
    let rows = client
        .query(&statement, &[&wanted[..], &[&limit, &offset]].concat())
        .await
        .map_err(Error::statement("list_sessions"))?;
    Ok(Page {
        items: rows.iter().map(session).collect(),
        total: total.get(0),
    })
}

/// The newest session of one host; `None` when it never had one.
///
/// # Errors
/// The database's failures.
pub async fn get(store: &Store, host: HostId) -> Result<Option<Session>, Error> {
    let statement = format!("-- get_session{SESSIONS}\nWHERE h.uuid = $2");
    let client = store.get().await?;
    let row = client
        .query_opt(&statement, &[&SILENT_S, &host.0])
        .await
        .map_err(Error::statement("get_session"))?;
    Ok(row.as_ref().map(session))
}

fn session(row: &Row) -> Session {
    Session {
        host: HostId(row.get("uuid")),
        host_name: row.get("name"),
        fence: row.get("fence"),
        collector: row.get("collector"),
        remote: row.get("remote"),
        agent_version: row.get("agent_version"),
        connected_at: row.get("connected_at"),
        disconnected_at: row.get("disconnected_at"),
        connected: row.get("connected"),
        clock_offset_us: row.get("clock_offset_us"),
        last_sample_at: row.get("last_sample_at"),
    }
}
