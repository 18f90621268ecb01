//! The control group that libvirt puts a VM into. Its CPU time has the threads that the kernel runs for the VM (vhost), too; where there
//! is one, libvirt takes the VM's CPU time from it.

use super::parse::{TICK_NS, read_short};
use crate::host::parse::{key, lines, number, words};
use std::fs::File;
use std::io;
use std::path::Path;

/// A VM's group.
#[derive(Debug)]
pub(super) enum Group {
    /// Version 2: `cpu.stat`, in microseconds.
    Unified(File),
    /// Version 1: `cpuacct.usage` in nanoseconds, `cpuacct.stat` in ticks.
    Accounting { usage: File, stat: File },
}

/// CPU time, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "each counts nanoseconds")]
pub(super) struct Cpu {
    pub(super) time_ns: i64,
    pub(super) user_ns: i64,
    pub(super) system_ns: i64,
}

impl Group {
    /// The group of libvirt's that `cgroup`, the text of `/proc/PID/cgroup`, names; `None` if there is none.
    pub(super) fn open(root: &Path, cgroup: &[u8]) -> Option<Self> {
        let groups = root.join("sys/fs/cgroup");
        let named = named(cgroup);
        if let Some((controllers, path)) = named
            .iter()
            .find(|(names, _)| names.split(',').any(|name| name == "cpuacct"))
        {
            let folder = groups.join(controllers).join(path);
            // Mounted as one or as another of its controllers.
            let folder = if folder.is_dir() {
                folder
            } else {
                groups.join("cpuacct").join(path)
            };
            let usage = File::open(folder.join("cpuacct.usage")).ok()?;
            let stat = File::open(folder.join("cpuacct.stat")).ok()?;
            return Some(Self::Accounting { usage, stat });
        }
        let (_, path) = named.iter().find(|(controllers, _)| controllers.is_empty())?;
        // Beside version 1 the unified tree is only systemd's: libvirt takes no CPU time from it.
        if !groups.join("cgroup.controllers").exists() {
            return None;
        }
        File::open(groups.join(path).join("cpu.stat"))
            .ok()
            .map(Self::Unified)
    }

    pub(super) fn read(&self, buffer: &mut [u8]) -> io::Result<Cpu> {
        let cpu = match self {
            Self::Unified(file) => unified(read_short(file, buffer)?),
            Self::Accounting { usage, stat } => {
                let time_ns = words(read_short(usage, buffer)?).next().and_then(number);
                time_ns.and_then(|time_ns| accounting(time_ns, read_short(stat, buffer).ok()?))
            }
        };
        cpu.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

/// The groups of libvirt's for VMs, each with its controllers and its path below that hierarchy.
fn named(cgroup: &[u8]) -> Vec<(&str, String)> {
    let lines = lines(cgroup).filter_map(|line| std::str::from_utf8(line).ok());
    lines
        .filter_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            Some((parts.next()?, of_vm(parts.next()?)?))
        })
        .collect()
}

/// The part of a path that ends with a VM's group: libvirt makes others below it. An observer in a group of its own sees the way up to
/// the common one as `..`.
fn of_vm(path: &str) -> Option<String> {
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !["", ".."].contains(part))
        .collect();
    let is_vm = |part: &&str| {
        let unit = part.strip_suffix(".scope");
        unit.is_some_and(|unit| unit.starts_with("machine-qemu")) || part.ends_with(".libvirt-qemu")
    };
    let end = parts.iter().position(is_vm)?;
    Some(parts[..=end].join("/"))
}

fn unified(stat: &[u8]) -> Option<Cpu> {
    let value = |wanted: &[u8]| {
        let (_, rest) = lines(stat).map(key).find(|(key, _)| *key == wanted)?;
        Some(words(rest).next().and_then(number)?.saturating_mul(1_000))
    };
    Some(Cpu {
        time_ns: value(b"usage_usec")?,
        user_ns: value(b"user_usec")?,
        system_ns: value(b"system_usec")?,
    })
}

fn accounting(time_ns: i64, stat: &[u8]) -> Option<Cpu> {
    let value = |wanted: &[u8]| {
        let (_, rest) = lines(stat).map(key).find(|(key, _)| *key == wanted)?;
        Some(words(rest).next().and_then(number)?.saturating_mul(TICK_NS))
    };
    Some(Cpu {
        time_ns,
        user_ns: value(b"user")?,
        system_ns: value(b"system")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;

    const SCOPE: &str = "machine.slice/machine-qemu\\x2d1\\x2dweb.scope";

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join("sys/fs/cgroup").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn read(root: &Path, cgroup: &str) -> Option<Cpu> {
        let group = Group::open(root, cgroup.as_bytes())?;
        Some(group.read(&mut [0; 512]).unwrap())
    }

    #[test]
    fn a_scopes_time_is_that_of_the_unified_tree() {
        let stat = "usage_usec 7000\nuser_usec 5000\nsystem_usec 2000\nnr_periods 0\n";
        let root = tree(&[
            ("cgroup.controllers", "cpu memory\n"),
            (&format!("{SCOPE}/cpu.stat"), stat),
        ]);
        let expected = Cpu {
            time_ns: 7_000_000,
            user_ns: 5_000_000,
            system_ns: 2_000_000,
        };
        for path in [
            format!("0::/{SCOPE}/libvirt/emulator\n"),
            format!("0::/../../{SCOPE}\n"),
        ] {
            assert_eq!(read(root.path(), &path), Some(expected), "{path}");
        }
        assert_eq!(read(root.path(), "0::/system.slice/libvirtd.service\n"), None);
    }

    #[test]
    fn a_groups_time_is_that_of_the_accounting_controller() {
        let group = "machine/qemu-1-web.libvirt-qemu";
        for mount in ["cpuacct", "cpu,cpuacct"] {
            let root = tree(&[
                (&format!("{mount}/{group}/cpuacct.usage"), "123456789\n"),
                (&format!("{mount}/{group}/cpuacct.stat"), "user 8\nsystem 4\n"),
            ]);
            let expected = Cpu {
                time_ns: 123_456_789,
                user_ns: 80_000_000,
                system_ns: 40_000_000,
            };
            let text = format!("9:name=systemd:/\n4:cpu,cpuacct:/{group}/emulator\n0::/{group}\n");
            assert_eq!(read(root.path(), &text), Some(expected));
        }
    }

    #[test]
    fn a_hybrid_host_has_no_time_in_its_unified_tree() {
        let root = tree(&[(&format!("{SCOPE}/cpu.stat"), "usage_usec 7\n")]);
        assert_eq!(read(root.path(), &format!("4:cpuacct:/\n0::/{SCOPE}\n")), None);
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            named(&text);
            unified(&text);
            accounting(0, &text);
        }
    }
}
