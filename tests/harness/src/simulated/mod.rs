//! Agents that only a test plays, over real sessions with certificates of their own: what they send is made when it is due.
//!
//! [`Line`] is the sending side of a session, with a real agent's window of unacknowledged frames; [`Agent`] sends samples that
//! wander ([`series`]) through one. Each second has a cheap tick, and each fifth a dear one behind it, as with a real agent; the host's
//! own row is part of the cheap tick. A live tick goes out in a frame of its own, a backlog in frames of [`FRAME_TICKS`].
//!
//! Nothing is sent twice: a session that breaks is an error of whoever drives it.

mod agent;
mod line;
mod log;
pub mod series;

pub use agent::{Agent, Sent};
pub use line::{Acknowledgements, Line, open};
pub use log::Log;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds between two dear ticks.
pub const DEAR_EVERY: u64 = 5;
/// Frames that may be unacknowledged, as with a real agent.
pub const WINDOW_FRAMES: u32 = 64;
/// Ticks in one frame of a backlog, as with a real agent.
pub const FRAME_TICKS: usize = 128;

/// Microseconds since the Unix epoch.
///
/// # Errors
/// When the machine's clock is set to before it.
pub fn wall_us() -> anyhow::Result<i64> {
    micros(SystemTime::now().duration_since(UNIX_EPOCH)?)
}

fn micros(duration: Duration) -> anyhow::Result<i64> {
    Ok(i64::try_from(duration.as_micros())?)
}
