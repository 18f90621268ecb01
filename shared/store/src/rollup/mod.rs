//! Rollups: hours out of samples, days out of hours, made anew whenever their samples change.
//!
//! A host's ticks say from when on its hours have to be made (`ingest_progress.dirty_from`): the oldest tick since the last rollup,
//! written by the update that moves the progress mark anyway, in the ticks' own transaction. [`Roller::roll`] takes that moment
//! over into `rolling_from` in a short transaction of its own, and then makes every hour from there to the hour that is still
//! open, a UTC day at a time: all hours of all things of the host out of their samples, and the day out of its hours, in one
//! transaction that ends by moving `rolling_from` on.
//!
//! Invariants: what is older than both moments is as the samples are ([`rolled_until`]). A tick that is committed before the moment
//! is taken over is seen by the rollup; one that comes later sets it again. Buckets are never made out of samples
//! of which retention has removed a part. One at a time does it for a database ([`Roller::begin`]).
//!
//! Failure: whatever dies, `rolling_from` stands where the last transaction left it, and the next turn goes on from there.

mod bucket;
mod fold;
mod lock;
mod progress;
mod read;
mod roller;
mod things;
mod write;

pub(crate) use bucket::LOOKBACK_US;
pub(crate) use progress::{kept, rolled};
pub use progress::{kept_from, lag, rolled_until};
pub use roller::{Rolled, Roller};
