//! The real QEMU guests that `packaging/dev/guests up N` has started, asked through virsh and handled by signal.

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use uuid::Uuid;

/// Where the guests are.
#[derive(Debug, Clone)]
pub struct Guests {
    /// libvirt's read-only socket, for the agent.
    pub socket: PathBuf,
    uri: String,
    state: PathBuf,
}

impl Guests {
    /// The guests named by the environment, or by `.dev/guests.env` of this checkout; at least `least` must run.
    ///
    /// # Errors
    /// When there are not enough; the text says how to start them.
    pub fn running(least: usize) -> anyhow::Result<Self> {
        let file = workspace().join(".dev/guests.env");
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let written: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
        let value = |name: &str| {
            std::env::var(name)
                .ok()
                .or_else(|| written.get(name).map(ToString::to_string))
        };
        let advice = || format!("no guests; run: packaging/dev/guests up {least}");
        let guests = Self {
            socket: value("VMSCOPE_TEST_LIBVIRT_SOCKET").with_context(advice)?.into(),
            uri: value("VMSCOPE_TEST_LIBVIRT_URI").with_context(advice)?,
            state: value("VMSCOPE_TEST_GUESTS").with_context(advice)?.into(),
        };
        ensure!(
            guests.names()?.len() >= least,
            "too few guests; run: packaging/dev/guests up {least}"
        );
        Ok(guests)
    }

    /// libvirt's read-write socket, for the agent's questions to guests.
    ///
    /// # Errors
    /// When the read-only one has another name than libvirt's.
    pub fn guest_socket(&self) -> anyhow::Result<PathBuf> {
        let socket = self.socket.to_str().and_then(|path| path.strip_suffix("-ro"));
        Ok(socket.context("a socket that ends in -ro")?.into())
    }

    /// The Linux guest; its agent answers.
    ///
    /// # Errors
    /// When it does not run; the text says how to start it.
    pub fn linux(&self) -> anyhow::Result<&'static str> {
        const LINUX: &str = "vmscope-linux-1";
        self.virsh(&["qemu-agent-command", LINUX, "{\"execute\":\"guest-ping\"}"])
            .context("no Linux guest; run: packaging/dev/guests linux")?;
        Ok(LINUX)
    }

    /// Names of the guests that run.
    ///
    /// # Errors
    /// When libvirtd does not answer.
    pub fn names(&self) -> anyhow::Result<Vec<String>> {
        let text = self.virsh(&["list", "--name"])?;
        Ok(text.split_whitespace().map(ToOwned::to_owned).collect())
    }

    /// A guest's UUID.
    ///
    /// # Errors
    /// When there is no such guest.
    pub fn uuid(&self, name: &str) -> anyhow::Result<Uuid> {
        Ok(self.virsh(&["domuuid", name])?.trim().parse()?)
    }

    /// What `virsh domstats --raw` says of a guest now: the numbers among its values.
    ///
    /// # Errors
    /// When libvirtd does not answer.
    pub fn statistics(&self, name: &str) -> anyhow::Result<BTreeMap<String, i64>> {
        let text = self.virsh(&["domstats", "--raw", name])?;
        let pairs = text.lines().filter_map(|line| line.trim().split_once('='));
        Ok(pairs
            .filter_map(|(key, value)| Some((key.to_owned(), value.parse().ok()?)))
            .collect())
    }

    /// Runs virsh with these arguments.
    ///
    /// # Errors
    /// When it fails; the text is its own.
    pub fn virsh(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = Command::new("virsh")
            .args(["-q", "-c", &self.uri])
            .args(arguments)
            .output()
            .context("run virsh")?;
        ensure!(
            output.status.success(),
            "virsh {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The process of a guest's QEMU.
    ///
    /// # Errors
    /// When there is none.
    pub fn process(&self, name: &str) -> anyhow::Result<Pid> {
        let file = self.state.join("run/qemu").join(format!("{name}.pid"));
        let text = std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        Pid::from_raw(text.trim().parse()?).context("a process id")
    }

    /// Stops (SIGSTOP) or continues a guest's QEMU process.
    ///
    /// # Errors
    /// When the process is not there.
    pub fn freeze(&self, name: &str, frozen: bool) -> anyhow::Result<()> {
        let pid = self.process(name)?;
        Ok(kill_process(
            pid,
            if frozen { Signal::STOP } else { Signal::CONT },
        )?)
    }

    /// Kills libvirtd (`stop`) or starts it again (`start`); guests live on.
    ///
    /// # Errors
    /// When the script fails.
    pub fn libvirtd(&self, verb: &str) -> anyhow::Result<()> {
        let status = Command::new(workspace().join("packaging/dev/guests"))
            .arg(verb)
            .env("VMSCOPE_GUESTS", &self.state)
            .status()?;
        if !status.success() {
            bail!("packaging/dev/guests {verb}: {status}");
        }
        Ok(())
    }
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
