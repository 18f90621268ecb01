//! What samples cost on the wire, on series that move as those of real guests do.

use crate::support::at;
use vmscope_model::catalogue::vm;
use vmscope_model::wire::FrameEncoder;
use vmscope_model::{Entity, HostId, Kind, Record, Table, Tick, Value};

const VMS: u32 = 50;
const TICKS: i64 = 120;

/// A small repeatable source of noise.
struct Noise(u64);

impl Noise {
    fn below(&mut self, limit: i64) -> i64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33).cast_signed() % limit
    }
}

/// One guest: a tenth are busy, half are idle, the others do a little.
struct Guest {
    load: i64,
    counters: [i64; 7],
}

impl Guest {
    fn step(&mut self, noise: &mut Noise) {
        let user = noise.below(1 + self.load * 9_000_000) / 10_000_000 * 10_000_000;
        let system = noise.below(1 + self.load * 2_000_000) / 10_000_000 * 10_000_000;
        let packets = noise.below(1 + self.load * 4);
        let gained = [
            user + system + noise.below(2_000_000),
            user,
            system,
            packets * (60 + noise.below(900)),
            packets,
            packets * (60 + noise.below(300)),
            packets - noise.below(1 + packets / 2),
        ];
        for (counter, gained) in self.counters.iter_mut().zip(gained) {
            *counter += gained;
        }
    }

    fn fill(&self, row: &mut [Value]) {
        let columns = [
            vm::CPU_TIME_NS,
            vm::CPU_USER_NS,
            vm::CPU_SYSTEM_NS,
            vm::NET_RX_BYTES,
            vm::NET_RX_PACKETS,
            vm::NET_TX_BYTES,
            vm::NET_TX_PACKETS,
        ];
        row[vm::STATE] = Value::new(1);
        row[vm::STATE_REASON] = Value::new(1);
        for still in [
            vm::NET_RX_ERRORS,
            vm::NET_RX_DROPS,
            vm::NET_TX_ERRORS,
            vm::NET_TX_DROPS,
        ] {
            row[still] = Value::new(0);
        }
        for (column, counter) in columns.into_iter().zip(self.counters) {
            row[column] = Value::new(counter);
        }
    }
}

#[test]
fn a_tick_of_fifty_guests_takes_at_most_two_bytes_a_value() {
    let mut noise = Noise(1);
    let load = |number| {
        if number % 10 == 0 {
            100
        } else {
            i64::from(number % 2) * 5
        }
    };
    let mut guests: Vec<_> = (0..VMS)
        .map(|n| Guest {
            load: load(n),
            counters: [1 << 40; 7],
        })
        .collect();
    let id = |n: u32| format!("00000000-0000-4000-8000-{n:012}").parse().unwrap();
    let dictionary: Vec<_> = (0..VMS).map(|n| Entity::Vm(id(n))).collect();
    let host: HostId = "7d2c6ad5-55d4-4f0b-9f43-c4bb5f2d4bb1".parse().unwrap();
    let mut encoder = FrameEncoder::new(host);
    let (mut bytes, mut values) = (0, 0);
    for second in 0..TICKS {
        let mut table = Table::new(Kind::Vm);
        for (number, guest) in (0..VMS).zip(&mut guests) {
            guest.step(&mut noise);
            guest.fill(table.push(number));
        }
        values += table.values.iter().filter(|value| value.get().is_some()).count();
        let time_us = 1_700_000_000_000_000 + second * 1_000_000 + noise.below(900);
        let tick = Tick {
            time_us,
            tables: vec![table],
            ..Tick::default()
        };
        let record = Record {
            dictionary: dictionary.clone(),
            tick,
        };
        let sequence = second.cast_unsigned() + 1;
        bytes += encoder.encode(&[(at(sequence), record)]).unwrap().body.len();
    }
    println!("{bytes} bytes for {values} values");
    assert!(bytes <= 2 * values, "{bytes} bytes for {values} values");
}
