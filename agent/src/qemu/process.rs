//! One QEMU: its CPU time, its resident memory, its virtual processors.

use super::cgroup::{Cpu, Group};
use super::parse::{self, read_short};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Descriptors that the virtual processors of one VM may keep; the files of more are opened for each read.
const MAX_KEPT: usize = 8;

/// A QEMU that was found.
#[derive(Debug)]
pub(super) struct Process {
    folder: PathBuf,
    /// Kept as long as the process is watched: it tells the end of the process.
    stat: File,
    group: Option<Group>,
    processors: Vec<Thread>,
    page_bytes: i64,
}

/// The thread of a virtual processor.
#[derive(Debug)]
struct Thread {
    number: u32,
    folder: PathBuf,
    schedstat: Option<File>,
}

/// What a VM's process says at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// CPU time that the VM used, in nanoseconds.
    pub time_ns: i64,
    /// Of it in user space.
    pub user_ns: i64,
    /// Of it in the kernel.
    pub system_ns: i64,
    /// Resident memory.
    pub rss_bytes: i64,
    /// Time in which the guest's own code ran, in nanoseconds.
    pub guest_ns: i64,
    /// Page faults that needed the host's disk.
    pub major_faults: i64,
    /// Page faults that did not.
    pub minor_faults: i64,
    /// Threads.
    pub threads: i64,
    /// The virtual processors, by number; none if the kernel does not count for them.
    pub processors: Vec<Processor>,
}

/// What the scheduler says of a virtual processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Processor {
    /// Its number in the VM.
    pub number: u32,
    /// Nanoseconds that it ran.
    pub time_ns: i64,
    /// Nanoseconds that it was ready and had to wait for a processor of the host.
    pub delay_ns: i64,
    /// Nanoseconds that it waited, if that was asked for; 0 where the kernel does not count it, as libvirt says then.
    pub wait_ns: Option<i64>,
}

impl Process {
    /// The process `pid` of the host below `root`.
    ///
    /// # Errors
    /// It is gone, or hidden from us.
    pub(super) fn open(root: &Path, pid: u32) -> io::Result<Self> {
        let folder = root.join("proc").join(pid.to_string());
        let stat = File::open(folder.join("stat"))?;
        let group = Group::open(root, &fs::read(folder.join("cgroup")).unwrap_or_default());
        let mut process = Self {
            folder,
            stat,
            group,
            processors: Vec::new(),
            page_bytes: i64::try_from(rustix::param::page_size()).unwrap_or(4096),
        };
        process.list_processors();
        // What was opened by its path is of the same process if that has not ended since.
        process.read(&mut vec![0; parse::SHORT_FILE_BYTES], None)?;
        Ok(process)
    }

    /// Whether any thread is a virtual processor: only QEMU has such.
    pub(super) const fn has_processors(&self) -> bool {
        !self.processors.is_empty()
    }

    /// Finds the threads of virtual processors.
    pub(super) fn list_processors(&mut self) {
        self.processors.clear();
        let Ok(threads) = fs::read_dir(self.folder.join("task")) else {
            return;
        };
        for thread in threads.flatten() {
            let folder = thread.path();
            let name = fs::read(folder.join("comm")).unwrap_or_default();
            self.processors
                .extend(parse::processor(&name).map(|number| Thread {
                    number,
                    folder,
                    schedstat: None,
                }));
        }
        self.processors.sort_by_key(|thread| thread.number);
    }

    /// Reads everything; with `waits`, what processors waited, which says whether the kernel counts that.
    ///
    /// # Errors
    /// The process has ended, or a file has an unknown form.
    pub(super) fn read(&mut self, buffer: &mut [u8], waits: Option<bool>) -> io::Result<Reading> {
        let group = self.group.as_ref().map(|group| group.read(buffer)).transpose()?;
        let processors = self.read_processors(buffer, waits);
        // Last: if it can still be read, what came before was of a living process.
        let stat = parse::stat(read_short(&self.stat, buffer)?).ok_or(io::ErrorKind::InvalidData)?;
        let cpu = group.unwrap_or(Cpu {
            time_ns: stat.user_ns.saturating_add(stat.system_ns),
            user_ns: stat.user_ns,
            system_ns: stat.system_ns,
        });
        Ok(Reading {
            time_ns: cpu.time_ns,
            user_ns: cpu.user_ns,
            system_ns: cpu.system_ns,
            rss_bytes: stat.resident.saturating_mul(self.page_bytes),
            guest_ns: stat.guest_ns,
            major_faults: stat.major_faults,
            minor_faults: stat.minor_faults,
            threads: stat.threads,
            processors,
        })
    }

    /// All processors, or none when one can't be read: a total over some of them would be wrong.
    fn read_processors(&mut self, buffer: &mut [u8], waits: Option<bool>) -> Vec<Processor> {
        let threads = self.processors.iter_mut().enumerate();
        let read: io::Result<Vec<_>> = threads
            .map(|(place, thread)| thread.read(buffer, place < MAX_KEPT, waits))
            .collect();
        read.unwrap_or_else(|_| {
            self.list_processors();
            Vec::new()
        })
    }
}

impl Thread {
    fn read(&mut self, buffer: &mut [u8], is_kept: bool, waits: Option<bool>) -> io::Result<Processor> {
        let file = match self.schedstat.take() {
            Some(file) => file,
            None => File::open(self.folder.join("schedstat"))?,
        };
        let times = parse::schedstat(read_short(&file, buffer)?);
        self.schedstat = is_kept.then_some(file);
        let (time_ns, delay_ns) = times.ok_or(io::ErrorKind::InvalidData)?;
        let wait_ns = waits.map(|is_counted| {
            let text = is_counted
                .then(|| fs::read(self.folder.join("sched")).ok())
                .flatten();
            text.and_then(|text| parse::wait_sum(&text)).unwrap_or(0)
        });
        Ok(Processor {
            number: self.number,
            time_ns,
            delay_ns,
            wait_ns,
        })
    }
}
