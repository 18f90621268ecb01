//! What dominates, by plain thresholds: the measure that exceeds its own threshold most.
//!
//! Thresholds are in `docs/operations/history.md`, for people. The sentence names the numbers that it rests on.

use super::code::{BUSY, Code, NEIGHBOUR, SOMEBODY};
use crate::language::Language;
use std::collections::BTreeMap;
use vmscope_model::catalogue::state;
use vmscope_store::slow::{Disk, Slow};

/// Ready, with no core of the host free: share of the processors' time.
const READY: f64 = 0.05;
/// Time that a machine below the host takes away: share of its cores' time.
const STEAL: f64 = 0.05;
/// Page faults a second for which the host reads the VM's memory from swap.
const HOST_FAULTS: f64 = 5.0;
/// Bytes a second that the guest swaps.
const GUEST_SWAP: f64 = 1_048_576.0;
/// Seconds that a request to a disk takes.
const LATENCY_S: f64 = 0.02;
/// Requests a second below which a disk's latency says nothing.
const LEAST_IOPS: f64 = 1.0;
/// Waiting for I/O: share of the processors' time.
const IO_WAIT: f64 = 0.2;
/// Running: share of the processors' time.
const RUN: f64 = 0.85;
/// Running less than this is doing nothing: share of the processors' time.
const IDLE: f64 = 0.05;

/// A verdict: what dominates, and what the sentence says of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Verdict {
    pub(super) code: Code,
    /// What it rests on, by name.
    pub(super) numbers: BTreeMap<&'static str, f64>,
    /// Names in the sentence.
    names: BTreeMap<&'static str, Option<String>>,
}

/// Judges. `name` says what the busiest neighbour is called, when the caller may know it.
pub(super) fn judge(slow: &Slow, name: Option<&str>) -> Verdict {
    let (code, disk) = dominant(slow);
    let mut verdict = Verdict {
        code,
        numbers: BTreeMap::new(),
        names: BTreeMap::new(),
    };
    let host = slow.host.as_ref();
    match code {
        Code::NoData => {}
        Code::NotRunning => {
            verdict.note("state", slow.state);
            let named = slow.state.and_then(state_name).map(str::to_owned);
            verdict.names.insert("state", named);
        }
        Code::CpuContention => {
            verdict.note("ready", slow.ready);
            verdict.note("busy", host.and_then(|host| host.cpu_busy));
            let neighbour = host.and_then(|host| host.neighbours.first());
            verdict.note("share", neighbour.map(|neighbour| neighbour.cpu_share));
            if neighbour.is_some() {
                verdict.names.insert("neighbour", name.map(str::to_owned));
            }
        }
        Code::HostSteal => verdict.note("steal", host.and_then(|host| host.steal)),
        Code::HostMemory => verdict.note("faults", slow.host_faults),
        Code::GuestMemory => verdict.note("swap", slow.guest_swap),
        Code::DiskLatency => {
            verdict.note("latency", disk.and_then(|disk| disk.latency_s));
            verdict.note("iops", disk.and_then(|disk| disk.iops));
            verdict.names.insert("disk", disk.map(|disk| disk.name.clone()));
        }
        Code::IoWait => verdict.note("io_wait", slow.io_wait),
        Code::CpuBound | Code::Idle | Code::Nothing => verdict.note("run", slow.run),
    }
    verdict
}

/// What exceeds its threshold most, and the disk that is meant.
fn dominant(slow: &Slow) -> (Code, Option<&Disk>) {
    match slow.state.and_then(state_name) {
        Some("running" | "blocked" | "nostate") => {}
        Some(_) => return (Code::NotRunning, None),
        None if slow.run.is_none() => return (Code::NoData, None),
        None => {}
    }
    let busy = |disk: &&Disk| disk.iops.is_some_and(|iops| iops >= LEAST_IOPS);
    let slowest = slow.disks.iter().filter(busy).max_by(|one, other| {
        one.latency_s
            .unwrap_or(0.0)
            .total_cmp(&other.latency_s.unwrap_or(0.0))
    });
    let excesses = [
        (Code::CpuContention, slow.ready, READY),
        (
            Code::HostSteal,
            slow.host.as_ref().and_then(|host| host.steal),
            STEAL,
        ),
        (Code::HostMemory, slow.host_faults, HOST_FAULTS),
        (Code::GuestMemory, slow.guest_swap, GUEST_SWAP),
        (
            Code::DiskLatency,
            slowest.and_then(|disk| disk.latency_s),
            LATENCY_S,
        ),
        (Code::IoWait, slow.io_wait, IO_WAIT),
        (Code::CpuBound, slow.run, RUN),
    ];
    let excess = |(code, value, threshold): (Code, Option<f64>, f64)| Some((code, value? / threshold));
    // Of two that exceed alike, the first.
    let most = excesses
        .into_iter()
        .filter_map(excess)
        .filter(|(_, excess)| *excess >= 1.0)
        .rev()
        .max_by(|one, other| one.1.total_cmp(&other.1));
    let code = match (most, slow.run) {
        (Some((code, _)), _) => code,
        (None, None) => Code::NoData,
        (None, Some(run)) if run < IDLE => Code::Idle,
        (None, Some(_)) => Code::Nothing,
    };
    (code, slowest.filter(|_| code == Code::DiskLatency))
}

/// The API's name of a libvirt code.
fn state_name(code: f64) -> Option<&'static str> {
    #[expect(clippy::cast_possible_truncation, reason = "a small whole number")]
    state::name(state::VM, code as i64)
}

impl Verdict {
    fn note(&mut self, name: &'static str, value: Option<f64>) {
        self.numbers.extend(value.map(|value| (name, value)));
    }

    /// The sentence, with its numbers.
    pub(super) fn text(&self, language: Language) -> String {
        let mut text = language.pick(&self.code.text()).to_owned();
        if self.numbers.contains_key("busy") {
            text.push_str(language.pick(&BUSY));
        }
        if self.numbers.contains_key("share") && self.numbers.contains_key("busy") {
            text.push_str(language.pick(&NEIGHBOUR));
        }
        for (name, value) in &self.numbers {
            text = text.replace(&format!("{{{name}}}"), &written(name, *value));
        }
        for (name, called) in &self.names {
            let called = called.as_deref().unwrap_or_else(|| language.pick(&SOMEBODY));
            text = text.replace(&format!("{{{name}}}"), called);
        }
        text
    }
}

/// A number with its unit.
fn written(name: &str, value: f64) -> String {
    match name {
        "latency" => format!("{:.1} ms", value * 1000.0),
        "swap" => format!("{:.1} MiB", value / 1_048_576.0),
        "faults" | "iops" => format!("{value:.0}"),
        _ => format!("{:.1} %", value * 100.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vmscope_model::{HostId, VmId};
    use vmscope_store::slow::{Host, Neighbour};

    fn calm() -> Slow {
        Slow {
            state: Some(1.0),
            vcpus: Some(2.0),
            run: Some(0.3),
            ready: Some(0.01),
            io_wait: Some(0.02),
            halted: Some(0.5),
            host_faults: Some(0.0),
            guest_swap: None,
            disks: vec![disk("vda", 0.002, 50.0)],
            host: Some(Host {
                id: HostId(uuid::Uuid::nil()),
                name: "alpha".to_owned(),
                cpu_busy: Some(0.5),
                steal: Some(0.0),
                neighbours: vec![Neighbour {
                    id: VmId(uuid::Uuid::nil()),
                    name: "loud".to_owned(),
                    cpu_share: 0.4,
                    iops: Some(3.0),
                }],
            }),
            tiers: Vec::new(),
        }
    }

    fn disk(name: &str, latency_s: f64, iops: f64) -> Disk {
        Disk {
            id: 1,
            name: name.to_owned(),
            read_latency_s: Some(latency_s),
            write_latency_s: None,
            latency_s: Some(latency_s),
            iops: Some(iops),
        }
    }

    fn code(slow: &Slow) -> Code {
        judge(slow, None).code
    }

    #[test]
    fn what_exceeds_its_threshold_most_dominates() {
        assert_eq!(code(&calm()), Code::Nothing);
        let ready = Slow {
            ready: Some(0.2),
            run: Some(0.9),
            ..calm()
        };
        assert_eq!(code(&ready), Code::CpuContention);
        let disks = vec![disk("vda", 0.002, 50.0), disk("vdb", 0.3, 4.0)];
        let both = Slow {
            disks,
            ..ready.clone()
        };
        assert_eq!(code(&both), Code::DiskLatency);
        assert_eq!(
            code(&Slow {
                disks: vec![disk("vda", 0.3, 0.1)],
                ..calm()
            }),
            Code::Nothing,
            "one request in ten seconds"
        );
        assert_eq!(
            code(&Slow {
                run: Some(0.99),
                ..calm()
            }),
            Code::CpuBound
        );
        assert_eq!(
            code(&Slow {
                io_wait: Some(0.5),
                ..calm()
            }),
            Code::IoWait
        );
        assert_eq!(
            code(&Slow {
                host_faults: Some(80.0),
                ..calm()
            }),
            Code::HostMemory
        );
        assert_eq!(
            code(&Slow {
                guest_swap: Some(5e6),
                ..calm()
            }),
            Code::GuestMemory
        );
        assert_eq!(
            code(&Slow {
                run: Some(0.0),
                ..calm()
            }),
            Code::Idle
        );
        assert_eq!(
            code(&Slow {
                state: Some(3.0),
                ready: Some(0.9),
                ..calm()
            }),
            Code::NotRunning
        );
        assert_eq!(
            code(&Slow {
                state: None,
                run: None,
                ..calm()
            }),
            Code::NoData
        );
    }

    #[test]
    fn every_sentence_has_its_numbers_in_three_languages() {
        let steal = calm().host.map(|host| Host {
            steal: Some(0.4),
            ..host
        });
        for slow in [
            calm(),
            Slow {
                ready: Some(0.2),
                ..calm()
            },
            Slow {
                host: steal,
                ..calm()
            },
            Slow {
                host_faults: Some(80.0),
                ..calm()
            },
            Slow {
                guest_swap: Some(5e6),
                ..calm()
            },
            Slow {
                disks: vec![disk("vdb", 0.3, 4.0)],
                ..calm()
            },
            Slow {
                io_wait: Some(0.5),
                ..calm()
            },
            Slow {
                run: Some(0.99),
                ..calm()
            },
            Slow {
                run: Some(0.0),
                ..calm()
            },
            Slow {
                state: Some(5.0),
                ..calm()
            },
            Slow {
                state: None,
                run: None,
                ..calm()
            },
        ] {
            let verdict = judge(&slow, None);
            let texts = [Language::English, Language::Chinese, Language::Japanese]
                .map(|language| verdict.text(language));
            for text in &texts {
                assert!(!text.contains(['{', '}']), "{text}");
            }
            assert!(texts[0] != texts[1] && texts[1] != texts[2], "{texts:?}");
        }
    }

    #[test]
    fn a_neighbour_is_named_only_to_those_who_may_know_it() {
        let slow = Slow {
            ready: Some(0.2),
            ..calm()
        };
        let named = judge(&slow, Some("loud")).text(Language::English);
        assert!(
            named.ends_with("The host's cores were 50.0 % busy. loud used 40.0 % of them."),
            "{named}"
        );
        let anonymous = judge(&slow, None).text(Language::English);
        assert!(
            anonymous.ends_with("Another virtual machine used 40.0 % of them."),
            "{anonymous}"
        );
    }
}
