//! What it takes to know whoever asks.

use super::{Holder, Sessions, Visitor};
use crate::error::ApiError;
use crate::limit::{self, Limits};
use std::sync::Arc;
use vmscope_store::Store;

/// What this server knows of those who are logged in, and how it tells them from others.
#[derive(Debug)]
pub(crate) struct Auth {
    /// Sessions and tokens in use.
    pub(crate) sessions: Sessions,
    /// How often addresses may ask.
    pub(crate) limits: Limits,
}

impl Auth {
    /// Nobody is known.
    pub(crate) fn new(limits: &limit::Config) -> Self {
        Self {
            sessions: Sessions::default(),
            limits: Limits::new(limits),
        }
    }

    /// Whose bearer token this is.
    ///
    /// # Errors
    /// [`ApiError::NotLoggedIn`].
    pub(super) async fn holder(
        &self,
        _store: &Store,
        _visitor: &Visitor,
        _token: &str,
    ) -> Result<Arc<Holder>, ApiError> {
        Err(ApiError::NotLoggedIn)
    }

    /// Whose access token this is.
    ///
    /// # Errors
    /// [`ApiError::NotLoggedIn`].
    pub(super) async fn session_holder(&self, _store: &Store, _token: &str) -> Result<Arc<Holder>, ApiError> {
        Err(ApiError::NotLoggedIn)
    }
}
