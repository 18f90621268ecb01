//! Passwords are hashed beside the event loop, and only as many at a time as there are cores: each takes a core for tens of
//! milliseconds and tens of megabytes. Who waits longer than [`PATIENCE`] for a turn is told to come again.

use crate::error::ApiError;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Semaphore;
use vmscope_vault::password;

/// How long a login waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// Hashes and verifies passwords.
#[derive(Debug)]
pub(crate) struct Hasher {
    turns: Arc<Semaphore>,
    /// What the passwords of people who don't exist are verified against, so that it takes as long.
    nobody: Arc<OnceLock<String>>,
}

impl Default for Hasher {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            turns: Arc::new(Semaphore::new(cores)),
            nobody: Arc::default(),
        }
    }
}

impl Hasher {
    /// The hash of a password.
    ///
    /// # Errors
    /// When there are too many others, or hashing fails.
    pub(crate) async fn hash(&self, password: String) -> Result<String, ApiError> {
        self.take_turn(move || hash(&password)).await?
    }

    /// Whether the password is the one of this hash; without a hash it is not, after the same time.
    ///
    /// # Errors
    /// When there are too many others, or hashing fails.
    pub(crate) async fn verify(&self, password: String, hashed: Option<String>) -> Result<bool, ApiError> {
        let nobody = self.nobody.clone();
        self.take_turn(move || {
            let Some(hashed) = hashed else {
                let hashed = match nobody.get() {
                    Some(hashed) => hashed,
                    None => nobody.get_or_init(|| hash("nobody has this password").unwrap_or_default()),
                };
                password::verify(&password, hashed);
                return Ok(false);
            };
            Ok(password::verify(&password, &hashed))
        })
        .await?
    }

    /// Makes the hash of nobody's password, which would else make the first login of a stranger slower than others.
    ///
    /// # Errors
    /// As [`Hasher::verify`].
    pub(crate) async fn warm_up(&self) -> Result<(), ApiError> {
        self.verify(String::new(), None).await.map(drop)
    }

    async fn take_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let turn = tokio::time::timeout(PATIENCE, self.turns.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(ApiError::TooManyRequests {
                retry_after_s: PATIENCE.as_secs(),
            });
        };
        tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        })
        .await
        .map_err(|error| {
            tracing::error!(%error, "hashing ended early");
            ApiError::Internal
        })
    }
}

fn hash(password: &str) -> Result<String, ApiError> {
    password::hash(password).map_err(|error| {
        tracing::error!(%error, "a password can't be hashed");
        ApiError::Internal
    })
}
