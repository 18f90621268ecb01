//! Which guests are asked in a round: those that don't answer are asked ever more rarely.

use std::collections::{HashMap, HashSet};
use std::time::Duration;
use vmscope_model::VmId;

/// The longest that a guest is left alone.
const LONGEST: Duration = Duration::from_hours(1);

/// The guests that did not answer, and how long they are left alone.
#[derive(Debug)]
pub(super) struct Patience {
    longest_rounds: u64,
    guests: HashMap<VmId, Pause>,
}

#[derive(Debug, Default)]
struct Pause {
    left_rounds: u64,
    whole_rounds: u64,
}

impl Patience {
    /// For rounds that are `interval` apart.
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            longest_rounds: (LONGEST.as_secs() / interval.as_secs().max(1)).max(1),
            guests: HashMap::new(),
        }
    }

    /// A round begins. Returns those of `guests` that are asked in it, and forgets those that are gone.
    pub(super) fn begin(&mut self, guests: &HashSet<VmId>) -> HashSet<VmId> {
        self.guests.retain(|vm, _| guests.contains(vm));
        let is_due = |vm: &VmId| match self.guests.get_mut(vm) {
            Some(pause) if pause.left_rounds > 0 => {
                pause.left_rounds -= 1;
                false
            }
            _ => true,
        };
        let mut due = guests.clone();
        due.retain(is_due);
        due
    }

    /// The guest has answered.
    pub(super) fn answered(&mut self, vm: VmId) {
        self.guests.remove(&vm);
    }

    /// The guest has not answered: its pause doubles. Returns whether that is news.
    pub(super) fn failed(&mut self, vm: VmId) -> bool {
        let is_news = !self.guests.contains_key(&vm);
        let pause = self.guests.entry(vm).or_default();
        pause.whole_rounds = (pause.whole_rounds * 2).clamp(1, self.longest_rounds);
        pause.left_rounds = pause.whole_rounds;
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn vm(number: u128) -> VmId {
        VmId(Uuid::from_u128(number))
    }

    #[test]
    fn a_guest_that_does_not_answer_is_asked_ever_more_rarely_but_every_hour() {
        let mut patience = Patience::new(Duration::from_mins(10));
        let guests = HashSet::from([vm(1), vm(2)]);
        let mut asked = Vec::new();
        for round in 0..30 {
            let due = patience.begin(&guests);
            assert!(due.contains(&vm(2)), "the other one is asked each time");
            if due.contains(&vm(1)) {
                asked.push(round);
                assert_eq!(patience.failed(vm(1)), round == 0);
            }
        }
        assert_eq!(asked, [0, 2, 5, 10, 17, 24]);
    }

    #[test]
    fn an_answer_ends_the_pause_and_a_guest_that_is_gone_is_forgotten() {
        let mut patience = Patience::new(Duration::from_mins(5));
        let guests = HashSet::from([vm(1), vm(2)]);
        patience.failed(vm(1));
        patience.failed(vm(2));
        patience.answered(vm(1));
        assert_eq!(patience.begin(&guests), HashSet::from([vm(1)]));
        patience.begin(&HashSet::new());
        assert_eq!(patience.begin(&guests), guests);
    }
}
