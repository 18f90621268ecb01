//! What the rounds will do: all of it is decided by the seed before anything runs, so that a seed's sequence can be repeated.

use super::AGENTS;
use crate::wire::Wire;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use std::ops::RangeInclusive;

/// One round: wait, then break something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Round {
    /// How long nothing happens before.
    pub(super) wait_ms: u64,
    pub(super) fault: Fault,
}

/// Something that breaks, and for how long. Those with `rounds` last while the following rounds break other things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// An agent's network is bad.
    Bad { agent: usize, wire: Wire, rounds: u32 },
    /// Nothing gets through between an agent (or all) and the collectors; `unplugged` takes the link down, too.
    Partition {
        agent: Option<usize>,
        unplugged: bool,
        hold_ms: u64,
    },
    /// An agent's host gets another address while its session goes on.
    ChangeAddress { agent: usize },
    /// The disk under an agent's buffer has just this much room.
    FillDisk {
        agent: usize,
        left_kib: u64,
        rounds: u32,
    },
    /// An agent is killed, and its store damaged before it starts again.
    Damage { agent: usize, how: Damage, seed: u64 },
    /// `kill -9` of an agent.
    KillAgent { agent: usize, hold_ms: u64 },
    /// `kill -9` of the collector that has the most sessions, or of the other one; `in_commit` waits for a commit.
    KillCollector {
        busy: bool,
        in_commit: bool,
        hold_ms: u64,
    },
    /// `kill -9` of PostgreSQL.
    KillDatabase,
    /// PostgreSQL is stopped for a while.
    StopDatabase { hold_ms: u64 },
    /// An agent's clock is set to this much beside the true time.
    SetClock { agent: usize, offset_s: i32 },
}

/// How the files of a store are damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Damage {
    Truncate,
    FlipBits,
}

/// What is drawn: each kind once, in random order, then each again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Loss,
    Reorder,
    Delay,
    Rate,
    Partition,
    ChangeAddress,
    FillDisk,
    Truncate,
    FlipBits,
    KillAgent,
    KillCollector,
    KillCollectorInCommit,
    KillDatabase,
    StopDatabase,
    ClockForward,
    ClockBack,
}

const KINDS: [Kind; EACH_ONCE as usize] = [
    Kind::Loss,
    Kind::Reorder,
    Kind::Delay,
    Kind::Rate,
    Kind::Partition,
    Kind::ChangeAddress,
    Kind::FillDisk,
    Kind::Truncate,
    Kind::FlipBits,
    Kind::KillAgent,
    Kind::KillCollector,
    Kind::KillCollectorInCommit,
    Kind::KillDatabase,
    Kind::StopDatabase,
    Kind::ClockForward,
    Kind::ClockBack,
];

/// Rounds that have each kind of fault once.
pub const EACH_ONCE: u32 = 16;
/// Once in so many rounds PostgreSQL is stopped for more than two minutes, right after a disk has filled up.
const LONG_STOP_EVERY: u32 = 100;
const LONG_STOP: u32 = 50;
const LONG_STOP_FULL: u32 = LONG_STOP - 1;
/// The buffer stops writing at 4 MiB; below, a filler leaves this much at most.
const FULL_KIB: u64 = 4_000;
const LONG_STOP_MS: RangeInclusive<u64> = 121_000..=150_000;

/// The first `rounds` rounds of `seed`.
pub(super) fn plan(rounds: u32, seed: u64) -> Vec<Round> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut deck: Vec<Kind> = Vec::new();
    let mut plan = Vec::new();
    for number in 1..=rounds {
        if deck.is_empty() {
            deck.extend(KINDS);
            deck.shuffle(&mut random);
        }
        let wait_ms = random.random_range(200..2_500);
        let kind = deck.pop().unwrap_or(Kind::KillAgent);
        let mut fault = draw(kind, &mut random);
        match number % LONG_STOP_EVERY {
            // A full disk and nobody who takes samples: the memory ring overflows.
            LONG_STOP_FULL => fault = draw(Kind::FillDisk, &mut random),
            LONG_STOP => {
                let hold_ms = random.random_range(LONG_STOP_MS);
                fault = Fault::StopDatabase { hold_ms };
            }
            _ => {}
        }
        plan.push(Round { wait_ms, fault });
    }
    plan
}

fn draw(kind: Kind, random: &mut StdRng) -> Fault {
    let agent = random.random_range(0..AGENTS);
    match kind {
        Kind::Loss => bad(agent, Wire::Loss { percent: 20 }, random),
        Kind::Reorder => {
            let percent = random.random_range(10..=50);
            let ms = random.random_range(20..=150);
            bad(agent, Wire::Reorder { percent, ms }, random)
        }
        Kind::Delay => bad(agent, Wire::Delay { ms: 300 }, random),
        Kind::Rate => {
            let kbit = random.random_range(32..=256);
            bad(agent, Wire::Rate { kbit }, random)
        }
        Kind::Partition => Fault::Partition {
            agent: random.random_bool(0.7).then_some(agent),
            unplugged: random.random_bool(0.5),
            hold_ms: random.random_range(500..8_000),
        },
        Kind::ChangeAddress => Fault::ChangeAddress { agent },
        Kind::FillDisk => Fault::FillDisk {
            agent,
            left_kib: random.random_range(0..=FULL_KIB),
            rounds: random.random_range(2..=6),
        },
        Kind::Truncate | Kind::FlipBits => Fault::Damage {
            agent,
            how: if kind == Kind::Truncate {
                Damage::Truncate
            } else {
                Damage::FlipBits
            },
            seed: random.random(),
        },
        Kind::KillAgent => Fault::KillAgent {
            agent,
            hold_ms: random.random_range(0..3_000),
        },
        Kind::KillCollector | Kind::KillCollectorInCommit => Fault::KillCollector {
            busy: kind == Kind::KillCollectorInCommit || random.random_bool(0.8),
            in_commit: kind == Kind::KillCollectorInCommit,
            hold_ms: random.random_range(0..6_000),
        },
        Kind::KillDatabase => Fault::KillDatabase,
        Kind::StopDatabase => Fault::StopDatabase {
            hold_ms: random.random_range(0..8_000),
        },
        Kind::ClockForward => Fault::SetClock {
            agent,
            offset_s: random.random_range(1..=7_200),
        },
        Kind::ClockBack => Fault::SetClock {
            agent,
            offset_s: -random.random_range(1..=7_200),
        },
    }
}

fn bad(agent: usize, wire: Wire, random: &mut StdRng) -> Fault {
    Fault::Bad {
        agent,
        wire,
        rounds: random.random_range(2..=5),
    }
}

impl Fault {
    /// What a report counts it under.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Bad { wire, .. } => match wire {
                Wire::Loss { .. } | Wire::Dead => "loss",
                Wire::Delay { .. } => "delay",
                Wire::Reorder { .. } => "reordering",
                Wire::Rate { .. } => "rate limit",
            },
            Self::Partition { .. } => "partition",
            Self::ChangeAddress { .. } => "address change",
            Self::FillDisk { .. } => "full disk",
            Self::Damage {
                how: Damage::Truncate,
                ..
            } => "truncation",
            Self::Damage { .. } => "flipped bits",
            Self::KillAgent { .. } => "agent killed",
            Self::KillCollector { in_commit: true, .. } => "collector killed in a commit",
            Self::KillCollector { .. } => "collector killed",
            Self::KillDatabase => "database killed",
            Self::StopDatabase { .. } => "database stopped",
            Self::SetClock { offset_s: 0.., .. } => "clock set forward",
            Self::SetClock { .. } => "clock set back",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_seed_decides_everything_and_a_longer_run_begins_as_a_shorter_one() {
        assert_eq!(plan(300, 7), plan(300, 7));
        assert_eq!(plan(300, 7)[..40], plan(40, 7));
        assert_ne!(plan(40, 7), plan(40, 8));
    }

    #[test]
    fn the_short_set_has_each_kind_once() {
        for seed in 0..20 {
            let names: BTreeSet<_> = plan(EACH_ONCE, seed)
                .iter()
                .map(|round| round.fault.name())
                .collect();
            assert_eq!(names.len(), KINDS.len());
        }
    }

    #[test]
    fn the_database_is_away_for_minutes_now_and_then() {
        let long = |round: &&Round| matches!(round.fault, Fault::StopDatabase { hold_ms: 120_000.. });
        let plan = plan(300, 7);
        assert_eq!(plan.iter().filter(long).count(), 3);
        assert!(matches!(plan[48].fault, Fault::FillDisk { rounds: 2.., .. }));
    }
}
