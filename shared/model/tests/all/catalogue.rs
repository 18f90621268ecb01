//! What the catalogue promises to its readers.

use std::collections::BTreeSet;
use std::path::Path;
use vmscope_model::catalogue::{disk, host, nic, vcpu, vm};
use vmscope_model::{Group, Kind, Unit, catalogue};

#[test]
fn columns_keep_their_places() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/columns.txt");
    let known = std::fs::read_to_string(&path).unwrap();
    let columns = |kind: Kind| {
        catalogue::metrics(kind)
            .iter()
            .map(move |m| format!("{kind} {}", m.name))
    };
    for kind in Kind::ALL {
        let now: Vec<String> = columns(kind).collect();
        let before: Vec<&str> = known
            .lines()
            .filter(|line| line.split(' ').next() == Some(kind.name()))
            .collect();
        assert_eq!(
            now,
            before,
            "append new metrics to the list and to {}",
            path.display()
        );
    }
}

#[test]
fn names_are_plain_unique_and_end_in_their_unit() {
    for kind in Kind::ALL {
        let mut names = BTreeSet::new();
        for (column, metric) in catalogue::metrics(kind).iter().enumerate() {
            let name = metric.name;
            assert!(names.insert(name), "{kind} {name} is there twice");
            assert!(
                name.bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
                "{name}"
            );
            assert_eq!(catalogue::find(kind, name), Some(column));
            assert_eq!(name.ends_with("_bytes"), metric.unit == Unit::Bytes, "{name}");
            assert_eq!(name.ends_with("_ns"), metric.unit == Unit::Nanoseconds, "{name}");
            assert!(metric.scale > 0);
        }
    }
    assert_eq!(catalogue::find(Kind::Nic, "nothing"), None);
}

#[test]
fn constants_name_their_columns() {
    let name = |kind, column: usize| catalogue::metrics(kind)[column].name;
    assert_eq!(name(Kind::Host, catalogue::host::UPTIME_S), "uptime_s");
    assert_eq!(name(Kind::Vm, catalogue::vm::NET_TX_DROPS), "net_tx_drops");
    assert_eq!(name(Kind::Vcpu, catalogue::vcpu::DELAY_NS), "delay_ns");
    assert_eq!(
        name(Kind::Disk, catalogue::disk::PHYSICAL_BYTES),
        "physical_bytes"
    );
    assert_eq!(name(Kind::Nic, catalogue::nic::RX_BYTES), "rx_bytes");
}

#[test]
fn every_metric_belongs_to_the_part_of_sampling_that_brings_it() {
    let group = |kind, column: usize| catalogue::group(kind, &catalogue::metrics(kind)[column]);
    for cheap in [
        vm::STATE,
        vm::STATE_REASON,
        vm::CPU_TIME_NS,
        vm::CPU_SYSTEM_NS,
        vm::NET_RX_BYTES,
        vm::NET_TX_DROPS,
        vm::VCPU_DELAY_NS,
        vm::MEMORY_RSS_BYTES,
    ] {
        assert_eq!(
            group(Kind::Vm, cheap),
            Group::Cheap,
            "{}",
            vm::METRICS[cheap].name
        );
    }
    for dear in [
        vm::VCPU_CURRENT,
        vm::VCPU_HALTED,
        vm::MEMORY_USED_SOURCE,
        vm::DISK_READ_BYTES,
        vm::MEMORY_MINOR_FAULTS,
    ] {
        assert_eq!(group(Kind::Vm, dear), Group::Dear, "{}", vm::METRICS[dear].name);
    }
    assert_eq!(group(Kind::Host, host::NET_RX_BYTES), Group::Host);
    assert_eq!(group(Kind::Nic, nic::RX_BYTES), Group::Cheap);
    assert_eq!(group(Kind::Disk, disk::READ_BYTES), Group::Dear);
    assert_eq!(group(Kind::Vcpu, vcpu::TIME_NS), Group::Cheap);
    assert_eq!(group(Kind::Vcpu, vcpu::STATE), Group::Dear);
}

#[test]
fn every_metric_is_explained_in_three_languages() {
    for metric in Kind::ALL.into_iter().flat_map(catalogue::metrics) {
        let help = metric.help;
        assert!(help.en.is_ascii() && help.en.ends_with('.'), "{}", metric.name);
        for (text, language) in [(help.zh, "zh"), (help.ja, "ja")] {
            assert!(
                text.chars().any(|c| c > '\u{3000}'),
                "{language} of {}",
                metric.name
            );
        }
        assert!(!metric.source.is_empty(), "{}", metric.name);
    }
}
