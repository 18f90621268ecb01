//! Which disks and network interfaces are the host's own.
//!
//! Only what stands for hardware counts: partitions, loops, RAM disks, device mappers and RAID sets would count the same
//! bytes again, taps and bridges those of the guests. The kernel gives hardware a `device` link in `/sys`.

use super::disk::SECTOR_BYTES;
use super::parse::{number, words};
use std::fs;
use std::path::Path;

/// A disk or a network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Device {
    /// The kernel's name.
    pub(super) name: String,
    /// Size of a disk, in bytes.
    pub(super) size_bytes: Option<i64>,
}

/// The whole disks that are hardware.
pub(super) fn disks(sys: &Path) -> Vec<Device> {
    hardware(&sys.join("block"), |folder| {
        let size = fs::read(folder.join("size")).ok()?;
        words(&size)
            .next()
            .and_then(number)
            .map(|sectors| sectors.saturating_mul(SECTOR_BYTES))
    })
}

/// The network interfaces that are hardware.
pub(super) fn nics(sys: &Path) -> Vec<Device> {
    hardware(&sys.join("class/net"), |_| None)
}

fn hardware(class: &Path, size_bytes: impl Fn(&Path) -> Option<i64>) -> Vec<Device> {
    // A kernel without the class has no such devices.
    let Ok(entries) = fs::read_dir(class) else {
        return Vec::new();
    };
    let mut devices: Vec<_> = entries
        .flatten()
        .filter(|entry| entry.path().join("device").exists())
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            Some(Device {
                name,
                size_bytes: size_bytes(&entry.path()),
            })
        })
        .collect();
    devices.sort_by(|one, other| one.name.cmp(&other.name));
    devices
}
