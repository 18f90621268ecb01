//! Fixture trees of `/proc`: enough of it to be found and read.

use super::*;
use crate::qemu::{Processes, Processor, Reading};
use uuid::Uuid;

const STAT: &str = "S 1 6512 6512 0 -1 138412416 7028 0 0 0 290 54 0 0 20 0 7 0 1282836 622182400 10672 18446744073709551615 94180466966528 0 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 31 0 0 0 0 0 0 0 0 0";

fn vm(number: u128) -> VmId {
    VmId(Uuid::from_u128(number))
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join("proc").join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A process with two virtual processors that says it is the QEMU of `vm`.
fn add_process(root: &Path, pid: u32, vm: VmId) {
    let cmdline = format!("qemu\0-uuid\0{vm}\0-S\0");
    write(root, &format!("{pid}/cmdline"), &cmdline);
    write(root, &format!("{pid}/stat"), &format!("{pid} (qemu) {STAT}"));
    write(root, &format!("{pid}/cgroup"), "0::/\n");
    for (thread, name) in [(0, "qemu"), (2, "CPU 1/KVM"), (1, "CPU 0/KVM")] {
        let folder = format!("{pid}/task/{}", pid + thread);
        write(root, &format!("{folder}/comm"), &format!("{name}\n"));
        write(
            root,
            &format!("{folder}/schedstat"),
            &format!("{thread}00 {thread}0 7\n"),
        );
        write(root, &format!("{folder}/sched"), "wait_sum  :  0.000009\n");
    }
}

fn processor(number: u32, time_ns: i64, delay_ns: i64, wait_ns: Option<i64>) -> Processor {
    Processor {
        number,
        time_ns,
        delay_ns,
        wait_ns,
    }
}

#[tokio::test]
async fn a_vms_process_is_found_by_its_uuid_and_read() {
    let root = tempfile::tempdir().unwrap();
    add_process(root.path(), 700, vm(1));
    add_process(root.path(), 800, vm(2));
    write(root.path(), "sys/kernel/sched_schedstats", "1\n");
    let mut processes = Processes::new(root.path());
    let domain = Domain::new("one", vm(1), 1);
    processes.find(&[&domain]).await;
    processes.look_at_kernel();
    let page_bytes = i64::try_from(rustix::param::page_size()).unwrap();
    let expected = Reading {
        time_ns: 3_440_000_000,
        user_ns: 2_900_000_000,
        system_ns: 540_000_000,
        rss_bytes: 10_672 * page_bytes,
        guest_ns: 310_000_000,
        major_faults: 0,
        minor_faults: 7_028,
        threads: 7,
        processors: vec![processor(0, 100, 10, Some(9)), processor(1, 200, 20, Some(9))],
    };
    assert_eq!(processes.read(vm(1), true), Some(expected.clone()));
    let without = expected
        .processors
        .iter()
        .map(|one| processor(one.number, one.time_ns, one.delay_ns, None));
    let without = Reading {
        processors: without.collect(),
        ..expected
    };
    assert_eq!(processes.read(vm(1), false), Some(without));
    assert_eq!(processes.read(vm(2), false), None, "nobody asked for it");
}

#[tokio::test]
async fn another_run_of_a_vm_is_another_process() {
    let root = tempfile::tempdir().unwrap();
    add_process(root.path(), 700, vm(1));
    let mut processes = Processes::new(root.path());
    processes.find(&[&Domain::new("one", vm(1), 1)]).await;
    fs::remove_dir_all(root.path().join("proc/700")).unwrap();
    processes.find(&[&Domain::new("one", vm(1), 2)]).await;
    assert_eq!(processes.read(vm(1), false), None);
}

#[test]
fn a_vm_that_two_processes_claim_has_none() {
    let root = tempfile::tempdir().unwrap();
    add_process(root.path(), 700, vm(1));
    add_process(root.path(), 800, vm(1));
    assert!(search(root.path(), &HashSet::from([vm(1)])).is_empty());
}

#[test]
fn a_process_without_virtual_processors_is_no_vm() {
    let root = tempfile::tempdir().unwrap();
    add_process(root.path(), 700, vm(1));
    for thread in [701, 702] {
        write(root.path(), &format!("700/task/{thread}/comm"), "worker\n");
    }
    assert!(search(root.path(), &HashSet::from([vm(1)])).is_empty());
}

#[tokio::test]
async fn a_vm_that_is_not_found_is_looked_for_ever_more_rarely() {
    let root = tempfile::tempdir().unwrap();
    let mut search = Search::new(root.path());
    let (domain, begin) = (Domain::new("one", vm(1), 1), Instant::now());
    let mut searches = Vec::new();
    for second in 0..200 {
        let before = search.vain.get(&vm(1)).map(|vain| vain.tries);
        search.run(&[&domain], begin + Duration::from_secs(second)).await;
        if search.vain.get(&vm(1)).map(|vain| vain.tries) != before {
            searches.push(second);
        }
    }
    assert_eq!(searches, [0, 1, 3, 7, 15, 31, 63, 127, 191]);
    assert!(search.is_told);
    // Another run begins anew.
    search.run(&[&Domain::new("one", vm(1), 2)], begin).await;
    assert_eq!(search.vain[&vm(1)].tries, 1);
}
