//! `/proc/diskstats`: whole disks, as the host's totals and one by one.

use super::inventory::Device;
use super::parse::{lines, numbers, words};
use vmscope_model::catalogue::{disk, host};
use vmscope_model::{Entity, Owner, Record, Value};

/// `/proc/diskstats` counts in these, whatever the disk's own sectors are.
pub(super) const SECTOR_BYTES: i64 = 512;
const MILLISECOND_NS: i64 = 1_000_000;
/// Numbers after a disk's name: reads merged sectors ms, writes merged sectors ms, in-flight ms weighted-ms, discards
/// (4 numbers), flushes ms (since Linux 5.5).
const FIELDS: usize = 17;
/// Columns of a disk that add up to the host's.
const TOTALS: [(usize, usize); 6] = [
    (disk::READ_REQUESTS, host::DISK_READ_REQUESTS),
    (disk::READ_BYTES, host::DISK_READ_BYTES),
    (disk::READ_NS, host::DISK_READ_NS),
    (disk::WRITE_REQUESTS, host::DISK_WRITE_REQUESTS),
    (disk::WRITE_BYTES, host::DISK_WRITE_BYTES),
    (disk::WRITE_NS, host::DISK_WRITE_NS),
];

/// Adds the `disks` up into `row`, and with `each` gives every one a row of its own.
pub(super) fn read(diskstats: &[u8], disks: &[Device], row: &mut [Value], mut each: Option<&mut Record>) {
    for line in lines(diskstats) {
        let mut fields = words(line).skip(2);
        let Some(name) = fields.next() else { continue };
        let Some(disk) = disks.iter().find(|disk| disk.name.as_bytes() == name) else {
            continue;
        };
        let columns = columns(fields, disk);
        for (from, to) in TOTALS {
            super::add(&mut row[to], columns[from]);
        }
        if let Some(record) = each.as_deref_mut() {
            record
                .push(Entity::Disk {
                    owner: Owner::Host,
                    name: disk.name.clone(),
                })
                .copy_from_slice(&columns);
        }
    }
}

fn columns<'a>(fields: impl Iterator<Item = &'a [u8]>, device: &Device) -> [Value; disk::METRICS.len()] {
    let mut values = [0; FIELDS];
    let count = numbers(fields, &mut values);
    let mut columns = [Value::ABSENT; disk::METRICS.len()];
    for (field, column, factor) in [
        (0, disk::READ_REQUESTS, 1),
        (2, disk::READ_BYTES, SECTOR_BYTES),
        (3, disk::READ_NS, MILLISECOND_NS),
        (4, disk::WRITE_REQUESTS, 1),
        (6, disk::WRITE_BYTES, SECTOR_BYTES),
        (7, disk::WRITE_NS, MILLISECOND_NS),
        (15, disk::FLUSH_REQUESTS, 1),
        (16, disk::FLUSH_NS, MILLISECOND_NS),
    ] {
        if field < count {
            columns[column] = Value::new(values[field].saturating_mul(factor));
        }
    }
    columns[disk::CAPACITY_BYTES] = device.size_bytes.into();
    columns
}
