//! When to sample: at whole multiples of the interval on the wall clock, so that hosts and groups line up on a chart.

use super::clock::Reading;
use std::time::Duration;
use vmscope_model::{Cause, Gap, Group};

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
    /// The clocks when it was planned.
    read: Reading,
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

    /// From the next moment on, moments are this far apart. Those that fall out are no gap: nobody plans them any more.
    pub(super) fn set_interval(&mut self, interval_ms: u64) {
        self.interval_us = interval_us(interval_ms);
    }

    /// Waits for the next moment.
    pub(super) async fn next(&mut self) -> Due {
        let now = Reading::now();
        let mut due = self.plan(now);
        tokio::time::sleep(wait(now.wall_us, due.at_us)).await;
        due.at_us += moved_us(&now, &Reading::now());
        due
    }

    /// The first multiple of the interval after now and after the last moment. What was done to the clocks makes no gap here:
    /// the outlet tells it, once for the host.
    fn plan(&mut self, now: Reading) -> Due {
        let mut at_us = self.multiple_after(now.wall_us);
        let mut missed = None;
        if let Some(last) = self.last.filter(|last| !now.since(&last.read).is_any()) {
            let expected_us = self.multiple_after(last.at_us);
            at_us = at_us.max(expected_us);
            missed = self.missed(expected_us, at_us);
        }
        self.last = Some(Planned { at_us, read: now });
        Due { at_us, missed }
    }

    const fn multiple_after(&self, time_us: i64) -> i64 {
        (time_us.div_euclid(self.interval_us) + 1).saturating_mul(self.interval_us)
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

/// By how much a moment that was planned `before` is another one on the wall clock of `now`.
const fn moved_us(before: &Reading, now: &Reading) -> i64 {
    let disturbance = now.since(before);
    disturbance.stepped_us + disturbance.suspended_us
}

fn wait(now_us: i64, at_us: i64) -> Duration {
    Duration::from_micros(u64::try_from(at_us - now_us).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::super::clock::testing::START;
    use super::*;
    use proptest::prelude::*;

    const SECOND_US: i64 = 1_000_000;
    const HOUR_US: i64 = 3_600 * SECOND_US;
    const START_US: i64 = START.wall_us;

    #[test]
    fn ticks_fall_on_whole_multiples() {
        let mut schedule = Schedule::new(Group::Cheap, 1_000);
        assert_eq!(schedule.plan(START.after(300_000)).at_us, START_US + SECOND_US);
        let next = schedule.plan(START.after(1_010_000));
        assert_eq!(
            next,
            Due {
                at_us: START_US + 2 * SECOND_US,
                missed: None
            }
        );
    }

    #[test]
    fn a_tick_that_wakes_early_is_not_taken_twice() {
        let mut schedule = Schedule::new(Group::Cheap, 1_000);
        schedule.plan(START);
        let next = schedule.plan(START.after(999_000));
        assert_eq!(next.at_us, START_US + 2 * SECOND_US);
    }

    #[test]
    fn ticks_passed_while_held_up_are_a_gap() {
        let mut schedule = Schedule::new(Group::Dear, 1_000);
        schedule.plan(START);
        let next = schedule.plan(START.after(4_500_000));
        assert_eq!(next.at_us, START_US + 5 * SECOND_US);
        let gap = next.missed.unwrap();
        assert_eq!(
            (gap.from_us, gap.to_us, gap.ticks),
            (START_US + 2 * SECOND_US, START_US + 4 * SECOND_US, 3)
        );
        assert_eq!((gap.group, gap.cause), (Group::Dear, Cause::Deadline));
    }

    #[test]
    fn setting_the_clock_makes_no_gap_and_holds_up_nothing() {
        for step_us in [HOUR_US, -HOUR_US, 700_000, -700_000] {
            let mut schedule = Schedule::new(Group::Host, 1_000);
            schedule.plan(START);
            let now = START.after(1_100_000).set(step_us);
            let next = schedule.plan(now);
            assert_eq!((next.missed, next.at_us % SECOND_US), (None, 0));
            let wait_us = next.at_us - now.wall_us;
            assert!((1..=SECOND_US).contains(&wait_us), "{wait_us} us after {step_us}");
        }
    }

    #[test]
    fn a_suspended_host_misses_no_tick() {
        let mut schedule = Schedule::new(Group::Host, 1_000);
        schedule.plan(START);
        let next = schedule.plan(START.after(1_100_000).suspended(HOUR_US));
        assert_eq!(
            (next.missed, next.at_us),
            (None, START_US + 2 * SECOND_US + HOUR_US)
        );
    }

    #[test]
    fn a_moment_is_named_by_the_clock_that_was_set_while_it_was_awaited() {
        let later = START.after(SECOND_US);
        assert_eq!(moved_us(&START, &later), 0);
        assert_eq!(moved_us(&START, &later.set(-HOUR_US)), -HOUR_US);
        assert_eq!(moved_us(&START, &later.suspended(HOUR_US)), HOUR_US);
    }

    #[test]
    fn another_interval_makes_no_gap() {
        let mut schedule = Schedule::new(Group::Dear, 5_000);
        let mut now = START;
        for interval_ms in [5_000, 10_000, 40_000, 20_000, 5_000] {
            schedule.set_interval(interval_ms);
            let due = schedule.plan(now);
            assert_eq!((due.missed, due.at_us % interval_us(interval_ms)), (None, 0));
            now = START.after(due.at_us - START_US + 100_000);
        }
    }

    proptest! {
        /// Whatever is done to the clocks, the next moment is never further away than an interval, and lies on the grid.
        #[test]
        fn the_next_moment_is_always_near(
            doings in proptest::collection::vec((0..5_000_000_i64, -HOUR_US..HOUR_US, 0..HOUR_US), 1..30)
        ) {
            let (mut schedule, mut now) = (Schedule::new(Group::Cheap, 1_000), START);
            for (passed_us, step_us, suspended_us) in doings {
                now = now.after(passed_us).set(step_us).suspended(suspended_us);
                let due = schedule.plan(now);
                prop_assert_eq!(due.at_us % SECOND_US, 0);
                prop_assert!((1..=2 * SECOND_US).contains(&(due.at_us - now.wall_us)));
                now = now.after(due.at_us - now.wall_us);
            }
        }
    }
}
