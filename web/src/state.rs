//! What every handler can reach.

/// Handles that live as long as the server; cloned into each request.
#[derive(Debug, Clone)]
pub struct App {}
