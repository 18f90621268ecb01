//! What collectors do with jobs.

use super::{LEASE_S, State};
use crate::{Error, Store};
use serde_json::Value as Json;
use std::time::Duration;
use uuid::Uuid;

/// So often a job is taken up; then it has failed.
const MAX_ATTEMPTS: i32 = 10;

/// How long finished jobs without a file are remembered.
const REMEMBERED_DAYS: i32 = 30;

/// A job that this collector has.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// The job.
    pub id: Uuid,
    /// Which taking-up it is.
    pub attempt: i32,
    /// Whose job it is.
    pub user: Uuid,
    /// Whether he may still log in.
    pub is_enabled: bool,
    /// What the API token that asked is good for.
    pub permissions: Option<Vec<String>>,
    /// What is asked for.
    pub spec: Json,
}

/// Takes up the oldest job that nobody has, for [`LEASE_S`]; none when there is none.
///
/// # Errors
/// The database's failures.
pub async fn claim(store: &Store, collector: &str) -> Result<Option<Claim>, Error> {
    const GIVE_UP: &str = "\
-- give_up_export_jobs
UPDATE export_job SET state = 'failed', error = 'gave_up', leased_until = NULL, finished_at = now()
WHERE state = 'running' AND leased_until < now() AND attempt >= $1";
    const CLAIM: &str = "\
-- claim_export_job
UPDATE export_job j SET state = 'running', attempt = attempt + 1, collector = $1, rows_done = 0,
    started_at = coalesce(started_at, now()), leased_until = now() + make_interval(secs => $2::int8::float8)
FROM user_account u
WHERE u.id = j.user_id AND j.id = (
    SELECT id FROM export_job WHERE state = 'queued' OR (state = 'running' AND leased_until < now())
    ORDER BY created_at FOR UPDATE SKIP LOCKED LIMIT 1)
RETURNING j.id, j.attempt, j.user_id, j.permissions, j.spec::text, u.disabled_at IS NULL AS is_enabled";
    let client = store.get().await?;
    client
        .execute(GIVE_UP, &[&MAX_ATTEMPTS])
        .await
        .map_err(Error::statement("give_up_export_jobs"))?;
    let row = client
        .query_opt(CLAIM, &[&collector, &LEASE_S])
        .await
        .map_err(Error::statement("claim_export_job"))?;
    Ok(row.map(|row| Claim {
        id: row.get("id"),
        attempt: row.get("attempt"),
        user: row.get("user_id"),
        is_enabled: row.get("is_enabled"),
        permissions: row.get("permissions"),
        // The column takes nothing but JSON.
        spec: serde_json::from_str(row.get("spec")).unwrap_or_default(),
    }))
}

/// Keeps a job for another [`LEASE_S`] and tells how far it is. False: it is cancelled, or another collector has it.
///
/// # Errors
/// The database's failures.
pub async fn beat(
    store: &Store,
    claim: &Claim,
    rows_done: i64,
    rows_total: Option<i64>,
) -> Result<bool, Error> {
    const BEAT: &str = "\
-- beat_export_job
UPDATE export_job SET rows_done = $3, rows_total = $4, leased_until = now() + make_interval(secs => $5::int8::float8)
WHERE id = $1 AND attempt = $2 AND state = 'running'";
    let beaten = store
        .get()
        .await?
        .execute(
            BEAT,
            &[&claim.id, &claim.attempt, &rows_done, &rows_total, &LEASE_S],
        )
        .await
        .map_err(Error::statement("beat_export_job"))?;
    Ok(beaten > 0)
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Its file is there.
    Done {
        /// Where.
        file: String,
        /// How big it is.
        size_bytes: i64,
        /// Its rows.
        rows: i64,
        /// How long it is kept.
        keep: Duration,
    },
    /// It can't be made.
    Failed {
        /// Why: a code.
        error: &'static str,
    },
    /// This collector stops: another one may begin it again at once.
    Released,
}

/// Ends a job. False: it was cancelled, or another collector has it, and what was made is nobody's.
///
/// # Errors
/// The database's failures.
pub async fn finish(store: &Store, claim: &Claim, outcome: &Outcome) -> Result<bool, Error> {
    const FINISH: &str = "\
-- finish_export_job
UPDATE export_job SET state = $3, leased_until = NULL, file = $4, size_bytes = $5, error = $6,
    rows_done = coalesce($7, rows_done), rows_total = coalesce($7, rows_total),
    finished_at = CASE WHEN $3 <> 'queued' THEN now() END, expires_at = now() + make_interval(secs => $8)
WHERE id = $1 AND attempt = $2 AND state = 'running'";
    let (mut file, mut size_bytes, mut error, mut rows, mut keep_s) = (None, None, None, None, None);
    let state = match outcome {
        Outcome::Done {
            file: at,
            size_bytes: size,
            rows: all,
            keep,
        } => {
            (file, size_bytes, rows) = (Some(at), Some(size), Some(all));
            keep_s = Some(keep.as_secs_f64());
            State::Done
        }
        Outcome::Failed { error: code } => {
            error = Some(code);
            State::Failed
        }
        Outcome::Released => State::Queued,
    };
    let finished = store
        .get()
        .await?
        .execute(
            FINISH,
            &[
                &claim.id,
                &claim.attempt,
                &state.name(),
                &file,
                &size_bytes,
                &error,
                &rows,
                &keep_s,
            ],
        )
        .await
        .map_err(Error::statement("finish_export_job"))?;
    Ok(finished > 0)
}

/// Gives up files whose time is over, and forgets jobs that ended long ago; says how many of each.
///
/// # Errors
/// The database's failures.
pub async fn expire(store: &Store) -> Result<(u64, u64), Error> {
    const EXPIRE: &str = "\
-- expire_export_jobs
UPDATE export_job SET state = 'removed', expires_at = NULL WHERE state = 'done' AND expires_at < now()";
    const FORGET: &str = "\
-- forget_export_jobs
DELETE FROM export_job WHERE state IN ('failed', 'cancelled', 'removed') AND finished_at < now() - make_interval(days => $1)";
    let client = store.get().await?;
    let expired = client
        .execute(EXPIRE, &[])
        .await
        .map_err(Error::statement("expire_export_jobs"))?;
    let forgotten = client
        .execute(FORGET, &[&REMEMBERED_DAYS])
        .await
        .map_err(Error::statement("forget_export_jobs"))?;
    Ok((expired, forgotten))
}

/// The attempts that have, or may still have, a file: those of jobs that are running or done.
///
/// # Errors
/// The database's failures.
pub async fn with_files(store: &Store) -> Result<Vec<(Uuid, i32)>, Error> {
    const WITH_FILES: &str = "\
-- export_jobs_with_files
SELECT id, attempt FROM export_job WHERE state IN ('running', 'done')";
    let rows = store
        .get()
        .await?
        .query(WITH_FILES, &[])
        .await
        .map_err(Error::statement("export_jobs_with_files"))?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
