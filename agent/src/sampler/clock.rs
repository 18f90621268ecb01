//! The host's clocks: which time a sample has, and whether somebody set the wall clock or suspended the host.
//!
//! Three clocks tell them apart. NTP slews all three alike. Only setting the wall clock changes its distance from the boot
//! clock, and only a suspended host changes the distance between the boot clock, which goes on then, and the monotonic one,
//! which stands. So a slewed clock is never taken for one that was set, however long it is slewed.

use rustix::time::{ClockId, clock_gettime};
use std::time::{SystemTime, UNIX_EPOCH};
use vmscope_model::{Cause, Gap, Group};

/// Smaller changes of a distance are not told; they add up until they are this large.
const NOTICED_US: i64 = 100_000;
/// Clocks read further apart than this are read again: something came between.
const TOGETHER_US: i64 = 1_000;
/// How often at most.
const RETRIES: usize = 4;
/// Times that collectors believe, microseconds since the Unix epoch: 2000-01-01 and 2200-01-01. A host without a battery begins
/// before them.
const BELIEVED_US: (i64, i64) = (946_684_800_000_000, 7_258_118_399_999_999);

/// The wall clock, microseconds since the Unix epoch.
pub(super) fn now_us() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX)
}

/// The three clocks at one moment, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "each clock counts microseconds")]
pub(super) struct Reading {
    /// Since the Unix epoch, as the host believes.
    pub(super) wall_us: i64,
    /// Since the host's start.
    boot_us: i64,
    /// Since the host's start, without the time that it was suspended.
    monotonic_us: i64,
}

/// What was done to the clocks between two readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Disturbance {
    /// By how much the wall clock was set, forward if positive; 0 when it was not.
    pub(super) stepped_us: i64,
    /// How long the host was suspended; 0 when it was not.
    pub(super) suspended_us: i64,
}

impl Reading {
    /// Reads the clocks, as close together as the system lets it.
    pub(super) fn now() -> Self {
        let (mut best, mut least_us) = Self::read();
        for _ in 0..RETRIES {
            if least_us <= TOGETHER_US {
                break;
            }
            let (reading, took_us) = Self::read();
            if took_us < least_us {
                (best, least_us) = (reading, took_us);
            }
        }
        best
    }

    /// A reading, and how long it took.
    fn read() -> (Self, i64) {
        let monotonic_us = kernel_us(ClockId::Monotonic);
        let reading = Self {
            wall_us: now_us(),
            boot_us: kernel_us(ClockId::Boottime),
            monotonic_us,
        };
        (reading, kernel_us(ClockId::Monotonic) - monotonic_us)
    }

    /// What was done to the clocks since `earlier`.
    pub(super) const fn since(&self, earlier: &Self) -> Disturbance {
        let stepped_us = (self.wall_us - earlier.wall_us) - (self.boot_us - earlier.boot_us);
        let suspended_us = (self.boot_us - earlier.boot_us) - (self.monotonic_us - earlier.monotonic_us);
        Disturbance {
            stepped_us: if stepped_us.abs() > NOTICED_US {
                stepped_us
            } else {
                0
            },
            suspended_us: if suspended_us > NOTICED_US {
                suspended_us
            } else {
                0
            },
        }
    }
}

impl Disturbance {
    /// Whether there was any.
    pub(super) const fn is_any(&self) -> bool {
        self.stepped_us != 0 || self.suspended_us != 0
    }
}

/// Tells each step and each suspension once.
#[derive(Debug)]
pub(super) struct Watch {
    /// The last look.
    last: Reading,
    /// The last look that found something: what changed since then has not been told.
    told: Reading,
}

impl Watch {
    pub(super) const fn new(now: Reading) -> Self {
        Self { last: now, told: now }
    }

    /// The gaps that the time since the last look leaves in the host's samples. When exactly it happened is not known, so they
    /// reach from one look to the other.
    pub(super) fn look(&mut self, now: Reading) -> Vec<Gap> {
        let last = std::mem::replace(&mut self.last, now);
        let Disturbance {
            stepped_us,
            suspended_us,
        } = now.since(&self.told);
        let mut gaps = Vec::new();
        if suspended_us != 0 {
            tracing::info!(
                clock.suspended_ms = suspended_us / 1_000,
                "the host was suspended"
            );
            gaps.push(gap(Cause::HostSuspended, last.wall_us, now.wall_us - stepped_us));
        }
        if stepped_us != 0 {
            tracing::warn!(clock.step_ms = stepped_us / 1_000, "the host's clock was set");
            // Set back, the new pass begins no earlier than `from`, and the old one ends no later than `to`.
            let (from_us, to_us) = if stepped_us > 0 {
                (last.wall_us, now.wall_us)
            } else {
                (last.wall_us + stepped_us, now.wall_us - stepped_us)
            };
            gaps.push(gap(Cause::ClockStep, from_us, to_us));
        }
        if !gaps.is_empty() {
            self.told = now;
        }
        gaps
    }
}

fn gap(cause: Cause, from_us: i64, to_us: i64) -> Gap {
    let believed = |time_us: i64| time_us.clamp(BELIEVED_US.0, BELIEVED_US.1);
    Gap {
        vm: None,
        group: Group::All,
        cause,
        from_us: believed(from_us),
        to_us: believed(to_us),
        ticks: 0,
        lost: None,
    }
}

/// A clock of the kernel that nobody sets, in microseconds.
fn kernel_us(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec
        .saturating_mul(1_000_000)
        .saturating_add(time.tv_nsec / 1_000)
}

#[cfg(test)]
pub(super) mod testing {
    //! Clocks by hand.

    use super::Reading;

    /// What a test's first reading says.
    pub(in crate::sampler) const START: Reading = Reading {
        wall_us: 1_700_000_000_000_000,
        boot_us: 5_000_000_000,
        monotonic_us: 4_000_000_000,
    };

    impl Reading {
        /// Time passes.
        pub(in crate::sampler) const fn after(self, us: i64) -> Self {
            Self {
                wall_us: self.wall_us + us,
                boot_us: self.boot_us + us,
                monotonic_us: self.monotonic_us + us,
            }
        }

        /// Somebody sets the clock.
        pub(in crate::sampler) const fn set(self, by_us: i64) -> Self {
            Self {
                wall_us: self.wall_us + by_us,
                ..self
            }
        }

        /// The host sleeps.
        pub(in crate::sampler) const fn suspended(self, us: i64) -> Self {
            Self {
                wall_us: self.wall_us + us,
                boot_us: self.boot_us + us,
                ..self
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::START;
    use super::*;
    use proptest::prelude::*;

    const SECOND_US: i64 = 1_000_000;
    const HOUR_US: i64 = 3_600 * SECOND_US;

    fn spans(gaps: &[Gap]) -> Vec<(Cause, i64, i64)> {
        gaps.iter()
            .map(|gap| (gap.cause, gap.from_us - START.wall_us, gap.to_us - START.wall_us))
            .collect()
    }

    #[test]
    fn a_step_forward_is_told_once_with_the_span_that_it_skipped() {
        let mut watch = Watch::new(START);
        assert_eq!(watch.look(START.after(SECOND_US)), []);
        let later = START.after(2 * SECOND_US).set(HOUR_US);
        let told = spans(&watch.look(later));
        assert_eq!(told, [(Cause::ClockStep, SECOND_US, 2 * SECOND_US + HOUR_US)]);
        assert_eq!(watch.look(later.after(SECOND_US)), []);
    }

    #[test]
    fn a_step_back_is_told_once_with_the_span_that_is_passed_twice() {
        let mut watch = Watch::new(START);
        let later = START.after(SECOND_US).set(-HOUR_US);
        let told = spans(&watch.look(later));
        assert_eq!(told, [(Cause::ClockStep, -HOUR_US, SECOND_US)]);
        assert_eq!(watch.look(later.after(SECOND_US)), []);
    }

    #[test]
    fn a_suspended_host_is_no_step() {
        let mut watch = Watch::new(START);
        let later = START.after(SECOND_US).suspended(HOUR_US);
        let told = spans(&watch.look(later));
        assert_eq!(told, [(Cause::HostSuspended, 0, SECOND_US + HOUR_US)]);
        assert_eq!(watch.look(later.after(SECOND_US)), []);
    }

    #[test]
    fn a_clock_set_while_the_host_was_suspended_is_told_as_both() {
        let mut watch = Watch::new(START);
        let told = spans(&watch.look(START.suspended(HOUR_US).set(10 * SECOND_US)));
        let expected = [
            (Cause::HostSuspended, 0, HOUR_US),
            (Cause::ClockStep, 0, HOUR_US + 10 * SECOND_US),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn small_steps_are_told_when_they_add_up() {
        let mut watch = Watch::new(START);
        let mut now = START;
        let told: usize = (0..10)
            .map(|_| {
                now = now.after(SECOND_US).set(30_000);
                watch.look(now).len()
            })
            .sum();
        assert_eq!(told, 2, "300 ms in steps of 30");
    }

    #[test]
    fn a_step_from_1970_is_told_as_a_collector_can_believe_it() {
        let unset = START.set(-START.wall_us);
        let told = Watch::new(unset).look(START);
        assert_eq!((told[0].from_us, told[0].to_us), (BELIEVED_US.0, START.wall_us));
    }

    #[test]
    fn clocks_of_this_host_are_read_close_together() {
        let mut watch = Watch::new(Reading::now());
        for _ in 0..1_000 {
            assert_eq!(watch.look(Reading::now()), []);
        }
    }

    proptest! {
        /// NTP makes every clock run up to 10 % too fast or too slow.
        #[test]
        fn slewing_is_never_told(passed in proptest::collection::vec(900_000..1_100_000_i64, 1..100)) {
            let (mut watch, mut now) = (Watch::new(START), START);
            for us in passed {
                now = now.after(us);
                prop_assert_eq!(watch.look(now), []);
            }
        }

        #[test]
        fn every_step_is_told_exactly_once(steps in proptest::collection::vec(-HOUR_US..HOUR_US, 1..20)) {
            let (mut watch, mut now, mut told) = (Watch::new(START), START, 0);
            let steps: Vec<i64> = steps.into_iter().filter(|step| step.abs() > NOTICED_US).collect();
            for step_us in &steps {
                now = now.after(SECOND_US).set(*step_us);
                for _ in 0..3 {
                    told += watch.look(now).len();
                    now = now.after(SECOND_US);
                }
            }
            prop_assert_eq!(told, steps.len());
        }
    }
}
