//! Several ways to the same end, the next one begun a little after the one before (in the manner of RFC 8305).
//!
//! The order is that of preference: a preferred way that works wins, because it has a head start; one that does not answer
//! costs the head start and not its time-out. An attempt that fails lets the next one begin at once.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::time::Duration;

/// By how much an attempt is ahead of the next one; what RFC 8305 recommends.
pub(super) const HEAD_START: Duration = Duration::from_millis(250);

/// Attempts that run against each other; dropped, they end.
#[derive(Debug)]
pub(super) struct Race<F: Future> {
    waiting: std::vec::IntoIter<F>,
    running: FuturesUnordered<F>,
}

impl<F: Future> Race<F> {
    /// A race between `attempts`, in the order of preference.
    pub(super) fn new(attempts: Vec<F>) -> Self {
        Self {
            waiting: attempts.into_iter(),
            running: FuturesUnordered::new(),
        }
    }

    /// What the next attempt that ends came to; `None` when all have ended.
    ///
    /// The next attempt begins with this call: ask again after a failure, leave it after a success.
    pub(super) async fn next(&mut self) -> Option<F::Output> {
        self.running.extend(self.waiting.next());
        while self.waiting.len() > 0 {
            match tokio::time::timeout(HEAD_START, self.running.next()).await {
                Ok(ended) => return ended,
                Err(_) => self.running.extend(self.waiting.next()),
            }
        }
        self.running.next().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    /// An attempt that ends after a while: its number, and when that was.
    async fn attempt(number: u32, ends_ms: u64) -> (u32, Duration) {
        let begun = Instant::now();
        tokio::time::sleep(Duration::from_millis(ends_ms)).await;
        (number, begun.elapsed())
    }

    async fn order(ends_ms: &[u64]) -> Vec<u32> {
        let attempts = (0..)
            .zip(ends_ms)
            .map(|(number, ms)| attempt(number, *ms))
            .collect();
        let mut race = Race::new(attempts);
        let mut order = Vec::new();
        while let Some((number, _)) = race.next().await {
            order.push(number);
        }
        order
    }

    #[tokio::test(start_paused = true)]
    async fn the_preferred_one_wins_by_its_head_start() {
        assert_eq!(order(&[240, 1, 1]).await, [0, 1, 2]);
        assert_eq!(order(&[260, 50, 60_000]).await, [0, 1, 2]);
        assert_eq!(order(&[]).await, [0; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_one_costs_its_head_start_only() {
        let begun = Instant::now();
        let mut race = Race::new(vec![attempt(0, 60_000), attempt(1, 60_000), attempt(2, 10)]);
        assert_eq!(race.next().await.map(|(number, _)| number), Some(2));
        assert_eq!(begun.elapsed(), 2 * HEAD_START + Duration::from_millis(10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_lets_the_next_one_begin_at_once() {
        let begun = Instant::now();
        let mut race = Race::new(vec![attempt(0, 10), attempt(1, 10), attempt(2, 10)]);
        for number in 0..3 {
            assert_eq!(race.next().await.map(|(number, _)| number), Some(number));
        }
        assert_eq!(begun.elapsed(), Duration::from_millis(30));
        assert!(race.next().await.is_none());
    }
}
