//! What every handler can reach.

use crate::auth::Auth;
use crate::live::Hub;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use vmscope_store::Store;

/// Handles that live as long as the server; cloned into each request.
#[derive(Debug, Clone)]
pub struct App {
    /// History.
    pub(crate) store: Store,
    /// Who may log in, and has.
    pub(crate) auth: Arc<Auth>,
    /// Live samples.
    pub(crate) hub: Arc<Hub>,
    /// Cancelled when connections have to end.
    pub(crate) stopping: CancellationToken,
}
