//! The seeds of the fuzz targets: they hold the formats of version 1, and every one of them goes through its target.
//!
//! `VMSCOPE_WRITE_SEEDS=1 cargo test -p vmscope-model` writes the seeds anew. Only a new version of a format needs that.

#[path = "../../../../tests/fuzz/src/lib.rs"]
#[expect(
    unreachable_pub,
    clippy::expect_used,
    reason = "a library of its own elsewhere, whose failures are findings"
)]
mod targets;

use crate::support::{at, plain};
use std::fs;
use std::path::{Path, PathBuf};
use vmscope_model::guest::{GuestFileSystem, GuestInterface};
use vmscope_model::wire::{self, FrameEncoder, Message, Token};
use vmscope_model::{
    Cause, Entity, Fact, Gap, Group, Guest, GuestFacts, HostFacts, HostId, Kind, Owner, Record, RunFacts,
    Span, Table, Tick, Value, VmFacts, VmId, catalogue, record,
};

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/fuzz/corpus")
        .join(target)
}

fn host() -> HostId {
    "7d2c6ad5-55d4-4f0b-9f43-c4bb5f2d4bb1".parse().unwrap()
}

/// Something in each list.
fn guest() -> Guest {
    Guest {
        host_name: "web-1".into(),
        file_systems: vec![GuestFileSystem {
            mount_point: "/".into(),
            total_bytes: Some(1 << 30),
            ..GuestFileSystem::default()
        }],
        interfaces: vec![GuestInterface {
            name: "eth0".into(),
            addresses: vec!["192.0.2.1/24".into(), "fe80::1/64".into()],
            ..GuestInterface::default()
        }],
        user_count: Some(1),
        users: vec!["admin".into()],
        ..Guest::default()
    }
}

/// Every kind of entity, a reset, an absent value, facts and a gap.
fn records() -> [Record; 2] {
    let vm: VmId = "8f0c1a52-3b1e-4a55-9b0e-2d7c5a1f0001".parse().unwrap();
    let dictionary = vec![
        Entity::Host,
        Entity::Vm(vm),
        Entity::Vcpu {
            owner: Owner::Vm(vm),
            index: 0,
        },
        Entity::Disk {
            owner: Owner::Host,
            name: "/var".into(),
        },
        Entity::Nic {
            owner: Owner::Vm(vm),
            name: "vnet3".into(),
        },
    ];
    [5_000_000_000, 7].map(|number| {
        let mut tick = Tick {
            time_us: 1_763_786_712_000_000 + number,
            ..Tick::default()
        };
        for (row, kind) in (0..).zip(Kind::ALL) {
            let mut table = Table::new(kind);
            let values = table.push(row);
            values[1] = Value::new(number);
            values[catalogue::metrics(kind).len() - 1] = Value::new(-number);
            tick.tables.push(table);
        }
        let facts = HostFacts {
            name: "kvm-01".into(),
            cpu_count: 64,
            ..HostFacts::default()
        };
        tick.facts = vec![
            Fact::Host(facts),
            Fact::Vm(VmFacts {
                vm,
                name: "web".into(),
            }),
            Fact::Run(RunFacts {
                epoch: 7,
                before: Cause::HostDown,
            }),
            Fact::Guest(GuestFacts {
                vm,
                as_of_us: 1_763_786_711_000_000,
                guest: guest(),
            }),
        ];
        let (group, cause) = (Group::Dear, Cause::Deadline);
        tick.gaps = vec![Gap {
            vm: Some(vm),
            group,
            cause,
            from_us: 1,
            to_us: number,
            ticks: 2,
            lost: Some(Span {
                epoch: 7,
                first: 3,
                last: 4,
            }),
        }];
        Record {
            dictionary: dictionary.clone(),
            tick,
        }
    })
}

fn seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let message = |message| wire::encode(&message).unwrap();
    let mut encoder = FrameEncoder::new(host());
    let mut frames = Vec::new();
    for (sequence, record) in (1..).zip(records()) {
        let body = encoder.encode(&[(at(sequence), record)]).unwrap().body;
        frames.extend(u16::try_from(body.len()).unwrap().to_le_bytes());
        frames.extend(body);
    }
    let software = || "0.1.0".to_owned();
    let mut seeds = vec![
        (
            "message",
            "hello",
            message(Message::Hello {
                software: software(),
                clock_us: 1,
                columns: vec![],
            }),
        ),
        ("message", "columns", {
            message(Message::Hello {
                software: software(),
                clock_us: 1,
                columns: wire::columns(),
            })
        }),
        ("message", "welcome", {
            let committed = vec![at(7)];
            message(Message::Welcome {
                software: software(),
                clock_us: 1,
                columns: vec![],
                committed,
            })
        }),
        ("message", "ack", message(Message::Ack(at(300)))),
        (
            "message",
            "subscribe",
            message(Message::Subscribe {
                hosts: Some(vec![host()]),
            }),
        ),
        ("frame", "session", frames),
        ("record", "first", record::encode(&records()[0]).unwrap()),
        ("record", "second", record::encode(&records()[1]).unwrap()),
    ];
    let certificates = certificate_messages().into_iter();
    seeds.extend(certificates.map(|(name, message)| ("message", name, wire::encode(&message).unwrap())));
    seeds
}

/// The messages about certificates.
fn certificate_messages() -> [(&'static str, Message); 5] {
    [
        (
            "enrol",
            Message::Enrol {
                token: Token("vse_0123_4567".to_owned()),
                host: host(),
                request: vec![0x30, 0],
                software: "0.1.0".to_owned(),
            },
        ),
        (
            "renew",
            Message::Renew {
                request: vec![0x30, 0],
            },
        ),
        (
            "issued",
            Message::Issued {
                certificate: "-----BEGIN".to_owned(),
                authority: "-----BEGIN".to_owned(),
            },
        ),
        (
            "not_renewed",
            Message::NotRenewed {
                code: "authority_missing".to_owned(),
                advice: "ask".to_owned(),
            },
        ),
        ("trust", Message::Trust { roots: [7; 32] }),
    ]
}

#[test]
fn the_formats_of_version_1_are_what_they_were() {
    for (target, name, bytes) in seeds() {
        let path = corpus(target).join(name);
        if std::env::var_os("VMSCOPE_WRITE_SEEDS").is_some() {
            fs::create_dir_all(corpus(target)).unwrap();
            fs::write(&path, &bytes).unwrap();
        }
        assert_eq!(
            fs::read(&path).unwrap(),
            bytes,
            "{}: a changed format needs a new version",
            path.display()
        );
    }
    for (name, written) in ["first", "second"].into_iter().zip(records()) {
        let read = record::decode(&fs::read(corpus("record").join(name)).unwrap()).unwrap();
        assert_eq!(
            plain(&read.dictionary, &read.tick),
            plain(&written.dictionary, &written.tick)
        );
    }
}

#[test]
fn every_seed_goes_through_its_target() {
    for (target, run) in [
        ("message", targets::message as fn(&[u8])),
        ("frame", targets::frame),
        ("record", targets::record),
    ] {
        let files: Vec<_> = fs::read_dir(corpus(target))
            .unwrap()
            .map(|file| file.unwrap().path())
            .collect();
        assert!(!files.is_empty());
        for file in files {
            run(&fs::read(file).unwrap());
        }
    }
}
