//! How a path between two programs can be bad, in the words of `tc netem`.

use std::time::Duration;

/// What happens to the packets of a path, in each direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// Some are lost.
    Loss {
        /// How many of a hundred.
        percent: u32,
    },
    /// All are late.
    Delay {
        /// By how much.
        ms: u32,
    },
    /// Some go at once, the others are late: they overtake each other.
    Reorder {
        /// How many of a hundred go at once.
        percent: u32,
        /// By how much the others are late.
        ms: u32,
    },
    /// Few get through.
    Rate {
        /// Thousand bits a second.
        kbit: u32,
    },
    /// None gets through.
    Dead,
}

impl Wire {
    /// The arguments of `tc qdisc ... netem`.
    pub fn netem(self) -> String {
        match self {
            Self::Loss { percent } => format!("loss {percent}%"),
            Self::Delay { ms } => format!("delay {ms}ms"),
            Self::Reorder { percent, ms } => format!("delay {ms}ms reorder {percent}%"),
            Self::Rate { kbit } => format!("rate {kbit}kbit"),
            Self::Dead => "loss 100%".to_owned(),
        }
    }

    /// What becomes of a packet: `None` when it is lost. `chance` is a random number below 100, `backlog` how long the packets
    /// before it still take.
    pub(crate) fn pass(self, bytes: usize, chance: u32, backlog: Duration) -> Option<Duration> {
        match self {
            Self::Dead => None,
            Self::Loss { percent } => (chance >= percent).then_some(Duration::ZERO),
            Self::Reorder { percent, .. } if chance < percent => Some(Duration::ZERO),
            Self::Delay { ms } | Self::Reorder { ms, .. } => Some(Duration::from_millis(ms.into())),
            Self::Rate { kbit } => {
                let takes_us = bytes as u64 * 8 * 1_000 / u64::from(kbit.max(1));
                (backlog < LONGEST_QUEUE).then(|| backlog + Duration::from_micros(takes_us))
            }
        }
    }
}

/// A slow path queues this much and loses what comes then.
const LONGEST_QUEUE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_loses_delays_and_queues_as_netem_does() {
        let pass = |wire: Wire, chance| wire.pass(1_000, chance, Duration::ZERO);
        assert_eq!(pass(Wire::Loss { percent: 20 }, 19), None);
        assert_eq!(pass(Wire::Loss { percent: 20 }, 20), Some(Duration::ZERO));
        let reorder = Wire::Reorder { percent: 25, ms: 40 };
        assert_eq!(pass(reorder, 24), Some(Duration::ZERO));
        assert_eq!(pass(reorder, 25), Some(Duration::from_millis(40)));
        let slow = Wire::Rate { kbit: 80 };
        assert_eq!(pass(slow, 0), Some(Duration::from_millis(100)));
        let queued = slow.pass(1_000, 0, Duration::from_secs(1));
        assert_eq!(queued, Some(Duration::from_millis(1_100)));
        assert_eq!(slow.pass(1_000, 0, LONGEST_QUEUE), None);
        assert_eq!(pass(Wire::Dead, 99), None);
    }
}
