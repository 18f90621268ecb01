//! File systems that lie on storage, and how full they are.

use super::parse::{lines, words};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use vmscope_model::catalogue::{disk, host};
use vmscope_model::{Entity, Owner, Record, Value};

/// Images that are full by nature.
const READ_ONLY_IMAGES: [&[u8]; 3] = [b"squashfs", b"iso9660", b"erofs"];

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileSystem {
    /// Where it is mounted.
    pub(super) mount_point: String,
    /// Its size.
    pub(super) total_bytes: i64,
    /// What is used of it.
    pub(super) used_bytes: i64,
}

/// The file systems of `mountinfo` that lie on block devices or in ZFS pools, each device once, at its first mount
/// point. `root` goes before the mount points.
pub(super) fn list(mountinfo: &[u8], root: &Path) -> Vec<FileSystem> {
    let mut devices = HashSet::new();
    lines(mountinfo)
        .filter_map(|line| {
            let (mount_point, source) = on_storage(line)?;
            if !devices.insert(source) {
                return None;
            }
            measure(mount_point, root)
        })
        .collect()
}

/// The mount point and the device of a line of `mountinfo` (`... ROOT POINT OPTIONS ... - TYPE SOURCE ...`).
fn on_storage(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let mount_point = words(line).nth(4)?;
    let mut after = words(line).skip_while(|word| *word != b"-").skip(1);
    let (kind, source) = (after.next()?, after.next()?);
    if kind == b"zfs" {
        // Every data set of a pool shares the pool's space.
        return Some((mount_point, source.split(|&byte| byte == b'/').next()?));
    }
    (source.starts_with(b"/dev/") && !READ_ONLY_IMAGES.contains(&kind)).then_some((mount_point, source))
}

fn measure(mount_point: &[u8], root: &Path) -> Option<FileSystem> {
    let mount_point = unescape(mount_point);
    let below = mount_point.strip_prefix(b"/").unwrap_or(&mount_point);
    let status = rustix::fs::statvfs(root.join(OsStr::from_bytes(below))).ok()?;
    let bytes = |blocks: u64| i64::try_from(blocks.saturating_mul(status.f_frsize)).unwrap_or(i64::MAX);
    let total_bytes = bytes(status.f_blocks);
    (total_bytes > 0).then(|| FileSystem {
        mount_point: String::from_utf8_lossy(&mount_point).into_owned(),
        total_bytes,
        used_bytes: bytes(status.f_blocks.saturating_sub(status.f_bfree)),
    })
}

/// The kernel writes blanks and backslashes as three octal digits (`\040`).
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let octal = after
            .get(..3)
            .filter(|_| byte == b'\\')
            .and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(escaped) = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            out.push(escaped);
            rest = &after[3..];
        } else {
            out.push(byte);
            rest = after;
        }
    }
    out
}

/// Adds `file_systems` up into `row`, and with `each` gives every one a row of its own.
pub(super) fn report(file_systems: &[FileSystem], row: &mut [Value], mut each: Option<&mut Record>) {
    for file_system in file_systems {
        let (total, used) = (
            Value::new(file_system.total_bytes),
            Value::new(file_system.used_bytes),
        );
        super::add(&mut row[host::FS_TOTAL_BYTES], total);
        super::add(&mut row[host::FS_USED_BYTES], used);
        if let Some(record) = each.as_deref_mut() {
            let columns = record.push(Entity::Disk {
                owner: Owner::Host,
                name: file_system.mount_point.clone(),
            });
            columns[disk::CAPACITY_BYTES] = total;
            columns[disk::ALLOCATION_BYTES] = used;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_counts_once_and_only_storage_counts() {
        let mountinfo = b"22 27 0:21 / /proc rw - proc proc rw\n\
            27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
            30 27 254:0 /srv /mnt rw - ext4 /dev/vda rw\n\
            31 27 7:0 / /snap rw - squashfs /dev/loop0 ro\n";
        let found = list(mountinfo, Path::new("/"));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].mount_point, "/");
        assert!(found[0].used_bytes > 0 && found[0].used_bytes < found[0].total_bytes);
    }

    #[test]
    fn escaped_mount_points_are_read() {
        assert_eq!(unescape(br"/mnt/a\040b\134c\09"), br"/mnt/a b\c\09");
    }

    #[test]
    fn data_sets_of_a_pool_are_one_device() {
        let one = on_storage(b"30 27 0:40 / /a rw - zfs tank/a rw");
        assert_eq!(one, Some((&b"/a"[..], &b"tank"[..])));
    }
}
