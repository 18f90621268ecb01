//! Which step, when the caller leaves it open.

use jiff::Timestamp;
use vmscope_store::history::Step;

/// Most points of one series when the caller does not say the step.
pub(in crate::api) const DEFAULT_POINTS: i64 = 600;
/// The steps that are chosen from, in seconds: they divide the minute, the hour or the day, or are whole days.
const STEPS_S: [u32; 20] = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 21_600, 43_200, 86_400, 172_800, 604_800,
    MAX_STEP_S,
];
/// Longest step, in seconds: 30 days.
pub(in crate::api) const MAX_STEP_S: u32 = 2_592_000;
/// Longest range that is drawn from samples when the caller does not say the step, in seconds. Longer ones get steps of whole hours,
/// which are rolled up.
const SAMPLES_RANGE_S: i64 = 2 * 86_400;

/// What the choice has to regard.
#[derive(Debug, Clone, Copy)]
pub(in crate::api) struct Wish {
    /// Beginning of the range.
    pub(in crate::api) from: Timestamp,
    /// End of the range.
    pub(in crate::api) to: Timestamp,
    /// Most points.
    pub(in crate::api) points: i64,
    /// Whether samples have to be read anyway.
    pub(in crate::api) samples: bool,
    /// The earlier period begins so much before, in seconds; 0 without one.
    pub(in crate::api) shift_s: u32,
}

impl Wish {
    /// The shortest step that keeps the range below `points`.
    pub(in crate::api) fn choose(self) -> Step {
        let range_s = self.to.duration_since(self.from).as_secs();
        // One less, because the range may begin within a step.
        let fits = |step_s: &u32| range_s <= i64::from(*step_s) * (self.points - 1).max(1);
        let rolled = |step_s: &u32| self.samples || range_s <= SAMPLES_RANGE_S || step_s.is_multiple_of(3600);
        let aligned = |step_s: &u32| self.shift_s.is_multiple_of(*step_s);
        let good = |step_s: &u32| fits(step_s) && rolled(step_s) && aligned(step_s);
        Step::Seconds(STEPS_S.into_iter().find(good).unwrap_or(MAX_STEP_S))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    fn wish(range_s: i64) -> Wish {
        Wish {
            from: Timestamp::UNIX_EPOCH,
            to: Timestamp::UNIX_EPOCH + SignedDuration::from_secs(range_s),
            points: DEFAULT_POINTS,
            samples: false,
            shift_s: 0,
        }
    }

    #[test]
    fn the_default_step_gives_at_most_600_points() {
        assert_eq!(wish(300).choose(), Step::Seconds(1));
        assert_eq!(wish(3600).choose(), Step::Seconds(10));
        for range_s in [1, 599, 600, 601, 86_400, 31_536_000] {
            let Step::Seconds(step_s) = wish(range_s).choose() else {
                panic!("raw")
            };
            // One more, because the range may begin within a step.
            assert!(
                range_s / i64::from(step_s) < DEFAULT_POINTS,
                "{range_s}: {step_s}"
            );
        }
    }

    #[test]
    fn long_ranges_are_drawn_from_whole_hours() {
        assert_eq!(wish(2 * 86_400).choose(), Step::Seconds(300));
        assert_eq!(wish(7 * 86_400).choose(), Step::Seconds(3600));
        assert_eq!(wish(365 * 86_400).choose(), Step::Seconds(86_400));
        let samples = Wish {
            samples: true,
            ..wish(7 * 86_400)
        };
        assert_eq!(samples.choose(), Step::Seconds(1200));
    }

    #[test]
    fn an_earlier_period_has_its_steps_beside() {
        let shifted = Wish {
            shift_s: 90,
            ..wish(3600)
        };
        assert_eq!(shifted.choose(), Step::Seconds(10));
        let odd = Wish {
            shift_s: 7,
            ..wish(60)
        };
        assert_eq!(odd.choose(), Step::Seconds(1));
    }
}
