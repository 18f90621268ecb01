//! What the store is expected to hold: for each run of the agent that may still have records in it, from where to where.
//!
//! A file of its own beside the store, so that the store's loss can be told exactly. It is written over at every change and
//! not made durable (but for the beginning of a run): after a power loss it may know less than the store, never more.

use vmscope_model::Span;

/// Runs that are remembered. Older ones still have their records, but what they lose is told without a cause.
const MAX_RUNS: usize = 64;
/// The end of a mark's text. What stands behind it is left from a longer one.
const END: &str = "end";

/// One run of the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Run {
    pub(super) epoch: u64,
    /// Records up to here have left: acknowledged or dropped.
    pub(super) floor: u64,
    /// Records up to here were durable.
    pub(super) last: u64,
    /// Time of the last one, microseconds since the Unix epoch; 0 before the first.
    pub(super) last_us: i64,
}

impl Run {
    /// The records that should be there.
    pub(super) fn expected(&self) -> Option<Span> {
        (self.floor < self.last).then_some(Span {
            epoch: self.epoch,
            first: self.floor + 1,
            last: self.last,
        })
    }

    /// About when it began: an epoch is the time in milliseconds, unless the clock went backwards.
    pub(super) fn began_us(&self) -> i64 {
        i64::try_from(self.epoch)
            .unwrap_or(i64::MAX)
            .saturating_mul(1_000)
    }
}

/// Every run that may have records, the current one last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Mark {
    runs: Vec<Run>,
    /// The last run ended in order.
    pub(super) closed: bool,
}

impl Mark {
    pub(super) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The run that is going on, or was the last one.
    pub(super) fn current(&self) -> Option<&Run> {
        self.runs.last()
    }

    /// A new run begins.
    pub(super) fn begin(&mut self, epoch: u64) {
        self.runs.retain(|run| run.expected().is_some());
        let surplus = (self.runs.len() + 1).saturating_sub(MAX_RUNS);
        self.runs.drain(..surplus);
        self.runs.push(Run {
            epoch,
            ..Run::default()
        });
        self.closed = false;
    }

    /// Records of the current run up to this one are durable.
    pub(super) fn stored(&mut self, sequence: u64, time_us: i64) {
        if let Some(run) = self.runs.last_mut() {
            (run.last, run.last_us) = (sequence, time_us);
        }
    }

    /// Records of a run up to this sequence are about to leave; false when that was known.
    pub(super) fn raise_floor(&mut self, epoch: u64, sequence: u64) -> bool {
        let Some(run) = self.runs.iter_mut().find(|run| run.epoch == epoch) else {
            return false;
        };
        let raised = sequence > run.floor;
        run.floor = run.floor.max(sequence);
        raised
    }

    /// The store was found without these: when they are a run's end, nobody has to look for them again.
    pub(super) fn cut(&mut self, lost: Span) {
        for run in &mut self.runs {
            if (run.epoch, run.last) == (lost.epoch, lost.last) {
                run.last = lost.first - 1;
            }
        }
    }

    /// The store is gone, and that has been noted.
    pub(super) fn forget(&mut self) {
        for run in &mut self.runs {
            run.floor = run.floor.max(run.last);
        }
    }

    /// As a file's text: a line a run, then how it ended, then a checksum.
    pub(super) fn text(&self) -> String {
        let line = |run: &Run| format!("run {} {} {} {}\n", run.epoch, run.floor, run.last, run.last_us);
        let mut text: String = self.runs.iter().map(line).collect();
        text.push_str(if self.closed { "closed\n" } else { "open\n" });
        let sum = crc32fast::hash(text.as_bytes());
        text + &format!("{END} {sum:08x}\n")
    }

    /// The mark that a text begins with; `None` when there is none, or a damaged one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut mark = Self::default();
        let mut length = 0;
        for line in text.split_inclusive('\n') {
            let words: Vec<&str> = line.strip_suffix('\n')?.split(' ').collect();
            match words.as_slice() {
                ["run", epoch, floor, last, last_us] => mark.runs.push(Run {
                    epoch: epoch.parse().ok()?,
                    floor: floor.parse().ok()?,
                    last: last.parse().ok()?,
                    last_us: last_us.parse().ok()?,
                }),
                ["closed"] => mark.closed = true,
                ["open"] => {}
                [END, sum] => {
                    let expected = format!("{:08x}", crc32fast::hash(&text.as_bytes()[..length]));
                    return (*sum == expected).then_some(mark);
                }
                _ => return None,
            }
            length += line.len();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark() -> Mark {
        let mut mark = Mark::default();
        for epoch in [1_700_000_000_000, 1_700_000_100_000] {
            mark.begin(epoch);
            mark.stored(9, 1_700_000_200_000_000);
        }
        mark.raise_floor(1_700_000_000_000, 3);
        mark
    }

    #[test]
    fn a_damaged_mark_is_no_mark() {
        let text = mark().text();
        assert_eq!(Mark::parse(&text), Some(mark()));
        for position in 0..text.len() - 1 {
            let mut bytes = text.clone().into_bytes();
            bytes[position] ^= 1;
            let damaged = String::from_utf8(bytes).expect("still ASCII");
            assert_ne!(Mark::parse(&damaged), Some(mark()), "byte {position}");
        }
        for length in 0..text.len() {
            assert_eq!(Mark::parse(&text[..length]), None, "cut to {length}");
        }
    }

    #[test]
    fn what_a_longer_mark_left_behind_it_does_no_harm() {
        let mut shorter = Mark::default();
        shorter.begin(7);
        let mut text = mark().text();
        text.replace_range(..shorter.text().len(), &shorter.text());
        assert_eq!(Mark::parse(&text), Some(shorter));
    }

    #[test]
    fn runs_that_have_nothing_left_are_forgotten_and_the_others_are_bounded() {
        let mut mark = mark();
        mark.raise_floor(1_700_000_000_000, 9);
        mark.begin(1_700_000_300_000);
        let epochs: Vec<u64> = mark.runs().iter().map(|run| run.epoch).collect();
        assert_eq!(epochs, [1_700_000_100_000, 1_700_000_300_000]);
        for epoch in 1_800_000_000_000..1_800_000_000_200 {
            mark.begin(epoch);
            mark.stored(1, 1);
        }
        assert_eq!(mark.runs().len(), MAX_RUNS);
    }
}
