//! Samples that should exist and do not, with the reason: nothing is missing silently.
//!
//! Two kinds of gaps: what was **not taken** (the source did not answer) is a span of time; what was taken and **lost** is
//! besides a [`Span`] of sequence numbers, so that each tick that ever got a number is either stored or in exactly one gap.

use crate::entity::VmId;
use bincode::{Decode, Encode};

/// Which part of sampling the gap concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub enum Group {
    /// Host metrics from `/proc` and `/sys`.
    Host,
    /// State, CPU and network totals of VMs (short interval).
    Cheap,
    /// Virtual processors, memory and disks of VMs (long interval).
    Dear,
    /// Everything in whole ticks: what an eviction or a lost buffer takes away.
    All,
}

impl Group {
    /// Every part.
    pub const ALL: [Self; 4] = [Self::Host, Self::Cheap, Self::Dear, Self::All];

    /// Name used in the database and the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Cheap => "cheap",
            Self::Dear => "dear",
            Self::All => "all",
        }
    }
}

/// Why samples are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub enum Cause {
    /// The source did not answer before the deadline of its tick.
    Deadline,
    /// libvirt could not be reached.
    LibvirtDown,
    /// libvirt answered without this VM's values, because a stuck job holds them.
    Busy,
    /// The buffer dropped the oldest samples to stay below its size.
    EvictedBySize,
    /// The buffer dropped samples older than its age limit.
    EvictedByAge,
    /// The buffer's store was damaged and set aside.
    Corruption,
    /// The buffer could take samples neither on disk nor in memory.
    BufferFull,
    /// Numbers are missing in a run of the agent, and it has not said why.
    Unexplained,
    /// The agent did not run, and nothing is known about why.
    AgentDown,
    /// The agent was stopped in order.
    AgentStopped,
    /// The agent ended without being asked to: a crash, or `kill -9`.
    AgentKilled,
    /// The host was off or restarting.
    HostDown,
    /// Somebody set the host's clock. Forward: the span that it skipped; back: the span that it passes twice, in which
    /// samples of two passes lie side by side. No tick is missing.
    ClockStep,
    /// The host was suspended.
    HostSuspended,
}

impl Cause {
    /// Name used in the database and the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::LibvirtDown => "libvirt_down",
            Self::Busy => "busy",
            Self::EvictedBySize => "evicted_by_size",
            Self::EvictedByAge => "evicted_by_age",
            Self::Corruption => "corruption",
            Self::BufferFull => "buffer_full",
            Self::Unexplained => "unexplained",
            Self::AgentDown => "agent_down",
            Self::AgentStopped => "agent_stopped",
            Self::AgentKilled => "agent_killed",
            Self::HostDown => "host_down",
            Self::ClockStep => "clock_step",
            Self::HostSuspended => "host_suspended",
        }
    }

    /// Every cause.
    pub const ALL: [Self; 14] = [
        Self::Deadline,
        Self::LibvirtDown,
        Self::Busy,
        Self::EvictedBySize,
        Self::EvictedByAge,
        Self::Corruption,
        Self::BufferFull,
        Self::Unexplained,
        Self::AgentDown,
        Self::AgentStopped,
        Self::AgentKilled,
        Self::HostDown,
        Self::ClockStep,
        Self::HostSuspended,
    ];

    /// What a collector concludes from missing numbers alone, until the agent tells more.
    pub const PROVISIONAL: [Self; 5] = [
        Self::Unexplained,
        Self::AgentDown,
        Self::AgentStopped,
        Self::AgentKilled,
        Self::HostDown,
    ];
}

/// Consecutive ticks of one run of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Span {
    /// Which run.
    pub epoch: u64,
    /// Sequence of the first.
    pub first: u64,
    /// Sequence of the last.
    pub last: u64,
}

impl Span {
    /// How many ticks.
    pub const fn ticks(self) -> u64 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }
}

/// A span of time for which samples are missing.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Gap {
    /// The VM concerned; `None` when the whole host is.
    pub vm: Option<VmId>,
    /// Which part of sampling.
    pub group: Group,
    /// Why.
    pub cause: Cause,
    /// First missing moment, microseconds since the Unix epoch, inclusive.
    pub from_us: i64,
    /// Last missing moment, microseconds since the Unix epoch, inclusive.
    pub to_us: i64,
    /// How many ticks are missing; 0 when it can't be known (a damaged store).
    pub ticks: u64,
    /// Which ticks were lost, for a gap of the buffer; `None` for samples that were never taken.
    pub lost: Option<Span>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use bincode::config::standard;
    use bincode::decode_from_slice;

    /// The numbers of the wire leave out none and end where the list ends.
    #[test]
    fn the_lists_hold_every_cause_and_every_group() {
        let causes: Vec<Cause> = (0..u8::MAX)
            .map_while(|number| decode_from_slice(&[number], standard()).ok())
            .map(|(cause, _)| cause)
            .collect();
        assert_eq!(causes, Cause::ALL);
        let groups: Vec<Group> = (0..u8::MAX)
            .map_while(|number| decode_from_slice(&[number], standard()).ok())
            .map(|(group, _)| group)
            .collect();
        assert_eq!(groups, Group::ALL);
    }
}
