//! A libvirtd that is killed, slow, silent or missing.

use super::guests::Guests;
use super::{PATIENCE, Running, config, is_cheap, is_dear, is_host, lacks_nothing, replay, vms_with};
use std::sync::atomic::Ordering;
use vmscope_agent::sampler::Config;
use vmscope_model::catalogue::vm;
use vmscope_model::{Cause, Fact, Gap, Group};

#[tokio::test]
async fn a_libvirtd_that_is_killed_leaves_gaps_until_it_is_back() {
    let guests = Guests::own(2);
    let mut running = Running::start(config(&guests));
    running.find(is_cheap).await;
    guests.run(&["stop"]);
    for group in [Group::Cheap, Group::Dear] {
        let is_gap = |gap: &Gap| (gap.vm, gap.group, gap.cause) == (None, group, Cause::LibvirtDown);
        running.find(|record| record.tick.gaps.iter().any(is_gap)).await;
    }
    assert!(lacks_nothing(&running.find(is_host).await));
    guests.run(&["start"]);
    let back = running.find(is_cheap).await;
    assert_eq!(vms_with(&back, vm::CPU_TIME_NS).len(), 2);
    running.find(is_dear).await;
}

#[tokio::test]
async fn a_libvirtd_that_takes_too_long_is_asked_more_rarely_and_that_is_no_gap() {
    let guests = Guests::own(1);
    let mut running = Running::start(Config {
        dear_interval_ms: 1_000,
        // Asked twice in vain, a tick takes 300 ms: three times its budget.
        dear_deadline_ms: Some(150),
        budget_percent: 10,
        ..config(&guests)
    });
    running.find(is_dear).await;
    let mut gaps = Vec::new();
    for (signal, stretch) in [("-STOP", 4), ("-CONT", 1)] {
        guests.signal_libvirtd(signal);
        let change = async {
            while *running.stretch.borrow() != stretch {
                gaps.extend(running.next().await.tick.gaps);
            }
        };
        let changed = tokio::time::timeout(PATIENCE, change).await;
        if changed.is_err() {
            guests.signal_libvirtd("-CONT");
            panic!("never {stretch} times the interval");
        }
    }
    let moments: Vec<i64> = gaps
        .iter()
        .filter(|gap| gap.group == Group::Dear)
        .map(|gap| gap.from_us)
        .collect();
    assert!(gaps.iter().all(|gap| gap.ticks == 1), "{gaps:?}");
    // On a quiet machine two at one second, then two at two: what lies between is nobody's loss.
    let distances: Vec<i64> = moments
        .windows(2)
        .map(|pair| (pair[1] - pair[0]) / 1_000_000)
        .collect();
    assert!(distances.contains(&2), "{distances:?}");
    running.find(is_dear).await;
}

#[tokio::test]
async fn a_host_without_libvirt_is_reported_alone() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("none");
    let mut running = Running::start(Config {
        libvirt_socket: socket,
        ..Config::default()
    });
    let mut last_us = 0;
    for number in 0..3 {
        let record = running.next().await;
        assert!(is_host(&record) && lacks_nothing(&record), "{record:?}");
        assert!(record.tick.time_us > last_us);
        last_us = record.tick.time_us;
        let hypervisors: Vec<_> = record.tick.facts.iter().collect();
        match hypervisors[..] {
            [Fact::Host(host)] if number == 0 => assert_eq!(host.hypervisor, ""),
            [] if number > 0 => {}
            ref other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_libvirtd_that_never_answers_costs_gaps_and_not_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("silent");
    // Connections wait in the backlog for ever.
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let config = Config {
        libvirt_socket: socket,
        dear_interval_ms: 1_000,
        ..Config::default()
    };
    let mut running = Running::start(config);
    for group in [Group::Cheap, Group::Dear, Group::Cheap, Group::Dear] {
        let is_gap = |gap: &Gap| (gap.group, gap.cause, gap.ticks) == (group, Cause::Deadline, 1);
        running.find(|record| record.tick.gaps.iter().any(is_gap)).await;
    }
    assert!(lacks_nothing(&running.find(is_host).await));
}

#[tokio::test]
async fn each_loop_keeps_its_one_connection() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("recording");
    let connections = replay::serve(&socket);
    let config = Config {
        libvirt_socket: socket,
        dear_interval_ms: 1_000,
        ..Config::default()
    };
    let mut running = Running::start(config);
    for _ in 0..3 {
        running.find(is_cheap).await;
        running.find(is_dear).await;
    }
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}
