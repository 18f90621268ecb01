//! What every handler can reach.

use crate::live::Hub;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use vmscope_store::Store;

/// Handles that live as long as the server; cloned into each request.
#[derive(Debug, Clone)]
pub struct App {
    /// History.
    pub(crate) store: Store,
    /// Live samples.
    pub(crate) hub: Arc<Hub>,
    /// Cancelled when connections have to end.
    pub(crate) stopping: CancellationToken,
}
