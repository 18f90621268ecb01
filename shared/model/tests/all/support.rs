//! What the tests of the codecs share: records as agents could produce them, and a view of them without numbering.

use proptest::prelude::*;
use vmscope_model::guest::GuestFileSystem;
use vmscope_model::{
    Cause, Entity, Fact, Gap, Group, Guest, GuestFacts, HostFacts, Kind, Owner, Position, Record, RunFacts,
    Span, Table, Tick, Value, VmFacts, VmId,
};

/// A tick with its rows named instead of numbered.
pub(crate) type Plain = (i64, Vec<(Kind, Vec<(Entity, Vec<Value>)>)>, Vec<Fact>, Vec<Gap>);

pub(crate) fn plain(dictionary: &[Entity], tick: &Tick) -> Plain {
    let name = |(number, values): (u32, &[Value])| (dictionary[number as usize].clone(), values.to_vec());
    let mut tables: Vec<_> = tick
        .tables
        .iter()
        .filter(|table| !table.entities.is_empty())
        .map(|table| (table.kind, table.rows().map(name).collect()))
        .collect();
    tables.sort_by_key(|(kind, _): &(Kind, _)| *kind as usize);
    (tick.time_us, tables, tick.facts.clone(), tick.gaps.clone())
}

fn vm(number: u8) -> VmId {
    format!("00000000-0000-4000-8000-0000000000{number:02x}")
        .parse()
        .unwrap()
}

/// Few enough that they come back in later records, and go missing in between.
fn entity() -> impl Strategy<Value = Entity> {
    let owner = || {
        prop_oneof![
            Just(Owner::Host),
            (0..3_u8).prop_map(|number| Owner::Vm(vm(number)))
        ]
    };
    let name = || {
        prop_oneof![
            Just("vda".to_owned()),
            Just("/srv/données".to_owned()),
            "[a-z]{1,3}"
        ]
    };
    prop_oneof![
        Just(Entity::Host),
        (0..6_u8).prop_map(|number| Entity::Vm(vm(number))),
        (owner(), 0..4_u32).prop_map(|(owner, index)| Entity::Vcpu { owner, index }),
        (owner(), name()).prop_map(|(owner, name)| Entity::Disk { owner, name }),
        (owner(), name()).prop_map(|(owner, name)| Entity::Nic { owner, name }),
    ]
}

/// Counters that grow, counters that start again, anything at all, and nothing.
fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => Just(Value::ABSENT),
        3 => (0..1_000_i64).prop_map(Value::new),
        1 => any::<i64>().prop_map(Value::new),
        1 => prop_oneof![Just(i64::MAX), Just(i64::MIN + 1), Just(0), Just(-1)].prop_map(Value::new),
    ]
}

fn note() -> impl Strategy<Value = (Vec<Fact>, Vec<Gap>)> {
    let host = ("[a-z]{0,9}", any::<u64>(), any::<i64>()).prop_map(|(name, memory_bytes, boot_time_us)| {
        Fact::Host(HostFacts {
            name,
            memory_bytes,
            boot_time_us,
            ..HostFacts::default()
        })
    });
    let guest = (0..6_u8, "[a-z]{0,9}").prop_map(|(number, name)| Fact::Vm(VmFacts { vm: vm(number), name }));
    let run = any::<u64>().prop_map(|epoch| {
        let before = Cause::AgentKilled;
        Fact::Run(RunFacts { epoch, before })
    });
    let inside = (0..6_u8, any::<i64>(), "[a-z]{0,9}", any::<Option<u64>>()).prop_map(
        |(number, as_of_us, name, used_bytes)| {
            let file_system = GuestFileSystem {
                mount_point: format!("/{name}"),
                used_bytes,
                ..GuestFileSystem::default()
            };
            let guest = Guest {
                host_name: name.clone(),
                file_systems: vec![file_system],
                users: vec![name],
                ..Guest::default()
            };
            Fact::Guest(GuestFacts {
                vm: vm(number),
                as_of_us,
                guest,
            })
        },
    );
    let gap = (
        proptest::option::of(0..6_u8),
        any::<i64>(),
        any::<i64>(),
        any::<u64>(),
        proptest::option::of((any::<u32>(), 1..9_u64, 0..9_u64)),
    )
        .prop_map(|(number, from_us, to_us, ticks, lost)| Gap {
            vm: number.map(vm),
            group: Group::Dear,
            cause: Cause::Busy,
            from_us,
            to_us,
            ticks,
            lost: lost.map(|(epoch, first, more)| Span {
                epoch: epoch.into(),
                first,
                last: first + more,
            }),
        });
    (
        proptest::collection::vec(prop_oneof![host, guest, run, inside], 0..3),
        proptest::collection::vec(gap, 0..3),
    )
}

pub(crate) fn record() -> impl Strategy<Value = Record> {
    let rows = proptest::collection::btree_set(entity(), 0..9);
    let seed = proptest::collection::vec(value(), 1..200);
    // Whole columns present, whole columns absent and patchy ones all occur.
    let shape = proptest::collection::vec(0..3_u8, 1..60);
    (rows, seed, shape, any::<i64>(), note()).prop_map(|(rows, seed, shape, time_us, (facts, gaps))| {
        let dictionary: Vec<Entity> = rows.into_iter().collect();
        let mut tick = Tick {
            time_us,
            facts,
            gaps,
            ..Tick::default()
        };
        let mut seed = seed.into_iter().cycle();
        for kind in Kind::ALL {
            let mut table = Table::new(kind);
            for (number, _) in dictionary
                .iter()
                .enumerate()
                .filter(|(_, entity)| entity.kind() == kind)
            {
                let row = table.push(u32::try_from(number).unwrap());
                for (value, shape) in row.iter_mut().zip(shape.iter().cycle()) {
                    *value = match shape {
                        0 => Value::ABSENT,
                        1 => Value::new(seed.next().unwrap().get().unwrap_or(7)),
                        _ => seed.next().unwrap(),
                    };
                }
            }
            if !table.entities.is_empty() {
                tick.tables.push(table);
            }
        }
        Record { dictionary, tick }
    })
}

/// A record with one row of `kind`, its first column set.
pub(crate) fn one_row(entity: Entity, number: i64) -> Record {
    let mut table = Table::new(entity.kind());
    table.push(0)[0] = Value::new(number);
    Record {
        dictionary: vec![entity],
        tick: Tick {
            tables: vec![table],
            ..Tick::default()
        },
    }
}

pub(crate) fn at(sequence: u64) -> Position {
    Position {
        epoch: 1_700_000_000_000,
        sequence,
    }
}
