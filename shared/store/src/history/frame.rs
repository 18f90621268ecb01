//! The steps of an answer: where each begins, and to which one a moment belongs.

use super::Step;
use crate::Error;
use jiff::{SignedDuration, Timestamp};

/// The whole steps that cover what is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    /// Beginning of the first step.
    pub(super) from: Timestamp,
    /// End of the last step, exclusive.
    pub(super) to: Timestamp,
    /// How long each is.
    pub(super) step: Step,
    points: usize,
}

impl Frame {
    /// Steps of seconds begin at multiples of it since the Unix epoch, and the last goes on to its end, or to the end of all time.
    pub(super) fn new(from: Timestamp, to: Timestamp, step: Step) -> Self {
        let Step::Seconds(seconds) = step else {
            let points = usize::from(step == Step::Whole);
            return Self {
                from,
                to,
                step,
                points,
            };
        };
        let step_ms = 1000 * i64::from(seconds.max(1));
        let from_ms = from.as_millisecond().div_euclid(step_ms) * step_ms;
        // The end is exclusive: one nanosecond into a step takes the step in.
        let last_ms = to
            .as_nanosecond()
            .saturating_sub(1)
            .div_euclid(1_000_000 * i128::from(step_ms));
        let to_ms = (i64::try_from(last_ms).unwrap_or(i64::MAX / step_ms - 1) + 1) * step_ms;
        Self {
            from: Timestamp::from_millisecond(from_ms).unwrap_or(Timestamp::MIN),
            to: Timestamp::from_millisecond(to_ms).unwrap_or(Timestamp::MAX),
            step: Step::Seconds(seconds.max(1)),
            points: usize::try_from((to_ms - from_ms) / step_ms).unwrap_or(0),
        }
    }

    /// The same steps, so many seconds before.
    ///
    /// # Errors
    /// [`Error::Misaligned`] unless that is a multiple of the step.
    pub(super) fn earlier(&self, shift_s: u32) -> Result<Self, Error> {
        if let Step::Seconds(seconds) = self.step
            && !shift_s.is_multiple_of(seconds)
        {
            return Err(Error::Misaligned { step_s: seconds });
        }
        let shift = SignedDuration::from_secs(shift_s.into());
        let before = |time: Timestamp| time.saturating_sub(shift).unwrap_or(Timestamp::MIN);
        Ok(Self {
            from: before(self.from),
            to: before(self.to),
            ..self.clone()
        })
    }

    /// How many steps; 0 for samples at their own times.
    pub(super) const fn points(&self) -> usize {
        self.points
    }

    /// Where the steps begin, in milliseconds.
    pub(super) fn times_ms(&self) -> Vec<i64> {
        let first = self.from.as_millisecond();
        let steps = (0..).map(|point| self.step_ms().saturating_mul(point));
        steps.take(self.points).map(|since| first + since).collect()
    }

    /// The step to which `time` belongs.
    pub(super) fn point(&self, time: Timestamp) -> Option<usize> {
        let point = (time.as_millisecond() - self.from.as_millisecond()).div_euclid(self.step_ms());
        usize::try_from(point).ok().filter(|point| *point < self.points)
    }

    /// A moment in the step to which the column `time` belongs, as SQL; `some` is any moment of the frame.
    pub(super) fn bin(&self, time: &str, some: &str) -> String {
        match self.step {
            Step::Raw => time.to_owned(),
            Step::Whole => some.to_owned(),
            Step::Seconds(seconds) => format!("date_bin('{seconds} s', {time}, 'epoch'::timestamptz)"),
        }
    }

    fn step_ms(&self) -> i64 {
        match self.step {
            Step::Seconds(seconds) => 1000 * i64::from(seconds),
            // One step, or none: all is in it.
            Step::Raw | Step::Whole => i64::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn steps_begin_at_multiples_and_cover_what_is_asked_for() {
        let frame = Frame::new(at(65), at(121), Step::Seconds(60));
        assert_eq!((frame.from, frame.to, frame.points()), (at(60), at(180), 2));
        assert_eq!(frame.times_ms(), [60_000, 120_000]);
        assert_eq!(frame.point(at(120)), Some(1));
        assert_eq!((frame.point(at(59)), frame.point(at(180))), (None, None));
        let exact = Frame::new(at(60), at(120), Step::Seconds(60));
        assert_eq!(exact.points(), 1);
    }

    #[test]
    fn nothing_lies_beyond_the_ends_of_time() {
        let all = Frame::new(Timestamp::MIN, Timestamp::MAX, Step::Seconds(86_400));
        assert_eq!((all.from, all.to), (Timestamp::MIN, Timestamp::MAX));
        assert!(all.points() > 7_000_000);
        assert_eq!(all.earlier(86_400).unwrap().from, Timestamp::MIN);
    }

    #[test]
    fn an_earlier_frame_has_the_same_steps() {
        let frame = Frame::new(at(7200), at(10_800), Step::Seconds(3600));
        let earlier = frame.earlier(3600).unwrap();
        assert_eq!(
            (earlier.from, earlier.to, earlier.points()),
            (at(3600), at(7200), 1)
        );
        assert_eq!(earlier.point(at(3600)), Some(0));
        assert!(frame.earlier(1800).is_err(), "its steps would lie elsewhere");
    }

    #[test]
    fn the_whole_is_one_step_and_samples_are_none() {
        let whole = Frame::new(at(65), at(121), Step::Whole);
        assert_eq!(
            (whole.from, whole.points(), whole.point(at(65))),
            (at(65), 1, Some(0))
        );
        assert_eq!(Frame::new(at(65), at(121), Step::Raw).points(), 0);
    }
}
