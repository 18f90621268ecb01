//! Signs the audit trail: each minute, when something was added.
//!
//! Any number of collectors may do it; one at a time does. Where entries do not hang together, or one is gone that this
//! collector has seen signed, nothing is signed any more: a person must look (`vmscope-collector audit verify`).

use crate::database::{Database, chain};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;
use vmscope_service::Lifecycle;
use vmscope_service::periodic::{self, Activity, Handle, Status};
use vmscope_store::audit::{self, Check, Checkpoint, Mark};
use vmscope_vault::{KeySource, Signer, Vault};

/// How often there is a checkpoint, at most.
const EVERY: Duration = Duration::from_mins(1);

/// Starts signing, if there are keys to sign with.
pub(crate) fn spawn(
    lifecycle: &Lifecycle,
    database: &Arc<Database>,
    keys: Option<KeySource>,
) -> Option<Handle> {
    let Some(keys) = keys else {
        tracing::warn!(
            "no master keys are configured: the audit trail is not signed, so that it could be written anew unseen"
        );
        return None;
    };
    let checkpoints = Checkpoints {
        vault: Vault::new(database.store.clone(), keys),
        database: Arc::clone(database),
        signer: OnceCell::new(),
        known: Mutex::default(),
    };
    Some(periodic::spawn(lifecycle, checkpoints, EVERY))
}

struct Checkpoints {
    database: Arc<Database>,
    vault: Vault,
    signer: OnceCell<Signer>,
    /// What this collector has signed last.
    known: Mutex<Option<Mark>>,
}

impl Activity for Checkpoints {
    fn name(&self) -> &'static str {
        "audit_checkpoint"
    }

    async fn activate(&self) -> Status {
        let signer = self.signer.get_or_try_init(|| Signer::find_or_make(&self.vault));
        match signer.await {
            Ok(signer) => self.checkpoint(signer).await,
            Err(error) => Status::Failed(chain(&error)),
        }
    }
}

impl Checkpoints {
    async fn checkpoint(&self, signer: &Signer) -> Status {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let sign = |statement: &[u8]| signer.sign(statement);
        let check = Check::Since(known.as_ref());
        match audit::checkpoint(&self.database.store, signer.id(), check, sign).await {
            Ok(Checkpoint::Signed(new)) => {
                // In the log it is out of reach of who has the database.
                tracing::info!(
                    audit.checkpoint = new.number,
                    audit.mark = %new.mark,
                    "signed the audit trail"
                );
                let done = format!("signed up to entry {}", new.mark.audit_id);
                *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(new.mark);
                Status::Done(done)
            }
            Ok(Checkpoint::Unchanged) => Status::Done("nothing new".to_owned()),
            Ok(Checkpoint::Elsewhere) => Status::Done("another collector signs".to_owned()),
            Ok(Checkpoint::Tampered(finding)) => {
                tracing::error!(%finding, "the audit trail was tampered with and is not signed any more");
                Status::Failed(format!("the audit trail was tampered with: {finding}"))
            }
            Err(error) => Status::Failed(chain(&error)),
        }
    }
}
