//! What processes cost, from `/proc`: CPU time and memory, of one process or of it and all that it has started.

use anyhow::Context;
use std::collections::HashMap;
use std::ops::AddAssign;
use std::time::Duration;
use tokio_postgres::Client;

/// The kernel's tick in `/proc/PID/stat` (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// Memory of one or more processes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    /// Resident; what processes share is counted in each.
    pub(crate) rss_kib: u64,
    /// Proportional: what `n` processes share counts by one `n`th in each.
    pub(crate) pss_kib: u64,
}

impl AddAssign for Memory {
    fn add_assign(&mut self, other: Self) {
        self.rss_kib += other.rss_kib;
        self.pss_kib += other.pss_kib;
    }
}

/// What `/proc/PID/stat` says.
struct Stat {
    parent: u32,
    own: Duration,
    /// Of children that have ended and were waited for.
    reaped: Duration,
}

/// CPU time that a process alone has used, children not counted.
pub(crate) fn own_cpu(process: u32) -> anyhow::Result<Duration> {
    Ok(stat(process)
        .with_context(|| format!("process {process} is gone"))?
        .own)
}

/// CPU time that a process has used together with all that it has started.
pub(crate) fn tree_cpu(root: u32) -> anyhow::Result<Duration> {
    Ok(tree(root)?.values().map(|stat| stat.own + stat.reaped).sum())
}

/// Memory of a process and all that it has started.
pub(crate) fn tree_memory(root: u32) -> anyhow::Result<Memory> {
    let mut total = Memory::default();
    for process in tree(root)?.into_keys() {
        // One that has ended meanwhile has no memory.
        if let Ok(text) = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup")) {
            total += memory(&text)?;
        }
    }
    Ok(total)
}

/// CPU time that the whole machine has used: everything but idling, and waiting for disks.
pub(crate) fn machine_cpu() -> anyhow::Result<Duration> {
    let text = std::fs::read_to_string("/proc/stat")?;
    let first = text.lines().next().and_then(|line| line.strip_prefix("cpu "));
    let fields: Vec<u64> = first
        .context("no cpu line in /proc/stat")?
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    // user, nice, system, (idle, iowait,) irq, softirq
    let busy = [0, 1, 2, 5, 6].map(|index| fields.get(index).copied().unwrap_or_default());
    Ok(Duration::from_millis(10 * busy.iter().sum::<u64>()))
}

/// The process that has started the one behind this connection: PostgreSQL's first one, which all others come from.
pub(crate) async fn postmaster(client: &Client) -> anyhow::Result<u32> {
    let backend: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await?.get(0);
    let stat = stat(backend.unsigned_abs());
    Ok(stat
        .context("the database must run on this machine to be measured")?
        .parent)
}

/// A process and its descendants.
fn tree(root: u32) -> anyhow::Result<HashMap<u32, Stat>> {
    let mut all: HashMap<u32, Stat> = std::fs::read_dir("/proc")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|process| Some((process, stat(process)?)))
        .collect();
    let first = all
        .remove(&root)
        .with_context(|| format!("process {root} is gone"))?;
    let mut found = HashMap::from([(root, first)]);
    loop {
        let children: Vec<u32> = all
            .iter()
            .filter(|(_, stat)| found.contains_key(&stat.parent))
            .map(|(process, _)| *process)
            .collect();
        if children.is_empty() {
            return Ok(found);
        }
        found.extend(children.iter().filter_map(|child| all.remove_entry(child)));
    }
}

fn stat(process: u32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The command, in parentheses, may hold anything; what follows it are fields 3 and up.
    let (_, fields) = text.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |number: usize| fields.get(number - 3)?.parse::<u32>().ok();
    Some(Stat {
        parent: ticks(4)?,
        own: TICK * (ticks(14)? + ticks(15)?),
        reaped: TICK * (ticks(16)? + ticks(17)?),
    })
}

fn memory(smaps_rollup: &str) -> anyhow::Result<Memory> {
    let kib = |name: &str| {
        let line = smaps_rollup.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(Ok(0), |rest| {
            rest.trim()
                .trim_end_matches(" kB")
                .parse()
                .with_context(|| name.to_owned())
        })
    };
    Ok(Memory {
        rss_kib: kib("Rss:")?,
        pss_kib: kib("Pss:")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_counts_with_its_children() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let tree = tree(std::process::id()).unwrap();
        assert!(tree.contains_key(&std::process::id()) && tree.contains_key(&child.id()));
        let both = tree_memory(std::process::id()).unwrap();
        let alone = tree_memory(child.id()).unwrap();
        assert!(alone.pss_kib > 0 && both.rss_kib > alone.rss_kib);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(tree_cpu(child.id()).is_err());
    }
}
