//! Takes jobs up and makes their files.

use super::{LOOK_EVERY, key};
use crate::database::{Database, chain};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, interval, timeout};
use tokio_util::sync::CancellationToken;
use vmscope_export::{Export, Spec};
use vmscope_model::access::Permission;
use vmscope_storage::Storage;
use vmscope_store::export::job::{self, Claim, LEASE_S, Outcome};
use vmscope_store::grant;

/// How often a job's lease is renewed, and its progress told: several times within [`LEASE_S`].
const BEAT_EVERY: Duration = Duration::from_secs(2);

/// After so long without a renewal the job may be another collector's.
const LEASE: Duration = Duration::from_secs(LEASE_S.unsigned_abs());

/// How long the last word about a job may take when the collector stops.
const FAREWELL_DEADLINE: Duration = Duration::from_secs(2);

/// Makes exports, one at a time.
pub(super) struct Runner {
    pub(super) database: Arc<Database>,
    pub(super) collector: String,
    pub(super) storage: Storage,
    pub(super) keep: Duration,
    pub(super) file_max_bytes: u64,
}

/// How far a job is, for whoever renews its lease. Below 0: not known.
#[derive(Debug)]
struct Progress {
    rows: AtomicI64,
    total: AtomicI64,
}

/// Why a job was not made.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Export(#[from] vmscope_export::Error),
    #[error("{0}")]
    Storage(#[from] vmscope_storage::Error),
    #[error("{0}")]
    Spec(#[from] serde_json::Error),
    #[error("its owner may not log in any more")]
    Disabled,
    #[error("its file would have more than {0} bytes")]
    TooBig(u64),
}

/// How the making of a job came to its end.
enum End {
    Made(Outcome),
    /// Somebody cancelled it, or another collector has it.
    Lost,
    /// The database does not answer: whoever takes the job up later begins it again.
    Away(String),
    Stopping,
}

impl Runner {
    /// Makes jobs until the stop.
    pub(super) async fn run(self, stopping: CancellationToken) {
        while !stopping.is_cancelled() {
            let claimed = job::claim(&self.database.store, &self.collector).await;
            match claimed {
                Ok(Some(claim)) => {
                    self.take(&claim, &stopping).await;
                    continue;
                }
                Ok(None) => {}
                Err(error) => tracing::debug!(error = chain(&error), "no export could be looked for"),
            }
            // The answer is read off the token at the loop's head.
            let _ = timeout(LOOK_EVERY, stopping.cancelled()).await;
        }
    }

    /// Makes a job and says what came of it.
    async fn take(&self, claim: &Claim, stopping: &CancellationToken) {
        tracing::info!(export.id = %claim.id, export.attempt = claim.attempt, "export begins");
        let progress = Progress {
            rows: AtomicI64::new(0),
            total: AtomicI64::new(-1),
        };
        let end = tokio::select! {
            made = self.make(claim, &progress) => Self::judge(claim, made),
            lost = self.keep(claim, &progress) => lost,
            () = stopping.cancelled() => End::Stopping,
        };
        let outcome = match end {
            End::Made(outcome) => outcome,
            End::Stopping => Outcome::Released,
            End::Lost => {
                tracing::info!(export.id = %claim.id, "export is not wanted any more, or another collector's");
                return;
            }
            End::Away(error) => {
                tracing::warn!(export.id = %claim.id, error, "export breaks off: it is begun again when the database answers");
                return;
            }
        };
        let told = job::finish(&self.database.store, claim, &outcome);
        let told = timeout(FAREWELL_DEADLINE.max(BEAT_EVERY), told).await;
        conclude(claim, outcome, matches!(told, Ok(Ok(true))));
    }

    fn judge(claim: &Claim, made: Result<Outcome, Failure>) -> End {
        let failure = match made {
            Ok(outcome) => return End::Made(outcome),
            Err(failure) => failure,
        };
        let error = match &failure {
            Failure::Export(vmscope_export::Error::Store(error)) if error.is_transient() => {
                return End::Away(chain(&failure));
            }
            Failure::Export(vmscope_export::Error::Forbidden { .. }) | Failure::Disabled => "forbidden",
            Failure::Export(vmscope_export::Error::NotFound(_)) => "not_found",
            Failure::Storage(error) if error.is_full() => "storage_full",
            Failure::Storage(_) => "storage",
            Failure::TooBig(_) => "too_big",
            Failure::Export(_) | Failure::Spec(_) => "internal",
        };
        tracing::warn!(export.id = %claim.id, error = chain(&failure), "export failed");
        End::Made(Outcome::Failed { error })
    }

    /// Renews the lease until it is lost.
    async fn keep(&self, claim: &Claim, progress: &Progress) -> End {
        let mut turns = interval(BEAT_EVERY);
        let mut renewed_at = Instant::now();
        loop {
            turns.tick().await;
            let rows = progress.rows.load(Ordering::Relaxed);
            let total = Some(progress.total.load(Ordering::Relaxed)).filter(|total| *total >= 0);
            match job::beat(&self.database.store, claim, rows, total).await {
                Ok(true) => renewed_at = Instant::now(),
                Ok(false) => return End::Lost,
                Err(error) if renewed_at.elapsed() >= LEASE => return End::Away(chain(&error)),
                Err(error) => tracing::debug!(error = chain(&error), "lease of an export not renewed"),
            }
        }
    }

    /// Makes the file of a job.
    async fn make(&self, claim: &Claim, progress: &Progress) -> Result<Outcome, Failure> {
        let spec: Spec = serde_json::from_value(claim.spec.clone())?;
        if !claim.is_enabled {
            return Err(Failure::Disabled);
        }
        let store = &self.database.store;
        let mut rights = grant::effective(store, claim.user)
            .await
            .map_err(vmscope_export::Error::from)?;
        if let Some(permissions) = &claim.permissions {
            let known = permissions.iter().filter_map(|name| Permission::known(name));
            rights = rights.limited_to(known.collect());
        }
        let key = key(claim.id, claim.attempt, spec.format.extension())?;
        let source = spec.list.open(store, &rights).await?;
        let mut export = Export::new(source, spec.format)?;
        if let Some(total) = export.total().await? {
            progress.total.store(total.cast_signed(), Ordering::Relaxed);
        }
        let mut upload = self.storage.create(&key).await?;
        let mut size_bytes = 0;
        while let Some(piece) = export.next().await? {
            size_bytes += piece.len() as u64;
            if size_bytes > self.file_max_bytes {
                return Err(Failure::TooBig(self.file_max_bytes));
            }
            upload.write(&piece).await?;
            progress
                .rows
                .store(export.rows().cast_signed(), Ordering::Relaxed);
        }
        Ok(Outcome::Done {
            file: key.to_string(),
            size_bytes: upload.commit().await?.cast_signed(),
            rows: export.rows().cast_signed(),
            keep: self.keep,
        })
    }
}

/// Says what was made. The file of a job that could not be told is removed later, unless only the answer was lost.
fn conclude(claim: &Claim, outcome: Outcome, is_told: bool) {
    let Outcome::Done {
        file,
        rows,
        size_bytes,
        ..
    } = outcome
    else {
        return;
    };
    if is_told {
        tracing::info!(export.id = %claim.id, export.rows = rows, export.bytes = size_bytes, "export is made");
    } else {
        tracing::warn!(export.id = %claim.id, file, "export was made and its job could not be told");
    }
}
