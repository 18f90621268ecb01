//! What the buffer had to give up, until a collector has heard of it.
//!
//! Losses of one cause that follow each other merge into one gap, so that this stays small however long the collector is
//! away. The whole account is kept until a record that told it is acknowledged; telling twice does no harm. While records
//! are dropped one after the other, not each of the new ones tells: what they tell would be dropped with them, in pieces
//! that no longer merge, and the records would grow without end (seen: 2.6 kB to 14 kB in 11,000 records).
//!
//! A record that is lost takes along what only it knew: gaps that it carried about earlier losses are kept, and facts that
//! it brought are told again with the newest that is known of the same thing.

use super::Lost;
use std::collections::{BTreeMap, BTreeSet};
use vmscope_model::{Cause, Fact, Gap, Group, Position, Record, Span, VmId};

/// Things whose facts are remembered; beyond, facts of a lost record are lost with it.
const MAX_FACTS: usize = 16_384;
/// Gaps that wait to be told. Beyond, the collector finds the missing numbers by itself, without a cause.
const MAX_GAPS: usize = 1_024;

/// While records are dropped all the time, one in this many tells of it.
const TELL_EVERY: u32 = 256;

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
    /// The record that told all of `gaps`.
    told: Option<Position>,
    /// Records that could have told more, since the last one that did.
    silent: u32,
    /// Something was dropped since the last record.
    dropping: bool,
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
        // Damage is rare, and told at once.
        self.dropping |= cause != Cause::Corruption;
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

    /// A collector has everything up to here.
    pub(super) fn acknowledged(&mut self, upto: Position) {
        if self
            .told
            .is_some_and(|told| told.epoch == upto.epoch && told <= upto)
        {
            self.gaps.clear();
            (self.told, self.silent) = (None, 0);
        }
    }

    /// Writes what is to be told into the record that is about to be stored at `position`, and remembers its facts.
    pub(super) fn tell(&mut self, position: Position, record: &mut Record) {
        let dropping = std::mem::take(&mut self.dropping);
        if self.told.is_none() && !self.gaps.is_empty() {
            if !dropping || self.silent.is_multiple_of(TELL_EVERY) {
                record.tick.gaps.extend(self.gaps.iter().cloned());
                // Without numbers a gap would be entered each time that it is told.
                self.gaps.retain(|gap| gap.lost.is_some());
                self.told = Some(position);
            }
            self.silent += 1;
        }
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
        self.told = None;
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
        losses.tell(at(9), &mut next);
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
        losses.tell(at(2), &mut carrier);
        losses.add_record(Cause::EvictedBySize, at(2), carrier);
        losses.tell(at(3), &mut Record::default());
        let gaps = told(&mut losses);
        let [gap] = gaps.as_slice() else {
            panic!("one gap for both")
        };
        assert_eq!((gap.from_us, gap.to_us, gap.ticks), (10, 20, 2));
    }

    #[test]
    fn records_do_not_grow_while_each_one_takes_the_place_of_another() {
        let mut losses = Losses::default();
        let mut stored: std::collections::VecDeque<(u64, Record)> = std::collections::VecDeque::new();
        let mut most = 0;
        for sequence in 1..5_000 {
            let mut next = Record::default();
            losses.tell(at(sequence), &mut next);
            most = most.max(next.tick.gaps.len());
            stored.push_back((sequence, next));
            if stored.len() > 25 {
                let (sequence, oldest) = stored.pop_front().expect("26 records");
                losses.add_record(Cause::EvictedBySize, at(sequence), oldest);
            }
        }
        assert_eq!(most, 1, "all that is lost is one run of records");
    }

    #[test]
    fn the_account_is_closed_when_a_collector_has_it() {
        let mut losses = Losses::default();
        losses.add_one(Cause::Corruption, at(1), 10);
        losses.tell(at(5), &mut Record::default());
        losses.acknowledged(at(4));
        losses.add_one(Cause::Corruption, at(2), 20);
        assert_eq!(told(&mut losses)[0].ticks, 2, "told again with what is new");
        losses.acknowledged(at(9));
        losses.add_one(Cause::Corruption, at(7), 70);
        assert_eq!(told(&mut losses)[0].ticks, 1);
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
        losses.tell(at(2), &mut record(20, "new"));
        losses.add_record(Cause::EvictedByAge, at(1), record(10, "old"));
        let mut next = Record::default();
        losses.tell(at(3), &mut next);
        assert_eq!(next.tick.facts, record(20, "new").tick.facts);
        let mut after = Record::default();
        losses.tell(at(4), &mut after);
        assert_eq!(after, Record::default(), "told once");
    }
}
