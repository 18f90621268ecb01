//! The messages of the WebSocket, as JSON text.

use super::latest::Values;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a client may say.
#[derive(Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum ClientMessage {
    /// Send me the samples of these from now on, too.
    Subscribe {
        /// `host:<uuid>`, `vm:<uuid>` or `group:<uuid>`: whatever virtual machines are in the group.
        entities: Vec<String>,
    },
    /// No longer send me the samples of these.
    Unsubscribe {
        /// As they were subscribed.
        entities: Vec<String>,
    },
    /// Give me the subscriptions of an earlier connection, and end it if you think that it is still there.
    Resume {
        /// The `resume` of that connection's `hello`.
        token: String,
    },
    /// Answer me with `pong`.
    Ping,
    /// Answers `ping`.
    Pong,
}

/// What the server says.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum ServerMessage {
    /// The first message of a connection.
    Hello {
        /// Names the connection, in the log too.
        session: String,
        /// What another connection says in `resume` when this one is lost.
        resume: String,
        /// For so many seconds after the loss.
        resume_s: u64,
        /// So often the server says `ping`: after twice that without a word it is gone.
        ping_s: u64,
    },
    /// Answers `subscribe` and `unsubscribe`, comes after `resumed`, and whenever the server has ended a subscription.
    Subscribed {
        /// Everything that the client is now subscribed to.
        entities: Vec<String>,
    },
    /// Who is in a subscribed group: after it was subscribed and whenever that has changed.
    Group {
        /// `group:<uuid>`.
        group: String,
        /// Its virtual machines that the caller may see, sorted; their samples come.
        entities: Vec<String>,
        /// How many more it has than one client may watch: their samples do not come.
        more: usize,
    },
    /// The last known values of what has just been subscribed; `sample` messages go on from there. Entities without any are left out.
    Snapshot {
        /// One an entity.
        samples: Vec<Sample>,
        /// False when another `snapshot` message with more of the same follows.
        complete: bool,
    },
    /// A sample, milliseconds after it was taken.
    Sample(Sample),
    /// The feed from the collectors has come or gone; also the second message of a connection.
    Feed {
        /// True while at least one collector feeds this server.
        connected: bool,
    },
    /// Answers `resume`.
    Resumed {
        /// The subscriptions are back: `subscribed`, `group` and `snapshot` messages follow. If not, subscribe again.
        ok: bool,
    },
    /// Answer me with `pong`.
    Ping,
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

/// Values of one entity.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = LiveSample)]
pub struct Sample {
    /// Whose.
    pub entity: String,
    /// When the newest of them was taken, Unix milliseconds.
    pub time: i64,
    /// Values by metric, in the units of the catalogue's `api_unit`; metrics without a value, or without a new one, are left out.
    #[schema(value_type = BTreeMap<String, f64>, example = json!({"cpu_time_ns": 0.12}))]
    pub values: Values,
}
