//! The buffer keeps what it took, in order and within its bounds.

#![expect(clippy::expect_used, reason = "helpers of tests may fail the test")]

mod common;

use common::{ALL, append, everything, large_record, number, numbers, open, record, time_us, told};
use std::fs;
use vmscope_agent::buffer::{Batch, Buffer, Config, Error};
use vmscope_model::{Cause, Position, Record};

#[tokio::test]
async fn gives_records_in_order_over_restarts_with_growing_epochs() {
    let folder = tempfile::tempdir().unwrap();
    let (first, _) = open(folder.path(), &Config::default());
    append(&first, 1..=20).await;
    let epoch = first.epoch();
    first.close().await;
    let (second, recovery) = open(folder.path(), &Config::default());
    assert_eq!((recovery.records, recovery.lost, recovery.on_disk), (20, 0, true));
    assert!(second.epoch() > epoch);
    append(&second, 21..=40).await;
    let records = everything(&second).await;
    assert!(records.is_sorted_by(|(a, _), (b, _)| a < b));
    for ((_, found), number) in records.iter().zip(1..) {
        assert_eq!(found, &record(number));
    }
    assert_eq!(records.len(), 40);
}

#[tokio::test]
async fn peeks_within_its_limits_and_goes_on_after_a_position() {
    let folder = tempfile::tempdir().unwrap();
    let (buffer, _) = open(folder.path(), &Config::default());
    append(&buffer, 1..=10).await;
    let first = buffer
        .peek(
            None,
            Batch {
                records: 4,
                bytes: usize::MAX,
            },
        )
        .await
        .unwrap();
    assert_eq!(first.len(), 4);
    let rest = buffer.peek(Some(first[3].0), ALL).await.unwrap();
    assert_eq!(
        rest.iter().map(|(_, record)| number(record)).collect::<Vec<_>>(),
        [5, 6, 7, 8, 9, 10]
    );
    let one = buffer.peek(None, Batch { records: 4, bytes: 0 }).await.unwrap();
    assert_eq!(one.len(), 1, "the first is given however large it is");
}

#[tokio::test]
async fn acknowledged_records_do_not_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let (buffer, _) = open(folder.path(), &Config::default());
    let last = append(&buffer, 1..=10).await;
    buffer
        .acknowledge(Position { sequence: 6, ..last })
        .await
        .unwrap();
    assert_eq!(numbers(&buffer).await, [7, 8, 9, 10]);
    buffer.close().await;
    let (buffer, recovery) = open(folder.path(), &Config::default());
    assert_eq!(numbers(&buffer).await, [7, 8, 9, 10]);
    assert_eq!(recovery.lost, 0);
    buffer
        .acknowledge(Position {
            sequence: 1_000,
            ..last
        })
        .await
        .unwrap();
    assert!(everything(&buffer).await.is_empty());
    buffer.close().await;
    let (_, recovery) = open(folder.path(), &Config::default());
    assert_eq!(
        (recovery.records, recovery.lost),
        (0, 0),
        "what was acknowledged is not missed"
    );
}

#[tokio::test]
async fn a_folder_has_one_buffer_only() {
    let folder = tempfile::tempdir().unwrap();
    let (buffer, _) = open(folder.path(), &Config::default());
    assert!(matches!(
        Buffer::open(folder.path(), &Config::default()),
        Err(Error::InUse { .. })
    ));
    buffer.close().await;
    assert!(Buffer::open(folder.path(), &Config::default()).is_ok());
}

#[tokio::test]
async fn drops_the_oldest_to_stay_below_its_size_and_tells_how_many() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        max_bytes: 64 << 10,
        ..Config::default()
    };
    let (buffer, _) = open(folder.path(), &config);
    for number in 1..=100 {
        buffer.append(large_record(number, 2_000)).await.unwrap();
        assert!(buffer.status().borrow().bytes <= config.max_bytes);
    }
    let lost = || buffer.status().borrow().lost.evicted_by_size;
    assert!(lost() > 50, "{}", lost());
    let left = everything(&buffer).await;
    assert_eq!(left.len() as u64 + lost(), 100);
    settle(&buffer, &left).await;
    assert_eq!(told(&everything(&buffer).await, Cause::EvictedBySize), lost());
}

/// A collector takes half of what is left: there is room again, and everything is told.
async fn settle(buffer: &Buffer, left: &[(Position, Record)]) {
    let half = left[left.len() / 2].0;
    buffer.acknowledge(half).await.expect("an open buffer");
    append(buffer, 1_001..=1_002).await;
}

/// The numbers of the records that these gaps call lost.
fn lost_sequences(records: &[(Position, Record)]) -> Vec<u64> {
    let gaps = records.iter().flat_map(|(_, record)| &record.tick.gaps);
    let mut sequences: Vec<u64> = gaps
        .filter_map(|gap| gap.lost)
        .flat_map(|lost| lost.first..=lost.last)
        .collect();
    sequences.sort_unstable();
    sequences
}

#[tokio::test]
async fn names_each_record_that_it_drops_once_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        max_bytes: 64 << 10,
        ..Config::default()
    };
    let (buffer, _) = open(folder.path(), &config);
    for number in 1..=200 {
        // Of different sizes, so that one append drops many, one or none.
        buffer
            .append(large_record(
                number,
                [500, 1_500, 2_500, 3_500][usize::try_from(number % 4).unwrap()],
            ))
            .await
            .unwrap();
    }
    let left = everything(&buffer).await;
    settle(&buffer, &left).await;
    let records = everything(&buffer).await;
    let last = records.last().unwrap().0;
    let mut accounted = lost_sequences(&records);
    accounted.extend(left.iter().chain(&records).map(|(position, _)| position.sequence));
    accounted.sort_unstable();
    // The half that nobody took is among both.
    accounted.dedup();
    assert_eq!(
        lost_sequences(&records).len() as u64,
        buffer.status().borrow().lost.evicted_by_size,
        "none is told twice"
    );
    let all: Vec<u64> = (1..=last.sequence).collect();
    assert_eq!(accounted, all, "none is nowhere and none is there twice");
}

#[tokio::test]
async fn knows_how_the_run_before_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (first, recovery) = open(folder.path(), &Config::default());
    assert_eq!(recovery.before, None);
    append(&first, 1..=5).await;
    first.close().await;
    let (second, recovery) = open(folder.path(), &Config::default());
    let before = recovery.before.unwrap();
    assert!(before.closed);
    assert!(before.last_us >= time_us(5));
    // As `kill -9` leaves it: the mark as it was while the buffer was in use.
    append(&second, 6..=7).await;
    let mark = fs::read(folder.path().join("mark")).unwrap();
    second.close().await;
    fs::write(folder.path().join("mark"), mark).unwrap();
    let (_, recovery) = open(folder.path(), &Config::default());
    assert!(!recovery.before.unwrap().closed);
}

#[tokio::test]
async fn drops_what_is_too_old() {
    let folder = tempfile::tempdir().unwrap();
    let (buffer, _) = open(
        folder.path(),
        &Config {
            max_age_s: 60,
            ..Config::default()
        },
    );
    append(&buffer, 1..=10).await;
    append(&buffer, 65..=65).await;
    let records = everything(&buffer).await;
    assert_eq!(
        records
            .iter()
            .map(|(_, record)| number(record))
            .collect::<Vec<_>>(),
        [5, 6, 7, 8, 9, 10, 65]
    );
    assert_eq!(told(&records, Cause::EvictedByAge), 4);
}

#[tokio::test]
async fn dead_space_is_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let (buffer, _) = open(folder.path(), &Config::default());
    // More than 32 MiB goes through the store, almost nothing stays.
    for number in 1..=768 {
        let position = buffer.append(large_record(number, 64_000)).await.unwrap();
        if number % 4 == 0 && number < 766 {
            buffer.acknowledge(position).await.unwrap();
        }
    }
    assert_eq!(numbers(&buffer).await, [765, 766, 767, 768]);
    let disk_bytes = buffer.status().borrow().disk_bytes;
    assert!(disk_bytes < 40 << 20, "{disk_bytes}");
    buffer.close().await;
    let (buffer, _) = open(folder.path(), &Config::default());
    assert_eq!(numbers(&buffer).await, [765, 766, 767, 768]);
}

#[tokio::test]
async fn writes_the_account_that_fault_tests_trust() {
    let folder = tempfile::tempdir().unwrap();
    let account_path = folder.path().join("account");
    let config = Config {
        account_path: Some(account_path.clone()),
        ..Config::default()
    };
    let (buffer, _) = open(&folder.path().join("buffer"), &config);
    append(&buffer, 1..=1).await;
    let time_us = record(1).tick.time_us;
    let epoch = buffer.epoch();
    let text = fs::read_to_string(account_path).unwrap();
    assert_eq!(
        text,
        format!("begin {epoch} 1 {time_us} host=1\ntook {epoch} 1\n")
    );
}
