//! When to sample: at whole multiples of the interval on the wall clock, so that hosts and groups line up on a chart.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use vmscope_model::{Cause, Gap, Group};

/// The wall clock, microseconds since the Unix epoch.
pub(super) fn now_us() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX)
}

/// Milliseconds of an interval as microseconds.
pub(super) fn interval_us(interval_ms: u64) -> i64 {
    i64::try_from(interval_ms)
        .unwrap_or(i64::MAX)
        .saturating_mul(1_000)
        .max(1)
}

/// The moments of one loop.
#[derive(Debug)]
pub(super) struct Schedule {
    group: Group,
    interval_us: i64,
    last: Option<Planned>,
}

#[derive(Debug, Clone, Copy)]
struct Planned {
    at_us: i64,
    /// The same moment on the clock that nobody sets.
    instant: Instant,
}

/// A moment to sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Due {
    /// Which one, microseconds since the Unix epoch.
    pub(super) at_us: i64,
    /// Moments since the last one that passed while the loop was held up.
    pub(super) missed: Option<Gap>,
}

impl Schedule {
    pub(super) fn new(group: Group, interval_ms: u64) -> Self {
        Self {
            group,
            interval_us: interval_us(interval_ms),
            last: None,
        }
    }

    /// Waits for the next moment.
    pub(super) async fn next(&mut self) -> Due {
        let now_us = now_us();
        let due = self.plan(now_us, Instant::now());
        tokio::time::sleep(wait(now_us, due.at_us)).await;
        due
    }

    /// The first multiple of the interval after `now_us` and after the last one. Whoever sets the clock makes no gap.
    fn plan(&mut self, now_us: i64, now: Instant) -> Due {
        let mut at_us = (now_us.div_euclid(self.interval_us) + 1) * self.interval_us;
        let mut missed = None;
        if let Some(last) = self.last {
            let passed_us =
                i64::try_from(now.saturating_duration_since(last.instant).as_micros()).unwrap_or(i64::MAX);
            let clock_was_set = (now_us - last.at_us - passed_us).abs() > self.interval_us;
            let expected_us = last.at_us + self.interval_us;
            if !clock_was_set {
                at_us = at_us.max(expected_us);
                missed = self.missed(expected_us, at_us);
            }
        }
        let instant = now + wait(now_us, at_us);
        self.last = Some(Planned { at_us, instant });
        Due { at_us, missed }
    }

    fn missed(&self, from_us: i64, before_us: i64) -> Option<Gap> {
        let ticks = u64::try_from((before_us - from_us) / self.interval_us)
            .ok()
            .filter(|ticks| *ticks > 0)?;
        let to_us = before_us - self.interval_us;
        Some(Gap {
            vm: None,
            group: self.group,
            cause: Cause::Deadline,
            from_us,
            to_us,
            ticks,
            lost: None,
        })
    }
}

impl Due {
    /// A gap of just this moment.
    pub(super) const fn gap(&self, group: Group, cause: Cause) -> Gap {
        Gap {
            vm: None,
            group,
            cause,
            from_us: self.at_us,
            to_us: self.at_us,
            ticks: 1,
            lost: None,
        }
    }
}

fn wait(now_us: i64, at_us: i64) -> Duration {
    Duration::from_micros(u64::try_from(at_us - now_us).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START_US: i64 = 1_700_000_000_000_000;

    #[test]
    fn ticks_fall_on_whole_multiples() {
        let mut schedule = Schedule::new(Group::Cheap, 1_000);
        let start = Instant::now();
        assert_eq!(
            schedule.plan(START_US + 300_000, start).at_us,
            START_US + 1_000_000
        );
        let next = schedule.plan(START_US + 1_010_000, start + Duration::from_millis(710));
        assert_eq!(
            next,
            Due {
                at_us: START_US + 2_000_000,
                missed: None
            }
        );
    }

    #[test]
    fn a_tick_that_wakes_early_is_not_taken_twice() {
        let mut schedule = Schedule::new(Group::Cheap, 1_000);
        let start = Instant::now();
        schedule.plan(START_US, start);
        let next = schedule.plan(START_US + 999_000, start + Duration::from_secs(1));
        assert_eq!(next.at_us, START_US + 2_000_000);
    }

    #[test]
    fn ticks_passed_while_held_up_are_a_gap() {
        let mut schedule = Schedule::new(Group::Dear, 1_000);
        let start = Instant::now();
        schedule.plan(START_US, start);
        let next = schedule.plan(START_US + 4_500_000, start + Duration::from_millis(4_500));
        assert_eq!(next.at_us, START_US + 5_000_000);
        let gap = next.missed.unwrap();
        assert_eq!(
            (gap.from_us, gap.to_us, gap.ticks),
            (START_US + 2_000_000, START_US + 4_000_000, 3)
        );
        assert_eq!((gap.group, gap.cause), (Group::Dear, Cause::Deadline));
    }

    #[test]
    fn setting_the_clock_makes_no_gap() {
        for jump_us in [3_600_000_000, -3_600_000_000] {
            let mut schedule = Schedule::new(Group::Host, 1_000);
            let start = Instant::now();
            schedule.plan(START_US, start);
            let next = schedule.plan(
                START_US + 1_100_000 + jump_us,
                start + Duration::from_millis(1_100),
            );
            assert_eq!(
                next,
                Due {
                    at_us: START_US + 2_000_000 + jump_us,
                    missed: None
                }
            );
        }
    }
}
