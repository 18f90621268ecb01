//! What happens to the disk under a buffer: it fills up, and files of the store are damaged.

use super::plan::Damage;
use crate::netns::{is_gone, run};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::fs::statvfs;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A small file system in memory, for a disk that can be full; unmounted when dropped.
#[derive(Debug)]
pub(super) struct SmallDisk {
    path: PathBuf,
}

/// Much more than a buffer needs here; only what is written takes memory.
const DISK_KIB: u64 = 48 << 10;

/// What mounts are known by, before the process id.
const SOURCE: &str = "vmscope-test-";

impl SmallDisk {
    /// Unmounts those of processes that are gone.
    pub(super) fn sweep() -> anyhow::Result<()> {
        for line in fs::read_to_string("/proc/mounts")?.lines() {
            let mut words = line.split(' ');
            let maker = words.next().and_then(|source| source.strip_prefix(SOURCE));
            if let (Some(pid), Some(path)) = (maker, words.next())
                && is_gone(pid)
            {
                drop(Self { path: path.into() });
            }
        }
        Ok(())
    }

    pub(super) fn mount(path: PathBuf) -> anyhow::Result<Self> {
        fs::create_dir_all(&path)?;
        let target = path.display().to_string();
        let size = format!("size={DISK_KIB}k,mode=0700");
        let source = format!("{SOURCE}{}", std::process::id());
        run("mount", &["-t", "tmpfs", "-o", &size, &source, &target])?;
        Ok(Self { path })
    }

    /// Leaves `left_kib` of room.
    pub(super) fn fill(&self, left_kib: u64) -> anyhow::Result<()> {
        self.free()?;
        let disk = statvfs(&self.path)?;
        let room_kib = disk.f_bavail * disk.f_frsize / 1024;
        let mut filler = fs::File::create(self.filler())?;
        for _ in left_kib..room_kib {
            // The agent may be faster than we are: then the disk is as full.
            if filler.write_all(&[0x55; 1024]).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Gives the room back.
    pub(super) fn free(&self) -> anyhow::Result<()> {
        match fs::remove_file(self.filler()) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn filler(&self) -> PathBuf {
        self.path.join("filler")
    }

    /// What is on it, copied to where it stays.
    pub(super) fn keep(&self, copy: &Path) -> anyhow::Result<()> {
        let (from, to) = (self.path.display().to_string(), copy.display().to_string());
        run("cp", &["-a", &from, &to])
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whoever still uses it keeps it until then.
        let _ = run("umount", &["--lazy", &self.path.display().to_string()]);
    }
}

/// Damages the stores of the buffer in `data`, which nobody has open; gives what was done. The same seed damages the same
/// files in the same way.
pub(super) fn damage(data: &Path, how: Damage, seed: u64) -> anyhow::Result<Vec<String>> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut files = Vec::new();
    for entry in fs::read_dir(data.join("buffer"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("store-") {
            collect(&path, &mut files)?;
        }
    }
    files.sort();
    // One of three or four files would be the settings, and no more than those be tested.
    if random.random_bool(0.9) {
        files.retain(|path| !path.ends_with("conf"));
    }
    let mut done = Vec::new();
    for _ in 0..random.random_range(1..=2) {
        if files.is_empty() {
            break;
        }
        let path = files.swap_remove(random.random_range(0..files.len()));
        done.push(harm(&path, how, &mut random)?);
    }
    Ok(done)
}

/// Every file below `folder`.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// Most flipped bits in one file.
const FLIPS: u32 = 64;

fn harm(path: &Path, how: Damage, random: &mut StdRng) -> anyhow::Result<String> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let length = file.metadata()?.len();
    let name = path.display();
    if length == 0 {
        return Ok(format!("{name} is empty"));
    }
    match how {
        Damage::Truncate => {
            let left = random.random_range(0..length);
            file.set_len(left)?;
            Ok(format!("{name} cut from {length} to {left}"))
        }
        Damage::FlipBits => {
            let flips = random.random_range(1..=FLIPS);
            for _ in 0..flips {
                let at = random.random_range(0..length);
                let mut byte = [0];
                file.read_exact_at(&mut byte, at)?;
                byte[0] ^= 1 << random.random_range(0..8);
                file.write_all_at(&byte, at)?;
            }
            Ok(format!("{name} of {length} has {flips} bits flipped"))
        }
    }
}
