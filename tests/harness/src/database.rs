//! A database server of a test's own, which it may kill.

use crate::site::eventually;
use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::time::Duration;
use vmscope::postgres::Server;

/// How long a killed server may take to be gone.
const DEATH_LIMIT: Duration = Duration::from_secs(10);

/// Starts one whose data is in `folder`, into which the database's user must be let. It starts again by itself when it ends.
///
/// # Errors
/// When it can't be started.
pub async fn start(folder: &Path) -> anyhow::Result<Server> {
    let folder = folder.to_owned();
    Ok(tokio::task::spawn_blocking(move || Server::start(&folder)).await??)
}

/// `kill -9`; returns when the server is gone. Whoever keeps it starts it again by itself.
///
/// # Errors
/// When there is none, or it does not die.
pub async fn kill(server: &Server) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(server.root.join("data/postmaster.pid"))?;
    let pid: i32 = text.lines().next().context("a process id")?.trim().parse()?;
    let process = Pid::from_raw(pid).context("a process id")?;
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm"))?;
    ensure!(name.starts_with("postgres"), "process {pid} is {name}");
    kill_process(process, Signal::KILL)?;
    eventually("the killed database is gone", DEATH_LIMIT, async || {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        Ok(state.is_err() || state.is_ok_and(|text| text.contains(") Z ")))
    })
    .await
}
