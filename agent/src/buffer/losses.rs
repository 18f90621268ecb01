//! What the buffer had to give up since the last append, ready to be told in the next record.
//!
//! Losses of one cause that follow each other merge into one gap, so that this stays small however long the collector is
//! away. A record that is lost takes along what only it knew: gaps that it carried about earlier losses are kept, and facts
//! that it brought are told again with the newest that is known of the same thing.

use super::Lost;
use std::collections::{BTreeMap, BTreeSet};
use vmscope_model::{Cause, Fact, Gap, Group, Position, Record, Span, VmId};

/// Things whose facts are remembered; beyond, facts of a lost record are lost with it.
const MAX_FACTS: usize = 16_384;
/// Gaps that wait to be told. Beyond, the collector finds the missing numbers by itself, without a cause.
const MAX_GAPS: usize = 1_024;

/// What a fact is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Host,
    Vm(VmId),
    Run(u64),
}

#[derive(Debug, Default)]
pub(super) struct Losses {
    gaps: Vec<Gap>,
    facts: BTreeMap<Subject, Fact>,
    /// Whose facts went with a lost record.
    untold: BTreeSet<Subject>,
    counted: Lost,
}

impl Losses {
    /// Records lost in this run.
    pub(super) const fn counted(&self) -> Lost {
        self.counted
    }

    /// These records between the two times are gone; `None` when nobody knows which.
    pub(super) fn add(&mut self, cause: Cause, from_us: i64, to_us: i64, lost: Option<Span>) {
        let ticks = lost.map_or(0, Span::ticks);
        self.counted.count(cause, ticks.max(1));
        self.merge(Gap {
            vm: None,
            group: Group::All,
            cause,
            from_us,
            to_us,
            ticks,
            lost,
        });
    }

    /// A record is gone that can't be read any more.
    pub(super) fn add_one(&mut self, cause: Cause, position: Position, time_us: i64) {
        let Position { epoch, sequence } = position;
        let lost = Span {
            epoch,
            first: sequence,
            last: sequence,
        };
        self.add(cause, time_us, time_us, Some(lost));
    }

    /// This record is gone.
    pub(super) fn add_record(&mut self, cause: Cause, position: Position, record: Record) {
        let tick = record.tick;
        self.add_one(cause, position, tick.time_us);
        for gap in tick.gaps.into_iter().filter(|gap| gap.group == Group::All) {
            self.merge(gap);
        }
        for fact in tick.facts {
            let Some(subject) = subject(&fact) else { continue };
            if self.facts.len() < MAX_FACTS {
                self.facts.entry(subject).or_insert(fact);
            }
            self.untold.insert(subject);
        }
    }

    /// Writes what is to be told into a record that is about to be stored, and remembers its facts.
    pub(super) fn tell(&mut self, record: &mut Record) {
        record.tick.gaps.append(&mut self.gaps);
        for fact in &record.tick.facts {
            let Some(subject) = subject(fact) else { continue };
            if self.facts.len() < MAX_FACTS || self.facts.contains_key(&subject) {
                self.facts.insert(subject, fact.clone());
            }
            self.untold.remove(&subject);
        }
        let again = std::mem::take(&mut self.untold);
        record.tick.facts.extend(
            again
                .iter()
                .filter_map(|subject| self.facts.get(subject).cloned()),
        );
    }

    /// Adds a gap to the one that it continues, and then that one to the next: what is evicted may itself tell of what was
    /// evicted before, so that pieces come in any order.
    fn merge(&mut self, mut gap: Gap) {
        while let Some(place) = self.gaps.iter().position(|known| continues(known, &gap)) {
            let known = self.gaps.swap_remove(place);
            gap.lost = known.lost.zip(gap.lost).map(|(one, other)| Span {
                first: one.first.min(other.first),
                last: one.last.max(other.last),
                ..one
            });
            gap.ticks = gap.lost.map_or(0, Span::ticks);
            gap.from_us = gap.from_us.min(known.from_us);
            gap.to_us = gap.to_us.max(known.to_us);
        }
        if self.gaps.len() < MAX_GAPS {
            self.gaps.push(gap);
        }
    }
}

/// Whether one of the two goes on where the other ends. Two of which nobody knows the records are one.
fn continues(known: &Gap, gap: &Gap) -> bool {
    let touching = match (known.lost, gap.lost) {
        (None, None) => true,
        (Some(one), Some(other)) => {
            one.epoch == other.epoch
                && one.first <= other.last.saturating_add(1)
                && other.first <= one.last.saturating_add(1)
        }
        _ => false,
    };
    touching && known.cause == gap.cause && known.vm == gap.vm
}

/// What a guest says of itself is not kept: it is large, and asked for again within minutes.
const fn subject(fact: &Fact) -> Option<Subject> {
    match fact {
        Fact::Host(_) => Some(Subject::Host),
        Fact::Vm(facts) => Some(Subject::Vm(facts.vm)),
        Fact::Run(facts) => Some(Subject::Run(facts.epoch)),
        Fact::Guest(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vmscope_model::{HostFacts, Tick};

    fn at(sequence: u64) -> Position {
        Position { epoch: 1, sequence }
    }

    fn told(losses: &mut Losses) -> Vec<Gap> {
        let mut next = Record::default();
        losses.tell(&mut next);
        next.tick.gaps
    }

    fn record(time_us: i64, name: &str) -> Record {
        let fact = Fact::Host(HostFacts {
            name: name.to_owned(),
            ..HostFacts::default()
        });
        Record {
            dictionary: Vec::new(),
            tick: Tick {
                time_us,
                facts: vec![fact],
                ..Tick::default()
            },
        }
    }

    #[test]
    fn keeps_the_account_of_losses_that_a_lost_record_carried() {
        let mut losses = Losses::default();
        losses.add_record(Cause::EvictedBySize, at(1), record(10, "a"));
        let mut carrier = record(20, "a");
        losses.tell(&mut carrier);
        losses.add_record(Cause::EvictedBySize, at(2), carrier);
        let gaps = told(&mut losses);
        let [gap] = gaps.as_slice() else {
            panic!("one gap for both")
        };
        assert_eq!((gap.from_us, gap.to_us, gap.ticks), (10, 20, 2));
    }

    #[test]
    fn losses_that_follow_each_other_are_one_and_others_stay_apart() {
        let mut losses = Losses::default();
        for sequence in [2, 1, 5, 3] {
            losses.add_one(Cause::EvictedByAge, at(sequence), sequence.cast_signed() * 10);
        }
        losses.add_one(Cause::Corruption, at(6), 60);
        let mut told = told(&mut losses);
        told.sort_by_key(|gap| gap.from_us);
        let told: Vec<_> = told
            .iter()
            .map(|gap| (gap.cause, gap.from_us, gap.to_us, gap.ticks))
            .collect();
        assert_eq!(
            told,
            [
                (Cause::EvictedByAge, 10, 30, 3),
                (Cause::EvictedByAge, 50, 50, 1),
                (Cause::Corruption, 60, 60, 1)
            ]
        );
    }

    #[test]
    fn tells_lost_facts_again_as_they_are_now() {
        let mut losses = Losses::default();
        losses.tell(&mut record(20, "new"));
        losses.add_record(Cause::EvictedByAge, at(1), record(10, "old"));
        let mut next = Record::default();
        losses.tell(&mut next);
        assert_eq!(next.tick.facts, record(20, "new").tick.facts);
        let mut after = Record::default();
        losses.tell(&mut after);
        assert_eq!(after, Record::default(), "told once");
    }
}
