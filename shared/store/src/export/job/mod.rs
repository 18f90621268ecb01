//! Jobs: exports that one collector makes while nobody waits.
//!
//! A web server writes a job and may cancel it. A collector takes the oldest one up for a while ([`claim`]), says so again and
//! again ([`beat`]) and ends it ([`finish`]). One that dies says nothing any more, and when its time is over another one takes
//! the job up, from its beginning.
//!
//! Invariants: each taking-up has a higher attempt, and only the newest attempt of a running job changes it, so that a collector
//! that was frozen can't end what is not its any more. The file of an attempt has a place of its own, and is the job's only
//! once the job says so.

mod lease;

pub use lease::{Claim, Outcome, beat, claim, expire, finish, with_files};

use crate::audit::{self, Context};
use crate::{Error, Page, Paging, Store};
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use tokio_postgres::Row;
use uuid::Uuid;
use vmscope_model::access::Permission;

/// How long a collector has a job without saying anything, in seconds.
pub const LEASE_S: i64 = 30;

/// Jobs of one person that may be unfinished at once.
pub const MAX_OPEN: i64 = 10;

/// What has become of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Nobody has taken it up yet.
    Queued,
    /// A collector makes it.
    Running,
    /// Its file is there.
    Done,
    /// It can't be made.
    Failed,
    /// Somebody wanted it no more before it was made.
    Cancelled,
    /// Its file is gone: somebody wanted it no more, or its time was over.
    Removed,
}

impl State {
    const ALL: [Self; 6] = [
        Self::Queued,
        Self::Running,
        Self::Done,
        Self::Failed,
        Self::Cancelled,
        Self::Removed,
    ];

    /// Its name in the database and in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Removed => "removed",
        }
    }
}

/// A job.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its id.
    pub id: Uuid,
    /// Whose.
    pub user: Uuid,
    /// His name.
    pub user_name: String,
    /// What was asked for, as it was asked for.
    pub query: Json,
    /// What has become of it.
    pub state: State,
    /// Rows that are in the file, or in what there is of it.
    pub rows_done: i64,
    /// Rows that it will have, as far as that is known.
    pub rows_total: Option<i64>,
    /// Where the file is in storage.
    pub file: Option<String>,
    /// How big it is.
    pub size_bytes: Option<i64>,
    /// Why it failed: a code.
    pub error: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When a collector first took it up.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// When its file is removed.
    pub expires_at: Option<Timestamp>,
}

/// A job to be made.
#[derive(Debug, Clone)]
pub struct NewJob<'a> {
    /// Whose.
    pub user: Uuid,
    /// What the API token that asks is good for; `None` when a person asks.
    pub permissions: Option<&'a [Permission]>,
    /// What is asked for, for the collector.
    pub spec: &'a Json,
    /// The same for people.
    pub query: &'a Json,
}

const JOB: &str = "
SELECT j.*, j.query::text AS query_text, u.name AS user_name FROM export_job j JOIN user_account u ON u.id = j.user_id";

/// Writes a job, unless its owner has [`MAX_OPEN`] unfinished ones: then there is none.
///
/// # Errors
/// The database's failures.
pub async fn create(store: &Store, context: &Context, new: &NewJob<'_>) -> Result<Option<Job>, Error> {
    // The owner's row is locked, so that two at once are counted one after the other.
    const CREATE_JOB: &str = "\
-- create_export_job
WITH owner AS (SELECT id, name FROM user_account WHERE id = $2 FOR UPDATE), created AS (
    INSERT INTO export_job (id, user_id, permissions, spec, query)
    SELECT $1, id, $3, $4::text::jsonb, $5::text::jsonb FROM owner
    WHERE (SELECT count(*) FROM export_job j WHERE j.user_id = $2 AND j.state IN ('queued', 'running')) < $6
    RETURNING *
)
SELECT c.*, c.query::text AS query_text, o.name AS user_name FROM created c, owner o";
    let permissions: Option<Vec<&str>> = new
        .permissions
        .map(|permissions| permissions.iter().map(Permission::as_str).collect());
    let mut client = store.get().await?;
    let transaction = client
        .transaction()
        .await
        .map_err(Error::statement("create_export_job"))?;
    let row = transaction
        .query_opt(
            CREATE_JOB,
            &[
                &Uuid::new_v4(),
                &new.user,
                &permissions,
                &new.spec.to_string(),
                &new.query.to_string(),
                &MAX_OPEN,
            ],
        )
        .await
        .map_err(Error::statement("create_export_job"))?;
    let Some(job) = row.as_ref().map(job) else {
        return Ok(None);
    };
    let entry = audit::Entry::done("export.create").on("export", job.id, "");
    audit::append(
        &*transaction,
        context,
        &entry.changing(None, Some(job.query.clone())),
    )
    .await?;
    transaction
        .commit()
        .await
        .map_err(Error::statement("create_export_job"))?;
    Ok(Some(job))
}

/// Jobs, the newest first, a page at a time: of one user, or of all.
///
/// # Errors
/// The database's failures.
pub async fn list(store: &Store, user: Option<Uuid>, paging: Paging) -> Result<Page<Job>, Error> {
    const COUNT_JOBS: &str = "\
-- count_export_jobs
SELECT count(*) FROM export_job WHERE $1::uuid IS NULL OR user_id = $1";
    let statement = format!(
        "-- list_export_jobs{JOB}
WHERE $1::uuid IS NULL OR j.user_id = $1 ORDER BY j.created_at DESC, j.id LIMIT $2 OFFSET $3"
    );
    let client = store.get().await?;
    let total = client
        .query_one(COUNT_JOBS, &[&user])
        .await
        .map_err(Error::statement("count_export_jobs"))?;
    let rows = client
        .query(&statement, &[&user, &paging.limit(), &paging.offset()])
        .await
        .map_err(Error::statement("list_export_jobs"))?;
    Ok(Page {
        items: rows.iter().map(job).collect(),
        total: total.get(0),
    })
}

/// One job.
///
/// # Errors
/// The database's failures.
pub async fn get(store: &Store, id: Uuid) -> Result<Option<Job>, Error> {
    let statement = format!("-- get_export_job{JOB}\nWHERE j.id = $1");
    let row = store
        .get()
        .await?
        .query_opt(&statement, &[&id])
        .await
        .map_err(Error::statement("get_export_job"))?;
    Ok(row.as_ref().map(job))
}

/// Cancels a job, or gives its file up for removal. One that has ended without a file stays as it is.
///
/// # Errors
/// The database's failures.
pub async fn remove(store: &Store, context: &Context, id: Uuid) -> Result<(), Error> {
    const REMOVE_JOB: &str = "\
-- remove_export_job
UPDATE export_job SET state = CASE state WHEN 'done' THEN 'removed' ELSE 'cancelled' END, leased_until = NULL,
    expires_at = NULL, finished_at = coalesce(finished_at, now())
WHERE id = $1 AND state IN ('queued', 'running', 'done') RETURNING state";
    let mut client = store.get().await?;
    let transaction = client
        .transaction()
        .await
        .map_err(Error::statement("remove_export_job"))?;
    let row = transaction
        .query_opt(REMOVE_JOB, &[&id])
        .await
        .map_err(Error::statement("remove_export_job"))?;
    let Some(row) = row else {
        return Ok(());
    };
    let after = json!({ "state": row.get::<_, String>(0) });
    let entry = audit::Entry::done("export.remove").on("export", id, "");
    audit::append(&*transaction, context, &entry.changing(None, Some(after))).await?;
    transaction
        .commit()
        .await
        .map_err(Error::statement("remove_export_job"))
}

fn job(row: &Row) -> Job {
    let state: &str = row.get("state");
    Job {
        id: row.get("id"),
        user: row.get("user_id"),
        user_name: row.get("user_name"),
        // The column takes nothing but JSON.
        query: serde_json::from_str(row.get("query_text")).unwrap_or_default(),
        // The table takes no other state.
        state: State::ALL
            .into_iter()
            .find(|known| known.name() == state)
            .unwrap_or(State::Failed),
        rows_done: row.get("rows_done"),
        rows_total: row.get("rows_total"),
        file: row.get("file"),
        size_bytes: row.get("size_bytes"),
        error: row.get("error"),
        created_at: row.get("created_at"),
        started_at: row.get("started_at"),
        finished_at: row.get("finished_at"),
        expires_at: row.get("expires_at"),
    }
}
