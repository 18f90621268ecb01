//! Which field of libvirt goes to which column: one table for the VM itself and one for each kind of device.

use std::ops::RangeInclusive;
use vmscope_model::Kind;
use vmscope_model::catalogue::{disk, nic, vcpu, vm};

/// libvirt gives memory in these.
const KIB: i64 = 1024;

/// A field of libvirt, where it goes, what makes its unit ours, and the range beyond which it makes no sense.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) column: usize,
    pub(super) factor: i64,
    pub(super) range: RangeInclusive<i64>,
}

const fn field(name: &'static str, column: usize) -> Field {
    Field {
        name,
        column,
        factor: 1,
        range: i64::MIN..=i64::MAX,
    }
}

const fn kib(name: &'static str, column: usize) -> Field {
    Field {
        factor: KIB,
        ..field(name, column)
    }
}

/// A state's code is small. One that is not would be refused by the collector for ever, and everything behind it too.
const fn code(name: &'static str, column: usize) -> Field {
    Field {
        range: 0..=i16::MAX as i64,
        ..field(name, column)
    }
}

pub(super) const VM: &[Field] = &[
    code("state.state", vm::STATE),
    code("state.reason", vm::STATE_REASON),
    field("cpu.time", vm::CPU_TIME_NS),
    field("cpu.user", vm::CPU_USER_NS),
    field("cpu.system", vm::CPU_SYSTEM_NS),
    field("vcpu.current", vm::VCPU_CURRENT),
    field("vcpu.maximum", vm::VCPU_MAXIMUM),
    kib("balloon.current", vm::MEMORY_CURRENT_BYTES),
    kib("balloon.maximum", vm::MEMORY_MAXIMUM_BYTES),
    kib("balloon.available", vm::MEMORY_AVAILABLE_BYTES),
    kib("balloon.unused", vm::MEMORY_UNUSED_BYTES),
    kib("balloon.usable", vm::MEMORY_USABLE_BYTES),
    kib("balloon.disk_caches", vm::MEMORY_DISK_CACHES_BYTES),
    kib("balloon.rss", vm::MEMORY_RSS_BYTES),
    kib("balloon.swap_in", vm::MEMORY_SWAP_IN_BYTES),
    kib("balloon.swap_out", vm::MEMORY_SWAP_OUT_BYTES),
    field("balloon.major_fault", vm::MEMORY_MAJOR_FAULTS),
    field("balloon.minor_fault", vm::MEMORY_MINOR_FAULTS),
];

/// A kind of device: how libvirt calls it, its fields, and which of its columns add up to which of the VM's.
pub(super) struct DeviceKind {
    pub(super) prefix: &'static str,
    pub(super) kind: Kind,
    pub(super) fields: &'static [Field],
    pub(super) totals: &'static [(usize, usize)],
}

pub(super) const DEVICES: [DeviceKind; 3] = [
    DeviceKind {
        prefix: "vcpu",
        kind: Kind::Vcpu,
        fields: &[
            code("state", vcpu::STATE),
            field("time", vcpu::TIME_NS),
            field("wait", vcpu::WAIT_NS),
            field("halted", vcpu::HALTED),
            field("delay", vcpu::DELAY_NS),
        ],
        totals: &[
            (vcpu::TIME_NS, vm::VCPU_TIME_NS),
            (vcpu::WAIT_NS, vm::VCPU_WAIT_NS),
            (vcpu::HALTED, vm::VCPU_HALTED),
            (vcpu::DELAY_NS, vm::VCPU_DELAY_NS),
        ],
    },
    DeviceKind {
        prefix: "block",
        kind: Kind::Disk,
        fields: &[
            field("rd.reqs", disk::READ_REQUESTS),
            field("rd.bytes", disk::READ_BYTES),
            field("rd.times", disk::READ_NS),
            field("wr.reqs", disk::WRITE_REQUESTS),
            field("wr.bytes", disk::WRITE_BYTES),
            field("wr.times", disk::WRITE_NS),
            field("fl.reqs", disk::FLUSH_REQUESTS),
            field("fl.times", disk::FLUSH_NS),
            field("errors", disk::ERRORS),
            field("allocation", disk::ALLOCATION_BYTES),
            field("capacity", disk::CAPACITY_BYTES),
            field("physical", disk::PHYSICAL_BYTES),
        ],
        totals: &[
            (disk::READ_REQUESTS, vm::DISK_READ_REQUESTS),
            (disk::READ_BYTES, vm::DISK_READ_BYTES),
            (disk::READ_NS, vm::DISK_READ_NS),
            (disk::WRITE_REQUESTS, vm::DISK_WRITE_REQUESTS),
            (disk::WRITE_BYTES, vm::DISK_WRITE_BYTES),
            (disk::WRITE_NS, vm::DISK_WRITE_NS),
            (disk::FLUSH_REQUESTS, vm::DISK_FLUSH_REQUESTS),
            (disk::FLUSH_NS, vm::DISK_FLUSH_NS),
            (disk::ERRORS, vm::DISK_ERRORS),
            (disk::ALLOCATION_BYTES, vm::DISK_ALLOCATION_BYTES),
            (disk::CAPACITY_BYTES, vm::DISK_CAPACITY_BYTES),
            (disk::PHYSICAL_BYTES, vm::DISK_PHYSICAL_BYTES),
        ],
    },
    DeviceKind {
        prefix: "net",
        kind: Kind::Nic,
        fields: &[
            field("rx.bytes", nic::RX_BYTES),
            field("rx.pkts", nic::RX_PACKETS),
            field("rx.errs", nic::RX_ERRORS),
            field("rx.drop", nic::RX_DROPS),
            field("tx.bytes", nic::TX_BYTES),
            field("tx.pkts", nic::TX_PACKETS),
            field("tx.errs", nic::TX_ERRORS),
            field("tx.drop", nic::TX_DROPS),
        ],
        totals: &[
            (nic::RX_BYTES, vm::NET_RX_BYTES),
            (nic::RX_PACKETS, vm::NET_RX_PACKETS),
            (nic::RX_ERRORS, vm::NET_RX_ERRORS),
            (nic::RX_DROPS, vm::NET_RX_DROPS),
            (nic::TX_BYTES, vm::NET_TX_BYTES),
            (nic::TX_PACKETS, vm::NET_TX_PACKETS),
            (nic::TX_ERRORS, vm::NET_TX_ERRORS),
            (nic::TX_DROPS, vm::NET_TX_DROPS),
        ],
    },
];
