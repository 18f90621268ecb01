//! What each host went through, and so which of its ticks may be in the loss ledger at all.
//!
//! A confirmed tick may be lost only when its store was damaged while it was there. A tick that was never confirmed must have
//! been in hand when its run ended, or have been taken while the disk was full.

use crate::account::{Account, At, Verdict};

/// A stretch of a host's positions: after the first, up to the second; `None` is until now.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    after: At,
    upto: Option<At>,
}

/// What one host went through.
#[derive(Debug, Default)]
pub(super) struct Witness {
    damaged: Vec<Stretch>,
    full: Vec<Stretch>,
}

impl Witness {
    /// The store is damaged; everything up to `committed` had left it.
    pub(super) fn damaged(&mut self, committed: At) {
        self.damaged.push(Stretch {
            after: committed,
            upto: None,
        });
    }

    /// The disk is full from the tick after `newest`.
    pub(super) fn full(&mut self, newest: At) {
        self.full.push(Stretch {
            after: newest,
            upto: None,
        });
    }

    /// Everything is well again since `newest`, at the latest.
    pub(super) fn mended(&mut self, newest: At) {
        for stretch in self.damaged.iter_mut().chain(&mut self.full) {
            stretch.upto.get_or_insert(newest);
        }
    }

    /// Adds to the faults what was lost without any reason.
    pub(super) fn judge(&self, account: &Account, verdict: &mut Verdict) {
        for at in &verdict.entered {
            if !holds(&self.damaged, *at) {
                verdict.faults.push(format!(
                    "tick {at:?} was durable and is lost, and no store was damaged"
                ));
            }
        }
        for at in &verdict.uncertain {
            if !account.is_last_of_run(*at) && !holds(&self.full, *at) {
                verdict.faults.push(format!(
                    "tick {at:?} was never durable, and the disk was not full"
                ));
            }
        }
    }
}

fn holds(stretches: &[Stretch], at: At) -> bool {
    stretches
        .iter()
        .any(|stretch| at > stretch.after && stretch.upto.is_none_or(|upto| at <= upto))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_damaged_store_held_may_be_lost() {
        let mut witness = Witness::default();
        witness.damaged((7, 10));
        witness.mended((8, 5));
        let judged = |at| {
            let mut verdict = Verdict {
                entered: vec![at],
                ..Verdict::default()
            };
            witness.judge(&Account::default(), &mut verdict);
            verdict.faults.len()
        };
        assert_eq!([(7, 10), (7, 11), (8, 5), (8, 6)].map(judged), [1, 0, 0, 1]);
    }
}
