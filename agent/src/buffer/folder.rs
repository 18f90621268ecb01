//! The buffer's folder: who has it, which store is the current one, and what the store is expected to hold.

use super::Error;
use super::mark::Mark;
use super::store::Failure;
use rustix::fs::{FlockOperation, flock, statvfs};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Damaged stores kept for a person to look at.
const QUARANTINES: usize = 2;
/// Free bytes below which nothing is written: sled takes a failed write badly, so it shall not come to that.
const RESERVE_BYTES: u64 = 4 << 20;

/// A process that is just ending, or a child that has not become its program yet, may hold the lock a moment longer.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);
/// Pause between two tries at the lock.
const LOCK_PAUSE: Duration = Duration::from_millis(10);

const STORE: &str = "store-";
const TRASH: &str = "trash-";
const QUARANTINE: &str = "quarantine-";

/// The folder, held for this process.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    lock: Option<File>,
    mark: Option<File>,
    generation: u64,
}

impl Folder {
    /// Takes the folder. One that can't be written yet is taken as far as that goes, see [`prepare`](Self::prepare).
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let mut folder = Self {
            path: path.to_owned(),
            lock: None,
            mark: None,
            generation: 1,
        };
        let deadline = Instant::now() + LOCK_PATIENCE;
        loop {
            match folder.prepare() {
                Err(Failure::Unavailable(error)) if error.kind() == ErrorKind::WouldBlock => {
                    if Instant::now() >= deadline {
                        return Err(Error::InUse {
                            path: path.to_owned(),
                        });
                    }
                    std::thread::sleep(LOCK_PAUSE);
                }
                // Not writable: the buffer keeps to memory and prepares again later.
                Ok(()) | Err(_) => return Ok(folder),
            }
        }
    }

    /// Makes the folder, locks it, and sorts out what an earlier run has left. Does nothing the second time.
    pub(super) fn prepare(&mut self) -> Result<(), Failure> {
        if self.lock.is_some() {
            return Ok(());
        }
        fs::create_dir_all(&self.path).map_err(Failure::from_io)?;
        let lock = self.writable("lock").map_err(Failure::from_io)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|errno| Failure::from_io(errno.into()))?;
        for number in self.numbers(TRASH).map_err(Failure::from_io)? {
            self.delete(&self.join(TRASH, number));
        }
        let stores = self.numbers(STORE).map_err(Failure::from_io)?;
        if let Some((&whole, unfinished)) = stores.split_first() {
            self.generation = whole;
            for &number in unfinished {
                self.discard(number);
            }
        }
        self.mark = Some(self.writable("mark").map_err(Failure::from_io)?);
        self.lock = Some(lock);
        Ok(())
    }

    /// Lets another process have the folder.
    pub(super) fn release(&mut self) {
        self.lock = None;
    }

    /// Where the current store is, or is to be.
    pub(super) fn store(&self) -> PathBuf {
        self.join(STORE, self.generation)
    }

    pub(super) fn has_store(&self) -> bool {
        self.store().exists()
    }

    /// Where the store after the current one is to be.
    pub(super) fn next_store(&self) -> PathBuf {
        self.join(STORE, self.generation + 1)
    }

    /// The next store is whole: the current one goes.
    pub(super) fn advance(&mut self) {
        self.discard(self.generation);
        self.generation += 1;
    }

    /// The next store did not become whole.
    pub(super) fn retreat(&self) {
        self.discard(self.generation + 1);
    }

    /// Sets the current store aside, so that a new one can take its place. Gives where it is (unless it had vanished).
    pub(super) fn quarantine(&mut self) -> Result<PathBuf, Failure> {
        let mut second = unix_s();
        let aside = loop {
            let path = self.join(QUARANTINE, second);
            if !path.exists() {
                break path;
            }
            second += 1;
        };
        match fs::rename(self.store(), &aside) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Failure::Unavailable(error.into()));
            }
            _ => {}
        }
        self.generation += 1;
        let old = self.numbers(QUARANTINE).unwrap_or_default();
        for &number in old.iter().take(old.len().saturating_sub(QUARANTINES)) {
            self.delete(&self.join(QUARANTINE, number));
        }
        Ok(aside)
    }

    /// Whether the disk has room for more records.
    pub(super) fn has_room(&self) -> bool {
        self.lock.is_some()
            && statvfs(&self.path)
                .is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) >= RESERVE_BYTES)
    }

    pub(super) fn read_mark(&self) -> Option<Mark> {
        Mark::parse(&fs::read_to_string(self.path.join("mark")).ok()?)
    }

    /// Notes what the store holds. Not made durable: after a power loss an older mark may be found.
    pub(super) fn write_mark(&self, mark: &Mark) -> io::Result<()> {
        match &self.mark {
            Some(file) => file.write_all_at(mark.text().as_bytes(), 0),
            None => Err(ErrorKind::ReadOnlyFilesystem.into()),
        }
    }

    /// Makes the mark durable: its epoch must never be given out again.
    pub(super) fn sync_mark(&self) -> io::Result<()> {
        self.mark.as_ref().map_or(Ok(()), File::sync_all)?;
        File::open(&self.path)?.sync_all()
    }

    fn writable(&self, name: &str) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.path.join(name))
    }

    fn discard(&self, generation: u64) {
        let trash = self.join(TRASH, generation);
        if fs::rename(self.join(STORE, generation), &trash).is_ok() {
            self.delete(&trash);
        }
    }

    fn delete(&self, path: &Path) {
        if let Err(error) = fs::remove_dir_all(path) {
            tracing::warn!(path = %path.display(), folder = %self.path.display(), %error, "buffer can't delete an old store");
        }
    }

    fn join(&self, prefix: &str, number: u64) -> PathBuf {
        self.path.join(format!("{prefix}{number}"))
    }

    /// The numbers after `prefix` in the names that are there, lowest first.
    fn numbers(&self, prefix: &str) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            numbers.extend(
                name.to_str()
                    .and_then(|name| name.strip_prefix(prefix)?.parse::<u64>().ok()),
            );
        }
        numbers.sort_unstable();
        Ok(numbers)
    }
}

/// Now, in seconds since the Unix epoch.
fn unix_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}
