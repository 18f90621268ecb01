//! Ranges of positions, over the border between runs.

use std::ops::RangeInclusive;
use vmscope_model::{Position, Span};

/// From one position to another, both inclusive. Sequence 0 lies before a run's first tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: Position,
    pub(super) last: Position,
}

impl Range {
    /// The positions of a span.
    pub(super) const fn of(span: Span) -> Self {
        let Span { epoch, first, last } = span;
        Self {
            first: Position {
                epoch,
                sequence: first,
            },
            last: Position {
                epoch,
                sequence: last,
            },
        }
    }

    /// How many ticks; 0 when it reaches beyond a run, whose end nobody knows.
    pub(super) fn ticks(self) -> i64 {
        if self.first.epoch != self.last.epoch {
            return 0;
        }
        i64::try_from(self.last.sequence - self.first.sequence + 1).unwrap_or(i64::MAX)
    }

    /// What is before and after `taken`, if there is anything.
    pub(super) fn without(self, taken: Self) -> (Option<Self>, Option<Self>) {
        let before = taken
            .first
            .sequence
            .checked_sub(1)
            .map(|sequence| Position {
                sequence,
                ..taken.first
            })
            .map(|last| Self {
                last: last.min(self.last),
                ..self
            });
        let after = Self {
            first: Position {
                sequence: taken.last.sequence.saturating_add(1),
                ..taken.last
            }
            .max(self.first),
            ..self
        };
        let real = |range: &Self| range.first <= range.last;
        (before.filter(real), Some(after).filter(real))
    }
}

/// The sequences of `span` that lie in `range`.
pub(super) fn intervals(range: Range, span: Span) -> Option<RangeInclusive<u64>> {
    let whole = Range::of(span);
    let first = whole.first.max(range.first);
    let last = whole.last.min(range.last);
    (first <= last).then_some(first.sequence..=last.sequence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: (u64, u64), last: (u64, u64)) -> Range {
        let at = |(epoch, sequence)| Position { epoch, sequence };
        Range {
            first: at(first),
            last: at(last),
        }
    }

    fn span(epoch: u64, first: u64, last: u64) -> Span {
        Span { epoch, first, last }
    }

    #[test]
    fn what_is_taken_out_leaves_what_was_before_and_after() {
        let taken = Range::of(span(5, 10, 20));
        let cases = [
            (range((5, 10), (5, 20)), (None, None)),
            (range((5, 5), (5, 20)), (Some(range((5, 5), (5, 9))), None)),
            (range((5, 10), (9, 0)), (None, Some(range((5, 21), (9, 0))))),
            (range((3, 8), (5, 0)), (Some(range((3, 8), (5, 0))), None)),
            (
                range((3, 8), (9, 0)),
                (Some(range((3, 8), (5, 9))), Some(range((5, 21), (9, 0)))),
            ),
        ];
        for (whole, rest) in cases {
            assert_eq!(whole.without(taken), rest, "{whole:?}");
        }
    }

    #[test]
    fn a_range_over_runs_holds_all_of_the_runs_between() {
        assert_eq!(intervals(range((3, 8), (9, 0)), span(5, 1, 7)), Some(1..=7));
        assert_eq!(intervals(range((5, 3), (9, 0)), span(5, 1, 7)), Some(3..=7));
        assert_eq!(intervals(range((3, 8), (5, 0)), span(5, 1, 7)), None);
        assert_eq!(intervals(range((3, 8), (5, 4)), span(5, 1, 7)), Some(1..=4));
    }
}
