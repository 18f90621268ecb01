//! The messages of the WebSocket, as JSON text.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What a client may say.
#[derive(Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum ClientMessage {
    /// Send me the samples of these entities from now on, too.
    Subscribe {
        /// `host:<uuid>` or `vm:<uuid>`.
        entities: Vec<String>,
    },
    /// No longer send me the samples of these.
    Unsubscribe {
        /// `host:<uuid>` or `vm:<uuid>`.
        entities: Vec<String>,
    },
    /// Answer me with `pong`.
    Ping,
}

/// What the server says.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum ServerMessage {
    /// Answers `subscribe` and `unsubscribe`.
    Subscribed {
        /// Everything that the client is now subscribed to.
        entities: Vec<String>,
    },
    /// A sample, milliseconds after it was taken.
    Sample {
        /// Whose.
        entity: String,
        /// When it was taken, Unix milliseconds.
        time: i64,
        /// Values by metric, in the units of the catalogue's `api_unit`; metrics without a value are left out.
        #[schema(example = json!({"cpu_time_ns": 0.12}))]
        values: BTreeMap<&'static str, f64>,
    },
    /// The feed from the collectors has come or gone; also the first message of a connection.
    Feed {
        /// True while at least one collector feeds this server.
        connected: bool,
    },
    /// Answers `ping`.
    Pong,
    /// The last message of the client was refused; the connection stays.
    Error {
        /// Application code, as in the REST API.
        code: u32,
        /// What was wrong.
        message: String,
    },
}
