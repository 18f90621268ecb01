//! `/proc/meminfo`, `/proc/vmstat`, `/proc/loadavg` and `/proc/uptime`: what the host has and how pressed it is.

use super::parse::{key, lines, number, thousandths, words};
use vmscope_model::Value;
use vmscope_model::catalogue::host;

const KIB: i64 = 1024;

/// Reads `/proc/meminfo`.
pub(super) fn read_meminfo(meminfo: &[u8], row: &mut [Value]) {
    for line in lines(meminfo) {
        let (key, rest) = key(line);
        let column = match key {
            b"MemTotal" => host::MEMORY_TOTAL_BYTES,
            b"MemAvailable" => host::MEMORY_AVAILABLE_BYTES,
            b"MemFree" => host::MEMORY_FREE_BYTES,
            b"Cached" => host::MEMORY_CACHED_BYTES,
            b"Buffers" => host::MEMORY_BUFFERS_BYTES,
            b"Dirty" => host::MEMORY_DIRTY_BYTES,
            b"SwapTotal" => host::SWAP_TOTAL_BYTES,
            b"SwapFree" => host::SWAP_FREE_BYTES,
            _ => continue,
        };
        row[column] = words(rest)
            .next()
            .and_then(number)
            .map(|kib| kib.saturating_mul(KIB))
            .into();
    }
}

/// Reads `/proc/vmstat`.
pub(super) fn read_vmstat(vmstat: &[u8], row: &mut [Value]) {
    for line in lines(vmstat) {
        let (key, rest) = key(line);
        let column = match key {
            b"pswpin" => host::SWAP_IN_PAGES,
            b"pswpout" => host::SWAP_OUT_PAGES,
            _ => continue,
        };
        row[column] = words(rest).next().and_then(number).into();
    }
}

/// Reads `/proc/loadavg`, in thousandths.
pub(super) fn read_loadavg(loadavg: &[u8], row: &mut [Value]) {
    let loads = words(loadavg).map(thousandths);
    for (column, load) in [host::LOAD_1M, host::LOAD_5M, host::LOAD_15M]
        .into_iter()
        .zip(loads)
    {
        row[column] = load.into();
    }
}

/// Reads `/proc/uptime`, in whole seconds.
pub(super) fn read_uptime(uptime: &[u8], row: &mut [Value]) {
    let thousandths = words(uptime).next().and_then(thousandths);
    row[host::UPTIME_S] = thousandths.map(|value| value / 1000).into();
}
