//! Live samples, from the collectors' feeds to WebSocket clients.

pub mod protocol;
