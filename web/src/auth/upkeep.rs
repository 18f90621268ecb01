//! What has to be done for sessions and keys now and then.

use crate::error::ApiError;
use crate::state::App;
use std::time::Duration;
use vmscope_service::Lifecycle;
use vmscope_service::periodic::{self, Activity, Status};
use vmscope_store::{login, signing_key};

const EVERY: Duration = Duration::from_hours(1);

/// Rotates signing keys when they are old, and forgets what ended long ago. Every web server does it: who comes second finds
/// nothing to do.
pub(crate) fn keep_up(lifecycle: &Lifecycle, app: App) {
    periodic::spawn(lifecycle, Upkeep(app), EVERY);
}

struct Upkeep(App);

impl Activity for Upkeep {
    fn name(&self) -> &'static str {
        "access_upkeep"
    }

    async fn activate(&self) -> Status {
        match self.0.keep_up().await {
            Ok(summary) => Status::Done(summary),
            // The log says why.
            Err(error) => Status::Failed(error.to_string()),
        }
    }
}

impl App {
    async fn keep_up(&self) -> Result<String, ApiError> {
        self.auth.hasher.warm_up().await?;
        let rotated = self.auth.keys.rotate_if_old().await?;
        let swept = signing_key::sweep(&self.store).await?;
        let keys = swept.len();
        for secret in swept {
            self.auth.forget_secret(Some(secret)).await;
        }
        let sessions = login::sweep(&self.store).await?;
        Ok(format!(
            "keys rotated: {rotated}, keys forgotten: {keys}, sessions forgotten: {sessions}"
        ))
    }
}
