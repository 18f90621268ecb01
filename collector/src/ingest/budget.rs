//! What sessions may hold in memory, with a part of it kept for live frames.
//!
//! Backlog takes from the larger part only; live frames take from whichever part has room. So a fleet that drains a day
//! of backlog fills its own part and stops being read, while live frames still pass.

use super::queue::Lane;
use prometheus_client::metrics::gauge::Gauge;
use std::num::NonZeroU32;
use std::sync::Arc;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// Sessions that may hold a decoded frame while they wait for the budget: after an outage every agent sends its backlog,
/// and what waits has to wait small.
const DECODED_WAITING: u32 = 64;

/// One part in so many is kept for live frames.
pub(super) const KEPT_PART: u32 = 4;

/// One part of a supply.
#[derive(Debug)]
struct Part {
    free: Arc<Semaphore>,
    size: u32,
}

impl Part {
    fn new(size: u32) -> Self {
        let size = size.max(1);
        Self {
            free: Arc::new(Semaphore::new(size as usize)),
            size,
        }
    }

    /// Waits for `count`; for more than the whole part, it waits for the whole part.
    async fn take(&self, count: u32) -> Result<OwnedSemaphorePermit, AcquireError> {
        Arc::clone(&self.free)
            .acquire_many_owned(count.min(self.size))
            .await
    }
}

/// Something that there is a fixed number of.
#[derive(Debug)]
struct Supply {
    shared: Part,
    kept: Part,
}

impl Supply {
    fn new(size: u32) -> Self {
        let kept = Part::new(size / KEPT_PART);
        Self {
            shared: Part::new(size.saturating_sub(kept.size)),
            kept,
        }
    }

    async fn take(&self, lane: Lane, count: u32) -> Result<OwnedSemaphorePermit, AcquireError> {
        match lane {
            Lane::Backlog => self.shared.take(count).await,
            Lane::Live => tokio::select! {
                biased;
                taken = self.kept.take(count) => taken,
                taken = self.shared.take(count) => taken,
            },
        }
    }
}

/// The budget of all sessions.
#[derive(Debug)]
pub(super) struct Budget {
    turns: Supply,
    rows: Supply,
    rows_in_flight: Gauge,
}

impl Budget {
    /// A budget of `rows`, which `rows_in_flight` shows.
    pub(super) fn new(rows: NonZeroU32, rows_in_flight: Gauge) -> Self {
        Self {
            turns: Supply::new(DECODED_WAITING),
            rows: Supply::new(rows.get()),
            rows_in_flight,
        }
    }

    /// Waits for the right to decode a frame and to wait for the budget with it.
    pub(super) async fn turn(&self, lane: Lane) -> Result<OwnedSemaphorePermit, AcquireError> {
        self.turns.take(lane, 1).await
    }

    /// Waits until `rows` more rows may be in memory.
    pub(super) async fn admit(&self, lane: Lane, rows: usize) -> Result<Admission, AcquireError> {
        let count = u32::try_from(rows).unwrap_or(u32::MAX);
        let permit = self.rows.take(lane, count).await?;
        Ok(Admission::new(rows, permit, self.rows_in_flight.clone()))
    }
}

/// Rows that may be in memory while this lives.
#[derive(Debug)]
pub(super) struct Admission {
    pub(super) rows: usize,
    in_flight: Gauge,
    _permit: OwnedSemaphorePermit,
}

impl Admission {
    fn new(rows: usize, permit: OwnedSemaphorePermit, in_flight: Gauge) -> Self {
        let admission = Self {
            rows,
            in_flight,
            _permit: permit,
        };
        admission.in_flight.inc_by(admission.count());
        admission
    }

    fn count(&self) -> i64 {
        i64::try_from(self.rows).unwrap_or(i64::MAX)
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.in_flight.dec_by(self.count());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn admitted(budget: &Budget, lane: Lane, rows: usize) -> Option<Admission> {
        budget.admit(lane, rows).now_or_never()?.ok()
    }

    #[test]
    fn backlog_leaves_a_quarter_to_live_frames() {
        let gauge = Gauge::default();
        let budget = Budget::new(NonZeroU32::MIN.saturating_add(99), gauge.clone());
        let backlog = admitted(&budget, Lane::Backlog, 75).expect("its part");
        assert!(admitted(&budget, Lane::Backlog, 1).is_none());
        let live = admitted(&budget, Lane::Live, 25).expect("the part that is kept");
        assert!(admitted(&budget, Lane::Live, 1).is_none());
        assert_eq!(gauge.get(), 100);
        drop(backlog);
        let more = admitted(&budget, Lane::Live, 70).expect("what backlog leaves free");
        drop((live, more));
        assert_eq!(gauge.get(), 0);
    }

    #[test]
    fn a_frame_larger_than_its_part_waits_for_the_whole_part() {
        let budget = Budget::new(NonZeroU32::MIN.saturating_add(7), Gauge::default());
        let large = admitted(&budget, Lane::Backlog, 1000).expect("nothing is in flight");
        assert!(admitted(&budget, Lane::Backlog, 1).is_none());
        assert!(admitted(&budget, Lane::Live, 1000).is_some());
        drop(large);
        assert!(admitted(&budget, Lane::Backlog, 1).is_some());
    }

    #[test]
    fn the_smallest_budget_still_serves_both() {
        let budget = Budget::new(NonZeroU32::MIN, Gauge::default());
        let _backlog = admitted(&budget, Lane::Backlog, 5).expect("one frame");
        assert!(admitted(&budget, Lane::Live, 5).is_some());
    }
}
