//! What the buffer had to give up since the last append, ready to be told in the next record.
//!
//! Losses of one cause merge into one gap, so that this stays small however long the collector is away. A record that is
//! lost takes along what only it knew: gaps that it carried about earlier losses are kept, and facts that it brought are
//! told again with the newest that is known of the same thing.

use super::Lost;
use std::collections::{BTreeMap, BTreeSet};
use vmscope_model::{Cause, Fact, Gap, Group, Record, VmId};

/// VMs whose facts are remembered; beyond, facts of a lost record are lost with it.
const MAX_FACTS: usize = 16_384;

/// The host (`None`) or one of its VMs.
type Subject = Option<VmId>;

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

    /// `ticks` records between the two times are gone; 0 when nobody knows how many.
    pub(super) fn add(&mut self, cause: Cause, from_us: i64, to_us: i64, ticks: u64) {
        self.counted.count(cause, ticks.max(1));
        self.merge(Gap {
            vm: None,
            group: Group::All,
            cause,
            from_us,
            to_us,
            ticks,
        });
    }

    /// This record is gone.
    pub(super) fn add_record(&mut self, cause: Cause, record: Record) {
        let tick = record.tick;
        self.add(cause, tick.time_us, tick.time_us, 1);
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

    fn merge(&mut self, gap: Gap) {
        match self
            .gaps
            .iter_mut()
            .find(|known| known.cause == gap.cause && known.vm == gap.vm)
        {
            Some(known) => {
                known.from_us = known.from_us.min(gap.from_us);
                known.to_us = known.to_us.max(gap.to_us);
                // 0 says that nobody knows, and stays so.
                known.ticks = if known.ticks == 0 || gap.ticks == 0 {
                    0
                } else {
                    known.ticks + gap.ticks
                };
            }
            None => self.gaps.push(gap),
        }
    }
}

/// What a guest says of itself is not kept: it is large, and asked for again within minutes.
const fn subject(fact: &Fact) -> Option<Subject> {
    match fact {
        Fact::Host(_) => Some(None),
        Fact::Vm(facts) => Some(Some(facts.vm)),
        Fact::Guest(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vmscope_model::{HostFacts, Tick};

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
        losses.add_record(Cause::EvictedBySize, record(10, "a"));
        let mut carrier = record(20, "a");
        losses.tell(&mut carrier);
        losses.add_record(Cause::EvictedBySize, carrier);
        let mut next = Record::default();
        losses.tell(&mut next);
        let [gap] = next.tick.gaps.as_slice() else {
            panic!("one gap: {:?}", next.tick.gaps)
        };
        assert_eq!((gap.from_us, gap.to_us, gap.ticks), (10, 20, 2));
    }

    #[test]
    fn tells_lost_facts_again_as_they_are_now() {
        let mut losses = Losses::default();
        losses.tell(&mut record(20, "new"));
        losses.add_record(Cause::EvictedByAge, record(10, "old"));
        let mut next = Record::default();
        losses.tell(&mut next);
        assert_eq!(next.tick.facts, record(20, "new").tick.facts);
        let mut after = Record::default();
        losses.tell(&mut after);
        assert_eq!(after, Record::default(), "told once");
    }
}
