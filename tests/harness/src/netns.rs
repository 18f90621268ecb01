//! Network namespaces: a network of a program's own, made and removed by iproute2. Needs root.
//!
//! Names carry the process id of who made them, so that several checkouts don't meet, and what a killed one left behind is
//! removed by the next.

use anyhow::{Context, bail};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where iproute2 keeps the names.
const FOLDER: &str = "/run/netns";
const PREFIX: &str = "vmscope-test-";

/// A network namespace; clones are the same one, which is removed with the last.
#[derive(Debug, Clone)]
pub struct Namespace(Arc<Named>);

#[derive(Debug)]
struct Named {
    name: String,
}

impl Namespace {
    /// Makes one whose loopback is up.
    ///
    /// # Errors
    /// When it can't be made: without root, or without iproute2.
    pub fn create(what: &str) -> anyhow::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}-{what}", std::process::id());
        run("ip", &["netns", "add", &name]).context("network namespaces need root and iproute2")?;
        let space = Self(Arc::new(Named { name }));
        space.ip("link set lo up")?;
        Ok(space)
    }

    /// Removes those of processes that are gone.
    pub fn sweep() {
        for entry in std::fs::read_dir(FOLDER).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let maker = name
                .to_str()
                .and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
            if maker.is_some_and(is_gone) {
                drop(Named {
                    name: name.to_string_lossy().into_owned(),
                });
            }
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// `ip` within it.
    ///
    /// # Errors
    /// With what `ip` said.
    pub fn ip(&self, arguments: &str) -> anyhow::Result<()> {
        let words: Vec<&str> = ["-n", self.name()]
            .into_iter()
            .chain(arguments.split_whitespace())
            .collect();
        run("ip", &words)
    }

    /// `tc` within it.
    ///
    /// # Errors
    /// With what `tc` said.
    pub fn tc(&self, arguments: &str) -> anyhow::Result<()> {
        let words: Vec<&str> = ["-n", self.name()]
            .into_iter()
            .chain(arguments.split_whitespace())
            .collect();
        run("tc", &words)
    }

    /// What a program's command line begins with to run in it: it takes the place of the programs named here.
    pub fn enter(&self) -> Vec<String> {
        let space = format!("--net={FOLDER}/{}", self.name());
        // It dies with the thread that starts it: a killed test leaves no programs behind.
        ["setpriv", "--pdeathsig", "KILL", "nsenter", &space]
            .map(str::to_owned)
            .to_vec()
    }

    /// A socket in it.
    ///
    /// # Errors
    /// When it can't be bound.
    pub fn bind(&self, address: SocketAddr) -> io::Result<UdpSocket> {
        let space = File::open(PathBuf::from(FOLDER).join(self.name()))?;
        // A thread of its own, because it never comes back from there.
        let bound = std::thread::spawn(move || {
            move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Network))?;
            let socket = UdpSocket::bind(address)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        });
        bound
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        // It may be gone already, which is as good.
        let _ = run("ip", &["netns", "del", &self.name]);
    }
}

/// Whether no process has this number.
pub fn is_gone(pid: &str) -> bool {
    !PathBuf::from("/proc").join(pid).exists()
}

/// Runs a program to its end.
///
/// # Errors
/// When it fails, with what it said.
pub fn run(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("start {program}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{program} {}: {}", arguments.join(" "), said.trim());
    }
    Ok(())
}
