//! A real program of ours, started, watched, and ended in the kind or the brutal way.

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long an orderly end may take.
const STOP_LIMIT: Duration = Duration::from_secs(45);
/// Between two looks at a process.
const POLL: Duration = Duration::from_millis(20);

/// A running program; killed when dropped.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    /// What it wrote to standard error, of this and earlier runs.
    pub log: PathBuf,
}

impl Daemon {
    /// Starts `program` (one of the workspace's binaries), its messages appended to `log`.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start<A: AsRef<OsStr>>(program: &str, arguments: &[A], log: &Path) -> anyhow::Result<Self> {
        Self::start_through(&[], program, arguments, log)
    }

    /// The same behind the programs of `wrapper`, each of which must become the next one.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start_through<A: AsRef<OsStr>>(
        wrapper: &[String],
        program: &str,
        arguments: &[A],
        log: &Path,
    ) -> anyhow::Result<Self> {
        let path = binary(program)?;
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .context("open a log")?;
        let mut command = match wrapper {
            [] => Command::new(&path),
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                command.args(rest).arg(&path);
                command
            }
        };
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let child = command
            .spawn()
            .with_context(|| format!("start {}", path.display()))?;
        Ok(Self {
            child,
            log: log.to_owned(),
        })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Its resident memory, in KiB.
    ///
    /// # Errors
    /// When it is gone.
    pub fn rss_kib(&self) -> anyhow::Result<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .context("no VmRSS")?;
        line.trim().trim_end_matches(" kB").parse().context("VmRSS")
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// When it can't be waited for.
    pub fn wait(mut self) -> anyhow::Result<ExitStatus> {
        Ok(self.child.wait()?)
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// When the process can't be signalled or waited for.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGSTOP: it is there and does nothing, until [`thaw`](Self::thaw).
    ///
    /// # Errors
    /// When the process can't be signalled.
    pub fn freeze(&self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// When the process can't be signalled.
    pub fn thaw(&self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.id())?).context("a process id")?;
        Ok(kill_process(pid, signal)?)
    }

    /// SIGTERM, and waits for the end.
    ///
    /// # Errors
    /// When it does not end within 45 s.
    pub fn stop(mut self) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        let asked = Instant::now();
        while asked.elapsed() < STOP_LIMIT {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(POLL);
        }
        bail!("process {} did not end; see {}", self.id(), self.log.display())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may be gone already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The path of a workspace binary: beside the running test, or in the first folder of `VMSCOPE_BIN_DIR` that has it.
///
/// # Errors
/// When it has not been built.
pub fn binary(program: &str) -> anyhow::Result<PathBuf> {
    let folders = match std::env::var_os("VMSCOPE_BIN_DIR") {
        Some(folders) => std::env::split_paths(&folders).collect::<Vec<PathBuf>>(),
        None => vec![own_folder()?],
    };
    let paths = folders.iter().map(|folder| folder.join(program));
    match paths.into_iter().find(|path| path.exists()) {
        Some(path) => Ok(path),
        None => bail!("{program} is not built in {folders:?}; run: cargo build --workspace"),
    }
}

/// Where the running program is; for a test that is one folder above its own.
fn own_folder() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("find the running program")?;
    let folder = own.parent().context("a folder")?;
    let above = if folder.ends_with("deps") {
        folder.parent()
    } else {
        Some(folder)
    };
    Ok(above.context("a folder")?.to_owned())
}
