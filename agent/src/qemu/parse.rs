//! The texts of a process's files.

use crate::host::parse::{lines, number, words};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Room for any of the files that are read whole at once.
pub(super) const SHORT_FILE_BYTES: usize = 4096;
/// Nanoseconds in one `USER_HZ` tick, which is part of the kernel's ABI.
pub(super) const TICK_NS: i64 = 10_000_000;

/// Processor time and memory out of `/proc/PID/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) user_ns: i64,
    pub(super) system_ns: i64,
    /// Resident memory, in pages.
    pub(super) resident: i64,
    /// Time in which a guest's own code ran.
    pub(super) guest_ns: i64,
    pub(super) major_faults: i64,
    pub(super) minor_faults: i64,
    pub(super) threads: i64,
}

/// What a file of `/proc` holds, which is short, with one read.
pub(super) fn read_short<'b>(file: &File, buffer: &'b mut [u8]) -> io::Result<&'b [u8]> {
    loop {
        match file.read_at(buffer, 0) {
            Ok(length) => return Ok(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The name in `stat` may hold anything, brackets and blanks too; the numbers follow its last bracket.
pub(super) fn stat(text: &[u8]) -> Option<Stat> {
    let end = text.iter().rposition(|&byte| byte == b')')?;
    let mut fields = words(&text[end + 1..]);
    // The state is field 3, minflt 10, majflt 12, utime 14, stime 15, num_threads 20, rss 24, guest_time 43.
    let minor_faults = number(fields.nth(7)?)?;
    let major_faults = number(fields.nth(1)?)?;
    let user_ns = number(fields.nth(1)?)?.saturating_mul(TICK_NS);
    let system_ns = number(fields.next()?)?.saturating_mul(TICK_NS);
    let threads = number(fields.nth(4)?)?;
    let resident = number(fields.nth(3)?)?;
    let guest_ns = number(fields.nth(18)?)?.saturating_mul(TICK_NS);
    Some(Stat {
        user_ns,
        system_ns,
        resident,
        guest_ns,
        major_faults,
        minor_faults,
        threads,
    })
}

/// `schedstat`: nanoseconds on a processor, and nanoseconds ready without one.
pub(super) fn schedstat(text: &[u8]) -> Option<(i64, i64)> {
    let mut fields = words(text).map(number);
    Some((fields.next()??, fields.next()??))
}

/// Nanoseconds of waiting in `/proc/PID/task/TID/sched`, which gives milliseconds with six decimals. The name had three
/// prefixes over the kernel's versions.
pub(super) fn wait_sum(text: &[u8]) -> Option<i64> {
    let line = lines(text).find(|line| {
        let name = words(line).next().unwrap_or_default();
        [&b"wait_sum"[..], b"se.wait_sum", b"se.statistics.wait_sum"].contains(&name)
    })?;
    let value = words(line).last()?;
    let mut parts = value.splitn(2, |&byte| byte == b'.');
    let whole = number(parts.next()?)?;
    let fraction = parts
        .next()
        .filter(|digits| digits.len() == 6)
        .map_or(Some(0), number)?;
    Some(whole.saturating_mul(1_000_000).saturating_add(fraction))
}

/// The number of the virtual processor that a thread of this name runs: `CPU 3/KVM`, `CPU 3/TCG`.
pub(super) fn processor(comm: &[u8]) -> Option<u32> {
    let rest = comm.trim_ascii().strip_prefix(b"CPU ")?;
    let number_end = rest.iter().position(|&byte| byte == b'/')?;
    number(&rest[..number_end])?.try_into().ok()
}

/// The UUID that follows `-uuid` among the arguments of a command line.
pub(super) fn uuid(cmdline: &[u8]) -> Option<uuid::Uuid> {
    let mut arguments = cmdline.split(|&byte| byte == 0);
    arguments.find(|argument| *argument == b"-uuid")?;
    uuid::Uuid::try_parse_ascii(arguments.next()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Of QEMU 7.2 on Linux 6.18; its guest time is made up, for it was emulated.
    const STAT: &[u8] = b"6513 (qemu-system-x86) S 1 6512 6512 0 -1 138412416 7028 0 0 0 290 54 0 0 20 0 7 0 1282836 622182400 10672 18446744073709551615 94180466966528 0 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 31 0 0 0 0 0 0 0 0 0\n";

    #[test]
    fn time_and_memory_are_read_behind_the_name() {
        let expected = Stat {
            user_ns: 2_900_000_000,
            system_ns: 540_000_000,
            resident: 10_672,
            guest_ns: 310_000_000,
            major_faults: 0,
            minor_faults: 7_028,
            threads: 7,
        };
        assert_eq!(stat(STAT), Some(expected));
        let text = String::from_utf8(STAT.to_vec()).unwrap();
        let odd = text.replace("qemu-system-x86", "a) 7 (b");
        assert_eq!(stat(odd.as_bytes()), Some(expected));
        assert_eq!(stat(&STAT[..80]), None);
    }

    #[test]
    fn a_threads_run_time_and_delay_are_read() {
        assert_eq!(
            schedstat(b"716607235 1781416227 2871\n"),
            Some((716_607_235, 1_781_416_227))
        );
        assert_eq!(schedstat(b"7"), None);
    }

    #[test]
    fn waits_are_read_in_nanoseconds_whatever_they_are_called() {
        for name in ["wait_sum", "se.wait_sum", "se.statistics.wait_sum"] {
            let text = format!(
                "CPU 0/KVM (7, #threads: 7)\n-----\nse.vruntime   :  1.0\n{name}      :      12.000345\nwait_count : 4\n"
            );
            assert_eq!(wait_sum(text.as_bytes()), Some(12_000_345));
        }
        assert_eq!(wait_sum(b"se.vruntime : 1.0\n"), None);
    }

    #[test]
    fn processors_are_known_by_their_threads_names() {
        assert_eq!(processor(b"CPU 0/KVM\n"), Some(0));
        assert_eq!(processor(b"CPU 120/TCG\n"), Some(120));
        for other in ["ALL CPUs/TCG", "CPU", "CPU x/KVM", "worker", "IO mon_iothread"] {
            assert_eq!(processor(other.as_bytes()), None);
        }
    }

    #[test]
    fn a_vm_is_known_by_its_uuid() {
        let text =
            b"/usr/bin/qemu-system-x86_64\0-name\0guest=a\0-uuid\x0039fda355-81c8-4ee7-b816-e3cf94fd59ef\0-S\0";
        assert_eq!(
            uuid(text).map(|uuid| uuid.to_string()).as_deref(),
            Some("39fda355-81c8-4ee7-b816-e3cf94fd59ef")
        );
        assert_eq!(uuid(b"qemu\0-uuid\0"), None);
        assert_eq!(uuid(b"grep\0-uuid 39fda355\0"), None);
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            stat(&text);
            schedstat(&text);
            wait_sum(&text);
            processor(&text);
            uuid(&text);
        }

        #[test]
        fn any_stat_is_read_back(name in "[ -~]{0,15}", values in proptest::collection::vec(0..1_i64 << 40, 49)) {
            let numbers: Vec<String> = values.iter().map(i64::to_string).collect();
            let text = format!("7 ({name}) S {}", numbers.join(" "));
            let read = stat(text.as_bytes()).unwrap();
            let ns = |ticks: i64| ticks.saturating_mul(TICK_NS);
            let expected = Stat {
                user_ns: ns(values[10]),
                system_ns: ns(values[11]),
                resident: values[20],
                guest_ns: ns(values[39]),
                major_faults: values[8],
                minor_faults: values[6],
                threads: values[16],
            };
            prop_assert_eq!(read, expected);
        }
    }
}
