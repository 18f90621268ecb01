//! A clock that can be set for one program: Debian's libfaketime, loaded before the program, reads a file at each question for
//! the wall clock. The clock that nobody sets (monotonic) stays the kernel's.

use crate::netns::is_gone;
use anyhow::Context;
use std::fs;
use std::path::{Path, PathBuf};

/// The clock of one agent.
#[derive(Debug)]
pub struct Clock {
    file: PathBuf,
    library: PathBuf,
}

impl Clock {
    /// A right clock, set by `file`.
    ///
    /// # Errors
    /// When the file can't be written, or Debian's `faketime` is not installed.
    pub fn new(file: PathBuf) -> anyhow::Result<Self> {
        sweep();
        let clock = Self {
            file,
            library: library()?,
        };
        clock.set(0)?;
        Ok(clock)
    }

    /// Sets it to so much beside the true time.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn set(&self, offset_s: i32) -> anyhow::Result<()> {
        // At once, for the program reads it at any moment.
        let fresh = self.file.with_extension("new");
        fs::write(&fresh, format!("{offset_s:+}\n"))?;
        Ok(fs::rename(fresh, &self.file)?)
    }

    /// What a program's command line begins with to go by it.
    pub fn enter(&self) -> Vec<String> {
        vec![
            "env".to_owned(),
            format!("LD_PRELOAD={}", self.library.display()),
            format!("FAKETIME_TIMESTAMP_FILE={}", self.file.display()),
            "FAKETIME_NO_CACHE=1".to_owned(),
            "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
            "NO_FAKE_STAT=1".to_owned(),
        ]
    }
}

/// A killed program leaves libfaketime's shared memory behind, named by its process id: the next program with that id would
/// refuse to start.
pub(crate) fn forget(pid: u32) {
    for prefix in SHARED {
        // Gone already after an orderly end.
        let _ = fs::remove_file(Path::new(SHARED_FOLDER).join(format!("{prefix}{pid}")));
    }
}

const SHARED_FOLDER: &str = "/dev/shm";
const SHARED: [&str; 2] = ["faketime_shm_", "sem.faketime_sem_"];

/// Forgets every program that is gone.
fn sweep() {
    for entry in fs::read_dir(SHARED_FOLDER).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name
            .to_str()
            .and_then(|name| SHARED.iter().find_map(|prefix| name.strip_prefix(prefix)));
        if pid.is_some_and(is_gone) {
            // Somebody else may have done it.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The variant for programs with threads, in the folder of this machine's architecture.
fn library() -> anyhow::Result<PathBuf> {
    let folders = fs::read_dir("/usr/lib")?.flatten();
    folders
        .map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"))
        .find(|path| path.exists())
        .context("libfaketime is missing; run: packaging/dev/install faults")
}
