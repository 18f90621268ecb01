//! What every handler can reach.

use crate::auth::Auth;
use crate::live::Hub;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use vmscope_service::Lifecycle;
use vmscope_storage::Storage;
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
    /// Files that collectors make; none when nobody says where they are.
    pub(crate) storage: Option<Storage>,
    /// Who makes and sends files at the moment.
    pub(crate) exports: Arc<Semaphore>,
    /// Takes the tasks that outlive a handler.
    pub(crate) lifecycle: Lifecycle,
    /// Cancelled when connections have to end.
    pub(crate) stopping: CancellationToken,
}
