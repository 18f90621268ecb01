//! What the tests of the buffer and of the uplink share.

// Each test binary uses its own part of this.
#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "shared by several test binaries"
)]

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::path::Path;
use std::time::Duration;
use uuid::Uuid;
use vmscope_agent::buffer::{Batch, Buffer, Config, Recovery};
use vmscope_model::{Cause, Entity, Fact, Kind, Position, Record, Table, Tick, Value, VmFacts, VmId};

/// Everything.
pub(crate) const ALL: Batch = Batch {
    records: usize::MAX,
    bytes: usize::MAX,
};

/// One sample of the host that says its number, `number` seconds after 2023-11-14.
pub(crate) fn record(number: u64) -> Record {
    let mut table = Table::new(Kind::Host);
    table.push(0)[0] = Value::new(i64::try_from(number).expect("a small number"));
    let tick = Tick {
        time_us: time_us(number),
        tables: vec![table],
        ..Tick::default()
    };
    Record {
        dictionary: vec![Entity::Host],
        tick,
    }
}

/// The same with about this many bytes that don't compress.
pub(crate) fn large_record(number: u64, bytes: usize) -> Record {
    let mut random = SmallRng::seed_from_u64(number);
    let mut record = record(number);
    for part in 0..bytes.div_ceil(2_000) {
        // Six bits of entropy a character: 4,000 characters are 3,000 bytes.
        let name = (0..2_667)
            .map(|_| char::from(random.random_range(48..112_u8)))
            .collect();
        let vm = VmId(Uuid::from_u128(part as u128));
        record.tick.facts.push(Fact::Vm(VmFacts { vm, name }));
    }
    record
}

pub(crate) fn time_us(number: u64) -> i64 {
    1_700_000_000_000_000 + i64::try_from(number).expect("a small number") * 1_000_000
}

/// The number that [`record`] wrote.
pub(crate) fn number(record: &Record) -> u64 {
    let value = record.tick.tables[0].values[0].get().expect("a value");
    u64::try_from(value).expect("what was written")
}

pub(crate) async fn everything(buffer: &Buffer) -> Vec<(Position, Record)> {
    buffer.peek(None, ALL).await.expect("an open buffer")
}

/// The numbers of everything in the buffer.
pub(crate) async fn numbers(buffer: &Buffer) -> Vec<u64> {
    everything(buffer)
        .await
        .iter()
        .map(|(_, record)| number(record))
        .collect()
}

/// Ticks that the gaps in these records call lost for this cause.
pub(crate) fn told(records: &[(Position, Record)], cause: Cause) -> u64 {
    records
        .iter()
        .flat_map(|(_, record)| &record.tick.gaps)
        .filter(|gap| gap.cause == cause)
        .map(|gap| gap.ticks)
        .sum()
}

/// Waits until something holds, at most half a minute.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn open(folder: &Path, config: &Config) -> (Buffer, Recovery) {
    Buffer::open(folder, config).expect("the buffer opens whatever is there")
}

pub(crate) async fn append(buffer: &Buffer, range: std::ops::RangeInclusive<u64>) -> Position {
    let mut last = None;
    for number in range {
        last = Some(buffer.append(record(number)).await.expect("the buffer takes it"));
    }
    last.expect("at least one")
}
