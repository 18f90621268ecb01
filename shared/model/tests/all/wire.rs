//! What the wire promises: what is written comes back, and nothing that is read does harm.

use crate::support::{at, one_row, plain, record};
use proptest::prelude::*;
use vmscope_model::wire::{self, Columns, Error, Frame, FrameDecoder, FrameEncoder, Message};
use vmscope_model::{
    Entity, Fact, Guest, GuestFacts, HostId, Kind, Owner, Position, Record, Table, Tick, Value, catalogue,
};

fn host() -> HostId {
    "7d2c6ad5-55d4-4f0b-9f43-c4bb5f2d4bb1".parse().unwrap()
}

fn decoder() -> FrameDecoder {
    FrameDecoder::new(&wire::columns()).unwrap()
}

/// Records of one session, cut into frames.
fn frames() -> impl Strategy<Value = Vec<Vec<Record>>> {
    proptest::collection::vec(proptest::collection::vec(record(), 0..4), 1..5)
}

fn numbered(records: &[Record], next: &mut u64) -> Vec<(Position, Record)> {
    let number = |record: &Record| {
        *next += 1;
        (at(*next), record.clone())
    };
    records.iter().map(number).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_session_gives_back_what_was_put_in(frames in frames()) {
        let (mut encoder, mut decoder, mut next) = (FrameEncoder::new(host()), decoder(), 0);
        for records in frames {
            let records = numbered(&records, &mut next);
            let frame = encoder.encode(&records).unwrap();
            let ticks = decoder.decode(&frame).unwrap();
            prop_assert_eq!(ticks.len(), records.len());
            for ((position, tick), (sent_position, sent)) in ticks.iter().zip(&records) {
                prop_assert_eq!(position, sent_position);
                prop_assert_eq!(plain(decoder.entities(), tick), plain(&sent.dictionary, &sent.tick));
            }
        }
    }

    #[test]
    fn a_failed_encode_leaves_the_session_in_step(frames in frames()) {
        let (mut encoder, mut decoder, mut next) = (FrameEncoder::new(host()), decoder(), 0);
        for records in frames {
            let good = numbered(&records, &mut next);
            let mut bad = good.clone();
            let mut strange = one_row(Entity::Nic { owner: Owner::Host, name: "lost".into() }, 1);
            strange.tick.tables[0].push(7);
            bad.push((at(next + 1), strange));
            prop_assert!(encoder.encode(&bad).is_err());
            let ticks = decoder.decode(&encoder.encode(&good).unwrap()).unwrap();
            for ((_, tick), (_, sent)) in ticks.iter().zip(&good) {
                prop_assert_eq!(plain(decoder.entities(), tick), plain(&sent.dictionary, &sent.tick));
            }
        }
    }

    #[test]
    fn columns_are_matched_by_name(records in proptest::collection::vec(record(), 1..4), other in 0..60_usize) {
        // The sender has the first two columns the other way round, and calls one something else.
        let mut columns = wire::columns();
        for Columns { names, .. } in &mut columns {
            let other = other % names.len();
            names.swap(0, 1);
            names[other] = "from_the_future".into();
        }
        let mut next = 0;
        let records = numbered(&records, &mut next);
        let frame = FrameEncoder::new(host()).encode(&records).unwrap();
        let mut decoder = FrameDecoder::new(&columns).unwrap();
        for ((_, tick), (_, sent)) in decoder.decode(&frame).unwrap().iter().zip(&records) {
            let mut expected = plain(&sent.dictionary, &sent.tick);
            for (kind, rows) in &mut expected.1 {
                let unknown = other % catalogue::metrics(*kind).len();
                for (_, values) in rows {
                    values[unknown] = Value::ABSENT;
                    values.swap(0, 1);
                }
            }
            prop_assert_eq!(plain(decoder.entities(), tick), expected);
        }
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes: Vec<u8>) {
        let _ = wire::decode(&bytes);
        let _ = wire::decode(&[b"VS\x01", bytes.as_slice()].concat());
        for method in [0, 1] {
            let body = [&[method], bytes.as_slice()].concat();
            let _ = decoder().decode(&Frame { host: host(), body });
        }
    }

    #[test]
    fn no_damage_makes_a_decoder_panic(records in proptest::collection::vec(record(), 1..4), at: usize, bit in 0..8_u32) {
        let mut next = 0;
        let frame = FrameEncoder::new(host()).encode(&numbered(&records, &mut next)).unwrap();
        let mut body = frame.body.clone();
        let index = at % body.len();
        body[index] ^= 1_u8 << bit;
        let _ = decoder().decode(&Frame { host: host(), body });
        let cut = Frame { host: host(), body: frame.body[..index].to_vec() };
        prop_assert!(decoder().decode(&cut).is_err());
    }
}

#[test]
fn messages_come_back() {
    let messages = [
        Message::Hello {
            software: "0.1.0".into(),
            clock_us: -5,
            columns: wire::columns(),
        },
        Message::Welcome {
            software: String::new(),
            clock_us: 1,
            columns: vec![],
            committed: vec![at(9)],
        },
        Message::Refuse {
            code: "host_mismatch".into(),
            advice: "enrol again".into(),
        },
        Message::Frame(Frame {
            host: host(),
            body: vec![1; 70_000],
        }),
        Message::Ack(at(u64::MAX)),
        Message::Subscribe {
            hosts: Some(vec![host()]),
        },
    ];
    for message in messages {
        assert_eq!(wire::decode(&wire::encode(&message).unwrap()).unwrap(), message);
    }
}

#[test]
fn refuses_what_is_no_message_of_this_version() {
    let good = wire::encode(&Message::Ack(at(1))).unwrap();
    assert!(matches!(wire::decode(b""), Err(Error::Magic)));
    assert!(matches!(wire::decode(b"GET / HTTP/1.1"), Err(Error::Magic)));
    assert!(matches!(wire::decode(b"VS"), Err(Error::Truncated)));
    assert!(matches!(
        wire::decode(b"VS\x02\x04"),
        Err(Error::Version { found: 2, known: 1 })
    ));
    assert!(matches!(
        wire::decode(&[&good[..], b"!"].concat()),
        Err(Error::Trailing { bytes: 1 })
    ));
    for length in 3..good.len() {
        assert!(matches!(wire::decode(&good[..length]), Err(Error::Read(_))));
    }
}

#[test]
fn refuses_a_message_that_claims_more_than_the_limit() {
    // A frame whose body claims 2^60 bytes.
    let mut claim = wire::encode(&Message::Frame(Frame {
        host: host(),
        body: vec![],
    }))
    .unwrap();
    claim.pop();
    claim.extend([253, 0, 0, 0, 0, 0, 0, 0, 16]);
    assert!(matches!(wire::decode(&claim), Err(Error::Read(_))));
    let frame = Frame {
        host: host(),
        body: vec![0; wire::MAX_MESSAGE_BYTES],
    };
    assert!(matches!(
        wire::encode(&Message::Frame(frame)),
        Err(Error::TooLarge { .. })
    ));
    assert!(matches!(
        wire::decode(&vec![0; wire::MAX_MESSAGE_BYTES + 1]),
        Err(Error::TooLarge { .. })
    ));
}

#[test]
fn the_largest_frame_fits_into_a_message() {
    let noise = |n: u64| {
        n.wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .rotate_left(31)
            .wrapping_mul(n | 1)
            .cast_signed()
    };
    let mut encoder = FrameEncoder::new(host());
    let mut rows = 32_000;
    let frame = loop {
        let mut record = Record::default();
        let mut table = Table::new(Kind::Disk);
        for row in 0..rows {
            record.dictionary.push(Entity::Disk {
                owner: Owner::Host,
                name: row.to_string(),
            });
            for (column, value) in table.push(row).iter_mut().enumerate() {
                *value = Value::new(noise(u64::from(row) * 64 + column as u64));
            }
        }
        record.tick.tables.push(table);
        match encoder.encode(&[(at(1), record)]) {
            Ok(frame) => break frame,
            Err(Error::TooLarge { .. }) => rows -= 500,
            Err(error) => panic!("{error}"),
        }
    };
    assert!(
        frame.body.len() > wire::MAX_MESSAGE_BYTES * 3 / 4,
        "{} bytes",
        frame.body.len()
    );
    let message = Message::Frame(frame);
    assert_eq!(wire::decode(&wire::encode(&message).unwrap()).unwrap(), message);
    let Message::Frame(frame) = message else {
        unreachable!()
    };
    assert_eq!(decoder().decode(&frame).unwrap().len(), 1);
}

#[test]
fn a_decoder_that_failed_refuses_all_later_frames() {
    let frame = FrameEncoder::new(host())
        .encode(&[(at(1), one_row(Entity::Host, 5))])
        .unwrap();
    let mut decoder = decoder();
    assert!(
        decoder
            .decode(&Frame {
                host: host(),
                body: vec![9]
            })
            .is_err()
    );
    assert!(matches!(decoder.decode(&frame), Err(Error::Desynchronised)));
}

#[test]
fn a_session_ends_when_it_has_named_too_many_entities() {
    let mut encoder = FrameEncoder::new(host());
    let name = |number: u32| Entity::Vcpu {
        owner: Owner::Host,
        index: number,
    };
    let mut record = Record::default();
    let mut sequence = 0;
    for start in (0..65_536_u32).step_by(16_384) {
        let mut table = Table::new(Kind::Vcpu);
        record.dictionary = (start..start + 16_384).map(name).collect();
        (0..16_384).for_each(|number| table.push(number)[0] = Value::new(1));
        record.tick.tables = vec![table];
        sequence += 1;
        encoder.encode(&[(at(sequence), &record)]).unwrap();
    }
    let one_more = one_row(name(65_536), 1);
    assert!(matches!(
        encoder.encode(&[(at(9), &one_more)]),
        Err(Error::TooLarge { .. })
    ));
    assert!(encoder.encode(&[(at(9), one_row(name(3), 1))]).is_ok());
}

#[test]
fn refuses_to_write_what_it_would_refuse_to_read() {
    let mut encoder = FrameEncoder::new(host());
    let mut encode = |position, record: &Record| encoder.encode(&[(position, record)]);
    let nic = |name: &str| {
        one_row(
            Entity::Nic {
                owner: Owner::Host,
                name: name.into(),
            },
            1,
        )
    };
    assert!(matches!(encode(at(1), &nic("a\0b")), Err(Error::Invalid { .. })));
    assert!(matches!(
        encode(at(1), &nic(&"x".repeat(4_097))),
        Err(Error::TooLarge { .. })
    ));

    let mut talkative = nic("eth0");
    talkative.tick.facts = vec![Fact::Guest(GuestFacts {
        vm: "00000000-0000-4000-8000-000000000001".parse().unwrap(),
        as_of_us: 1,
        guest: Guest {
            users: vec![String::new(); 33],
            ..Guest::default()
        },
    })];
    assert!(matches!(
        encode(at(1), &talkative),
        Err(Error::TooLarge { limit: 32, .. })
    ));

    let mut wrong_kind = nic("eth0");
    wrong_kind.tick.tables[0] = one_row(Entity::Host, 1).tick.tables.remove(0);
    assert!(matches!(encode(at(1), &wrong_kind), Err(Error::Invalid { .. })));

    let mut twice = nic("eth0");
    twice.tick.tables.extend(nic("eth0").tick.tables);
    assert!(matches!(encode(at(1), &twice), Err(Error::Invalid { .. })));

    let record = nic("eth0");
    for second in [
        at(1),
        Position {
            epoch: 1,
            sequence: 3,
        },
    ] {
        let records = [(at(2), &record), (second, &record)];
        assert!(matches!(encoder.encode(&records), Err(Error::Invalid { .. })));
    }
}

#[test]
fn ticks_of_a_shared_dictionary_are_written_like_records() {
    let dictionary = [
        Entity::Host,
        Entity::Vm("00000000-0000-4000-8000-000000000001".parse().unwrap()),
    ];
    let mut table = Table::new(Kind::Vm);
    table.push(1)[catalogue::vm::CPU_TIME_NS] = Value::new(42);
    let tick = Tick {
        time_us: 5,
        tables: vec![table],
        ..Tick::default()
    };
    let mut encoder = FrameEncoder::new(host());
    let frame = encoder.encode_ticks(&dictionary, &[(at(1), &tick)]).unwrap();
    let mut decoder = decoder();
    let ticks = decoder.decode(&frame).unwrap();
    assert_eq!(plain(decoder.entities(), &ticks[0].1), plain(&dictionary, &tick));
    assert_eq!(
        decoder.entities(),
        &dictionary[1..],
        "only what rows speak of is named"
    );
}

#[test]
fn refuses_columns_that_are_too_many_or_ambiguous() {
    let columns = |names: Vec<String>| {
        [Columns {
            kind: Kind::Nic,
            names,
        }]
    };
    assert!(FrameDecoder::new(&columns(vec!["x".into(); 257])).is_err());
    assert!(FrameDecoder::new(&columns(vec!["rx_bytes".into(); 2])).is_err());
    assert!(FrameDecoder::new(&[columns(vec![]), columns(vec![])].concat()).is_err());
}
