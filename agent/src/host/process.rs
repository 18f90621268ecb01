//! The agent's own process: what sampling costs the host.

use super::file::KeptFile;
use super::parse::{key, lines, number, words};
use rustix::time::{ClockId, clock_gettime};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use vmscope_model::Value;
use vmscope_model::catalogue::host;

/// How often shared pages are counted: the kernel walks the whole address space for it.
const PSS_PERIOD: Duration = Duration::from_secs(30);
const KIB: i64 = 1024;

/// Reads what this process uses.
#[derive(Debug)]
pub(super) struct Process {
    statm: KeptFile,
    smaps: KeptFile,
    pss_read: Option<Instant>,
    page_bytes: i64,
}

impl Process {
    /// This process is in this process's `/proc`, wherever that of the host is.
    pub(super) fn new() -> Self {
        let file = |name: &str| KeptFile::new(PathBuf::from("/proc/self").join(name));
        Self {
            statm: file("statm"),
            smaps: file("smaps_rollup"),
            pss_read: None,
            page_bytes: i64::try_from(rustix::param::page_size()).unwrap_or(4096),
        }
    }

    /// Reads into the host's row.
    pub(super) fn read(&mut self, buffer: &mut Vec<u8>, row: &mut [Value]) {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        row[host::AGENT_CPU_NS] = Value::new(
            cpu.tv_sec
                .saturating_mul(1_000_000_000)
                .saturating_add(cpu.tv_nsec),
        );
        if let Some(statm) = self.statm.read(buffer) {
            row[host::AGENT_RSS_BYTES] = resident(statm, self.page_bytes);
        }
        if self.pss_read.is_none_or(|read| read.elapsed() >= PSS_PERIOD) {
            self.pss_read = Some(Instant::now());
            if let Some(smaps) = self.smaps.read(buffer) {
                row[host::AGENT_PSS_BYTES] = proportional(smaps);
            }
        }
    }
}

/// The second number of `statm`, in pages.
fn resident(statm: &[u8], page_bytes: i64) -> Value {
    words(statm)
        .nth(1)
        .and_then(number)
        .map(|pages| pages.saturating_mul(page_bytes))
        .into()
}

/// `Pss` of `smaps_rollup`, in KiB.
fn proportional(smaps: &[u8]) -> Value {
    lines(smaps)
        .map(key)
        .find(|(key, _)| *key == b"Pss")
        .and_then(|(_, rest)| words(rest).next().and_then(number))
        .map(|kib| kib.saturating_mul(KIB))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn memory_is_read_in_bytes() {
        assert_eq!(resident(b"5123 2048 900 12 0 300 0\n", 4096), Value::new(8 << 20));
        let smaps =
            b"55d0-7ffe ---p 00000000 00:00 0 [rollup]\nRss:  9000 kB\nPss:  4096 kB\nPss_Dirty: 7 kB\n";
        assert_eq!(proportional(smaps), Value::new(4 << 20));
    }

    #[test]
    fn what_is_cut_off_is_absent() {
        assert_eq!(resident(b"5123", 4096), Value::ABSENT);
        assert_eq!(proportional(b"Rss: 9 kB\nPss:"), Value::ABSENT);
    }

    #[test]
    fn this_process_uses_more_and_more_time_and_some_memory() {
        let (mut process, mut buffer) = (Process::new(), Vec::new());
        let mut read = || {
            let mut row = vec![Value::ABSENT; host::METRICS.len()];
            process.read(&mut buffer, &mut row);
            [host::AGENT_CPU_NS, host::AGENT_RSS_BYTES, host::AGENT_PSS_BYTES].map(|column| row[column].get())
        };
        let (first, second) = (read(), read());
        assert!(first[0] < second[0], "{first:?} {second:?}");
        assert!(
            first[2] > Some(0) && first[2] <= first[1].map(|rss| 2 * rss),
            "{first:?}"
        );
        assert_eq!(second[2], None, "shared pages are counted rarely");
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            resident(&text, 4096);
            proportional(&text);
        }
    }
}
