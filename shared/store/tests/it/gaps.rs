//! The pages of the ledger.

use crate::fixture::{NOON_US, SECOND_US, batch, host_uuid, known, tick, vm_uuid};
use jiff::Timestamp;
use vmscope_model::{Cause, Gap, Group, Kind, Position, Tick};
use vmscope_store::gap::{self, CauseTotal, Entry, Filter};
use vmscope_store::ingest::Writer;
use vmscope_store::testing::Database;
use vmscope_store::{Paging, Store, on_both_flavors};

fn at(second: i64) -> Timestamp {
    Timestamp::from_microsecond(NOON_US + second * SECOND_US).unwrap()
}

/// Host 1 with VMs 0 and 1: a deadline of VM 0, libvirt away for all, a damaged store of the first run, ticks 2 to 4
/// left out, and the clock was set. Host 2: a deadline of its VM 2, in the dear group.
async fn ledger(database: &Database) {
    let store = database.store();
    let (one, _) = known(store, 1, 2).await;
    let (two, _) = known(store, 2, 0).await;
    let gap = |vm, group, cause, from: i64, to: i64, ticks| Gap {
        vm,
        group,
        cause,
        from_us: NOON_US + from * SECOND_US,
        to_us: NOON_US + to * SECOND_US,
        ticks,
        lost: None,
    };
    let said = |second: i64, gaps| Tick {
        gaps,
        ..tick(NOON_US + second * SECOND_US, Kind::Host, &[])
    };
    let of_one = vec![
        gap(Some(vm_uuid(0)), Group::Cheap, Cause::Deadline, 1, 2, 2),
        gap(None, Group::All, Cause::LibvirtDown, 3, 9, 7),
        gap(None, Group::All, Cause::Corruption, -9, -5, 0),
        gap(None, Group::All, Cause::ClockStep, -20, -10, 0),
    ];
    let of_two = vec![gap(Some(vm_uuid(2)), Group::Dear, Cause::Deadline, 5, 5, 1)];
    let mut writer = Writer::connect(database.url()).await.unwrap();
    writer
        .commit(&[
            batch(one, 7, vec![(1, said(10, of_one)), (5, said(14, Vec::new()))]),
            batch(two, 1, vec![(1, said(10, of_two))]),
        ])
        .await
        .unwrap();
}

async fn causes(store: &Store, filter: Filter) -> Vec<String> {
    let (page, totals) = gap::page(store, &filter).await.unwrap();
    assert_eq!(page.total, totals.iter().map(|total| total.entries).sum::<i64>());
    page.items.into_iter().map(|entry| entry.gap.cause).collect()
}

fn total(cause: &str, entries: i64, ticks: i64, uncounted: i64) -> CauseTotal {
    CauseTotal {
        cause: cause.to_owned(),
        entries,
        ticks,
        uncounted,
    }
}

on_both_flavors! {
    async fn the_ledger_pages_from_the_newest_and_totals_its_causes(database: Database) {
        ledger(&database).await;
        let paging = Paging { page: 1, page_size: 3 };
        let (first, totals) =
            gap::page(database.store(), &Filter { paging, ..Filter::default() }).await.unwrap();
        assert_eq!(totals, [
            total("deadline", 2, 3, 0),
            total("clock_step", 1, 0, 0),
            total("corruption", 1, 0, 1),
            total("libvirt_down", 1, 7, 0),
            total("unexplained", 1, 3, 0),
        ]);
        let seen: Vec<&str> = first.items.iter().map(|entry| entry.gap.cause.as_str()).collect();
        assert_eq!((seen, first.total), (vec!["unexplained", "libvirt_down", "deadline"], 6));
        let paging = Paging { page: 2, page_size: 3 };
        assert_eq!(causes(database.store(), Filter { paging, ..Filter::default() }).await, ["deadline", "corruption", "clock_step"]);
    }

    async fn entries_name_whom_they_concern_and_which_positions(database: Database) {
        ledger(&database).await;
        let (page, _) = gap::page(database.store(), &Filter::default()).await.unwrap();
        let Entry { host, vm, gap, positions, .. } = &page.items[0];
        let position = |sequence| Position { epoch: 7, sequence };
        assert_eq!((host, vm), (&host_uuid(1), &None));
        assert_eq!((gap.ticks, *positions), (3, Some((position(2), position(4)))));
        let deadline = &page.items[2];
        assert_eq!((deadline.host, deadline.positions), (host_uuid(2), None));
        assert_eq!(deadline.vm.as_ref().map(|(id, _)| *id), Some(vm_uuid(2)));
        assert_eq!((deadline.gap.from, deadline.gap.group.as_str()), (at(5), "dear"));
    }

    async fn the_ledger_is_filtered(database: Database) {
        ledger(&database).await;
        let store = database.store();
        let of_two = Filter { host: Some(host_uuid(2)), ..Filter::default() };
        assert_eq!(causes(store, of_two).await, ["deadline"]);
        // Its own and those of its whole host.
        let of_vm = Filter { vm: Some(vm_uuid(0)), ..Filter::default() };
        assert_eq!(causes(store, of_vm).await, ["unexplained", "libvirt_down", "deadline", "corruption", "clock_step"]);
        let of_other = Filter { vm: Some(vm_uuid(1)), ..Filter::default() };
        assert_eq!(causes(store, of_other).await, ["unexplained", "libvirt_down", "corruption", "clock_step"]);
        let unknown = Filter { vm: Some(vm_uuid(77)), ..Filter::default() };
        assert_eq!(causes(store, unknown).await, Vec::<String>::new());
        let deadlines = Filter {
            cause: Some("deadline".to_owned()), group: Some("cheap".to_owned()), ..Filter::default()
        };
        assert_eq!(causes(store, deadlines).await, ["deadline"]);
        // What reaches into the span counts: both ends are inclusive.
        let span = Filter { from: Some(at(-5)), to: Some(at(3)), ..Filter::default() };
        assert_eq!(causes(store, span).await, ["libvirt_down", "deadline", "corruption"]);
    }
}
