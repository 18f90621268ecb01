//! How long to wait before the next attempt.

use std::time::Duration;

/// Exponential back-off with full jitter: any time from nothing to a bound that doubles from `base` to `cap`.
///
/// The jitter spreads a fleet that lost its collector at the same moment.
#[derive(Debug, Clone)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    bound: Duration,
}

impl Backoff {
    /// Bounds start at `base` and never pass `cap`.
    pub fn new(base: Duration, cap: Duration) -> Self {
        Self {
            base,
            cap,
            bound: base.min(cap),
        }
    }

    /// How long to wait now; the next answer's bound is twice as high.
    pub fn next_delay(&mut self) -> Duration {
        let delay = self.bound.mul_f64(rand::random_range(0.0..=1.0));
        self.bound = self.bound.saturating_mul(2).min(self.cap);
        delay
    }

    /// An attempt succeeded: starts from the base again.
    pub fn reset(&mut self) {
        self.bound = self.base.min(self.cap);
    }
}

#[cfg(test)]
mod tests {
    use super::{Backoff, Duration};

    #[test]
    fn bounds_double_up_to_the_cap_and_start_again() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        for round in 0..2 {
            for bound_ms in [100, 200, 400, 800, 1000, 1000] {
                assert_eq!(backoff.bound, Duration::from_millis(bound_ms), "round {round}");
                assert!(backoff.next_delay() <= Duration::from_millis(bound_ms));
            }
            backoff.reset();
        }
    }

    #[test]
    fn delays_spread_over_the_whole_bound() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(1));
        let mut halves = [0; 2];
        for _ in 0..1000 {
            halves[usize::from(backoff.next_delay() >= Duration::from_millis(500))] += 1;
        }
        // Each half is expected 500 times; 300 or fewer happens less than once in 10^35 runs.
        assert!(halves.iter().all(|&count| count > 300), "{halves:?}");
    }
}
