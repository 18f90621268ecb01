//! The sampler's limit on itself: a share of one core for the dear groups.
//!
//! What counts is the time that a dear tick takes, own work and waiting for libvirt together, for libvirt works as long as it is
//! waited for, and on a host that is short of processors both take longer. When ticks take more than their share, the
//! interval doubles, up to [`MAX_STRETCH`] times what is configured; when they would fit again, with a margin, it halves.
//! Moments that are left out are nobody's loss: the cadence is another one, and a metric says which.

use std::time::Duration;
use tokio::sync::watch;

/// The most that the interval is stretched.
pub(super) const MAX_STRETCH: u32 = 8;
/// Ticks in a row that must take too long before the interval doubles: one VM that hangs anew costs one tick.
const LONG_TICKS: u32 = 2;
/// Ticks in a row that must fit before the interval halves.
const SHORT_TICKS: u32 = 3;
/// What may be used of half the interval's budget for a tick to fit, in percent: or it would change back at once.
const MARGIN_PERCENT: u32 = 80;

/// The budget and how it is kept.
#[derive(Debug)]
pub(super) struct Budget {
    /// What a tick may take at the configured interval.
    allowed: Duration,
    stretch: watch::Sender<u32>,
    long_ticks: u32,
    short_ticks: u32,
}

impl Budget {
    /// `percent` of each `interval_ms` may be used; `stretch` is told what comes of it.
    pub(super) fn new(percent: u32, interval_ms: u64, stretch: watch::Sender<u32>) -> Self {
        Self {
            allowed: Duration::from_millis(interval_ms) * percent / 100,
            stretch,
            long_ticks: 0,
            short_ticks: 0,
        }
    }

    /// A tick has taken `spent`; returns how many times the configured interval the next ones are apart.
    pub(super) fn spend(&mut self, spent: Duration) -> u32 {
        let stretch = *self.stretch.borrow();
        let fits = stretch > 1 && spent <= self.allowed * (stretch / 2) * MARGIN_PERCENT / 100;
        self.short_ticks = if fits { self.short_ticks + 1 } else { 0 };
        let is_long = spent > self.allowed * stretch;
        self.long_ticks = if is_long { self.long_ticks + 1 } else { 0 };
        let next = if self.long_ticks >= LONG_TICKS {
            (stretch * 2).min(MAX_STRETCH)
        } else if self.short_ticks >= SHORT_TICKS {
            stretch / 2
        } else {
            stretch
        };
        if next != stretch {
            (self.long_ticks, self.short_ticks) = (0, 0);
            say(stretch, next, spent);
            self.stretch.send_replace(next);
        }
        next
    }
}

fn say(before: u32, stretch: u32, spent: Duration) {
    let spent_ms = u64::try_from(spent.as_millis()).unwrap_or(u64::MAX);
    if stretch > before {
        tracing::warn!(
            sampler.stretch = stretch,
            sampler.spent_ms = spent_ms,
            "sampling vm memory, disks and processors exceeds its budget, its interval doubles"
        );
    } else {
        tracing::info!(
            sampler.stretch = stretch,
            sampler.spent_ms = spent_ms,
            "sampling vm memory, disks and processors fits its budget again, its interval halves"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 20 % of 5 s: one second.
    fn budget() -> Budget {
        Budget::new(20, 5_000, watch::Sender::new(1))
    }

    fn spend(budget: &mut Budget, spent_ms: &[u64]) -> Vec<u32> {
        spent_ms
            .iter()
            .map(|ms| budget.spend(Duration::from_millis(*ms)))
            .collect()
    }

    #[test]
    fn the_interval_doubles_while_ticks_take_too_long_up_to_a_limit() {
        let told = spend(&mut budget(), &[60_000; 10]);
        assert_eq!(told, [1, 2, 2, 4, 4, 8, 8, 8, 8, 8]);
    }

    #[test]
    fn one_tick_that_takes_too_long_changes_nothing() {
        assert_eq!(spend(&mut budget(), &[2_000, 10, 2_000, 10, 2_000]), [1; 5]);
    }

    #[test]
    fn the_interval_comes_back_when_ticks_fit_again() {
        let mut budget = budget();
        spend(&mut budget, &[1_500, 1_500]);
        // 900 ms would fit into a second, and leave no margin.
        assert_eq!(spend(&mut budget, &[900; 10]), [2; 10]);
        assert_eq!(
            spend(&mut budget, &[700, 700, 900, 700, 700, 700, 700]),
            [2, 2, 2, 2, 2, 1, 1]
        );
    }

    proptest! {
        /// A load that stays as it is comes to rest.
        #[test]
        fn a_steady_load_has_one_cadence(spent_ms in 0..20_000_u64, before in proptest::collection::vec(0..20_000_u64, 0..20)) {
            let mut budget = budget();
            spend(&mut budget, &before);
            let told = spend(&mut budget, &[spent_ms; 40]);
            prop_assert!(told[20..].iter().all(|stretch| *stretch == told[20]), "{told:?}");
            prop_assert!(told.iter().all(|stretch| [1, 2, 4, 8].contains(stretch)));
        }
    }
}
