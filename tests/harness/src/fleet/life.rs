//! What a virtual machine does over time, and what its meters show then: pure functions of the seed and the moment.
//!
//! Nothing has to be remembered to know what was sent: who sends and who checks ask the same function. Moments are microseconds
//! since the beginning of the run.

use vmscope_model::catalogue::{host, state, vm};
use vmscope_model::metric::Behaviour;
use vmscope_model::{Group, Kind, catalogue};

/// The code of `running`.
pub(super) const RUNNING: i64 = 1;
/// The code of `paused`.
pub(super) const PAUSED: i64 = 3;
/// The code of `shutoff`.
pub(super) const SHUT_OFF: i64 = 5;

/// What a host's agent reads of the host.
pub(super) const HOST_COLUMNS: [usize; 4] = [
    host::CPU_COUNT,
    host::MEMORY_TOTAL_BYTES,
    host::MEMORY_AVAILABLE_BYTES,
    host::CPU_USER_NS,
];
/// What it reads of a virtual machine: counters and gauges, cheap and dear ones.
pub(super) const VM_COLUMNS: [usize; 9] = [
    vm::STATE,
    vm::CPU_TIME_NS,
    vm::NET_RX_BYTES,
    vm::MEMORY_RSS_BYTES,
    vm::VCPU_CURRENT,
    vm::MEMORY_MAXIMUM_BYTES,
    vm::MEMORY_USED_BYTES,
    vm::MEMORY_USED_SOURCE,
    vm::DISK_READ_BYTES,
];

/// Whether a column of virtual machines is read with the dear ones.
pub(super) fn is_dear(column: usize) -> bool {
    catalogue::group(Kind::Vm, &catalogue::metrics(Kind::Vm)[column]) == Group::Dear
}

/// A span of a virtual machine's life, which ends where the next one begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    /// Where it begins.
    pub(super) from_us: i64,
    /// On which host.
    pub(super) host: usize,
    /// What it does.
    pub(super) state: i64,
    /// Since when its counters count.
    pub(super) counts_since_us: i64,
}

/// What a virtual machine has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    /// Virtual processors.
    pub(super) vcpus: i64,
    /// Bytes of memory.
    pub(super) memory_bytes: i64,
}

/// Who shows something: decides what, together with the moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meter {
    /// Of the whole run.
    seed: u64,
    /// Of the machine or host: no two have the same.
    number: u64,
}

impl Meter {
    /// That of a host.
    pub(super) const fn of_host(seed: u64, number: usize) -> Self {
        let number = number as u64 * 2;
        Self { seed, number }
    }

    /// That of a virtual machine.
    pub(super) const fn of_vm(seed: u64, number: usize) -> Self {
        let number = number as u64 * 2 + 1;
        Self { seed, number }
    }

    /// What a virtual machine shows in a segment of its life; nothing for what a machine that is off does not have.
    pub(super) fn vm(self, column: usize, segment: &Segment, size: Size, at_us: i64) -> Option<i64> {
        let is_on = segment.state != SHUT_OFF;
        match column {
            vm::STATE => Some(segment.state),
            vm::VCPU_CURRENT => Some(size.vcpus),
            vm::MEMORY_MAXIMUM_BYTES => Some(size.memory_bytes),
            vm::MEMORY_USED_SOURCE => is_on.then_some(state::FROM_BALLOON),
            _ if !is_on => None,
            _ => match catalogue::metrics(Kind::Vm)[column].behaviour {
                Behaviour::Counter => {
                    // Who is paused uses nothing.
                    let until_us = if segment.state == PAUSED {
                        segment.from_us
                    } else {
                        at_us
                    };
                    Some(self.counter(column, until_us, until_us - segment.counts_since_us))
                }
                _ => Some(self.gauge(column, size.memory_bytes, at_us)),
            },
        }
    }

    /// What a host shows.
    pub(super) fn host(self, column: usize, size: Size, at_us: i64) -> i64 {
        match column {
            host::CPU_COUNT => size.vcpus,
            host::MEMORY_TOTAL_BYTES => size.memory_bytes,
            host::CPU_USER_NS => self.counter(column, at_us, at_us + HOST_UPTIME_US),
            _ => self.gauge(column, size.memory_bytes, at_us),
        }
    }

    /// Grows unevenly: by at least half of its pace from one second to the next.
    fn counter(self, column: usize, at_us: i64, counted_us: i64) -> i64 {
        let pace = 10_000_000 + self.draw(column, 0, 900_000_000);
        let grown = i128::from(pace) * i128::from(counted_us.max(0)) / 1_000_000;
        i64::try_from(grown).unwrap_or(i64::MAX / 2) + self.draw(column, at_us, pace / 2)
    }

    /// Anything from a quarter of `most` to three quarters.
    fn gauge(self, column: usize, most: i64, at_us: i64) -> i64 {
        let own = self.draw(column, 0, most / 4);
        most / 4 + own + self.draw(column, at_us, most / 4)
    }

    /// A number below `below` that looks random.
    fn draw(self, column: usize, at_us: i64, below: i64) -> i64 {
        let parts = [self.seed, self.number, column as u64, at_us.cast_unsigned()];
        let mixed = parts.into_iter().fold(0, |mixed, part| mix(mixed ^ part));
        (mixed % below.max(1).cast_unsigned()).cast_signed()
    }
}

/// For how long hosts have been up when the run begins.
const HOST_UPTIME_US: i64 = 40 * 86_400 * 1_000_000;

/// The finaliser of `splitmix64`.
const fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
