//! Fleets whose samples can be told without looking them up, written by the writer that collectors use.

use crate::ingest::{HostBatch, Writer};
use crate::schema::Flavor;
use crate::schema::layout;
use crate::schema::partition::{self, Day};
use crate::{Error, Store, Tier, entity, session};
use jiff::Timestamp;
use std::fmt::Write as _;
use uuid::Uuid;
use vmscope_model::metric::Behaviour;
use vmscope_model::{
    Entity, Fact, HostFacts, HostId, Kind, Metric, Owner, Table, Tick, Value, VmFacts, VmId, catalogue,
};

/// Rows of a transaction, about.
const COMMIT_ROWS: usize = 200_000;

/// From when counters count: 2020-01-01.
const COUNTED_FROM_US: i64 = 1_577_836_800_000_000;

/// How many things there are.
#[derive(Debug, Clone, Copy)]
pub struct Fleet {
    /// Number of the first host: fleets whose numbers don't meet have no host or VM in common.
    pub first: u32,
    /// Hosts.
    pub hosts: u32,
    /// VMs of each host.
    pub vms: u32,
    /// Processors, disks and interfaces of each VM: so many of each kind.
    pub devices: u32,
}

/// A host of a fleet, made known.
#[derive(Debug, Clone)]
pub struct FleetHost {
    /// Its UUID.
    pub host: HostId,
    /// Its database id.
    pub host_id: i32,
    /// The fence of its session.
    pub fence: i64,
    /// Its VMs with their database ids.
    pub vms: Vec<(VmId, i32)>,
    /// The devices of its VMs with their database ids.
    pub devices: Vec<(Kind, i32)>,
}

/// Makes the hosts, VMs and devices of a fleet known, each host with a session. UUIDs follow the numbers.
///
/// # Errors
/// The database's failures.
pub async fn make_known(store: &Store, fleet: Fleet) -> Result<Vec<FleetHost>, Error> {
    let mut hosts = Vec::new();
    for number in fleet.first..fleet.first + fleet.hosts {
        let uuid = |thing: u32| {
            Uuid::from_u64_pair(0x4000 << 48 | u64::from(number), 0x8000 << 48 | u64::from(thing))
        };
        let host = HostId(uuid(0));
        let host_id = entity::register_host(store, host).await?;
        let vms: Vec<VmId> = (1..=fleet.vms).map(|vm| VmId(uuid(vm))).collect();
        let mut entities: Vec<Entity> = vms.iter().copied().map(Entity::Vm).collect();
        for owner in vms.iter().copied().map(Owner::Vm) {
            for device in 0..fleet.devices {
                entities.push(Entity::Vcpu { owner, index: device });
                entities.push(Entity::Disk {
                    owner,
                    name: format!("vd{device}"),
                });
                entities.push(Entity::Nic {
                    owner,
                    name: format!("net{device}"),
                });
            }
        }
        let ids = entity::resolve(store, host_id, &entities).await?;
        let kinds = entities.iter().map(Entity::kind);
        hosts.push(FleetHost {
            host,
            host_id,
            fence: session::begin(store, &opening(host_id)).await?,
            devices: kinds.zip(ids.iter().copied()).skip(vms.len()).collect(),
            vms: vms.into_iter().zip(ids).collect(),
        });
    }
    Ok(hosts)
}

fn opening(host_id: i32) -> session::Opening {
    session::Opening {
        host_id,
        collector: "fill".to_owned(),
        remote: "192.0.2.1:1".to_owned(),
        agent_version: "vmscope-agent".to_owned(),
        clock_offset_us: 0,
    }
}

/// Gives hosts and VMs names, as their agents would; `name` gets the number of the host in `hosts` and that of the VM on it, none
/// for the host itself. Comes before [`fill`].
///
/// # Errors
/// The database's failures.
pub async fn name(
    store: &Store,
    hosts: &[FleetHost],
    time: Timestamp,
    name: impl Fn(usize, Option<usize>) -> String,
) -> Result<(), Error> {
    let batches: Vec<HostBatch> = hosts
        .iter()
        .enumerate()
        .map(|(number, host)| {
            let facts = HostFacts {
                name: name(number, None),
                ..HostFacts::default()
            };
            let vms = host.vms.iter().enumerate().map(|(vm, (id, _))| VmFacts {
                vm: *id,
                name: name(number, Some(vm)),
            });
            let tick = Tick {
                time_us: time.as_microsecond(),
                facts: std::iter::once(Fact::Host(facts))
                    .chain(vms.map(Fact::Vm))
                    .collect(),
                ..Tick::default()
            };
            HostBatch {
                host_id: host.host_id,
                fence: host.fence,
                epoch: 1,
                ticks: vec![(1, tick)],
            }
        })
        .collect();
    Writer::open(store.config().clone())
        .await?
        .commit(&batches)
        .await?;
    Ok(())
}

/// What a thing's metric is at a moment: counters grow at rates that swing in ten minutes, gauges swing in an hour, a few VMs
/// are paused each other hour.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "made-up values far below 2^52"
)]
pub fn sample(metric: &Metric, column: usize, entity_id: i32, time_us: i64) -> Value {
    let seconds = (time_us - COUNTED_FROM_US) as f64 / 1e6;
    let phase = f64::from(entity_id) + column as f64 / 7.0;
    let size = f64::from(entity_id % 13 + 1) * 1e3;
    Value::new(match metric.behaviour {
        Behaviour::Counter => {
            (size * (1.0 + seconds - 50.0 * ((seconds / 600.0 * std::f64::consts::TAU + phase).cos() - 1.0)))
                as i64
        }
        Behaviour::Gauge => {
            (size * 100.0 * (1.5 + (seconds / 3600.0 * std::f64::consts::TAU + phase).sin())) as i64
        }
        Behaviour::State(_) if entity_id % 10 == 0 && (seconds / 3600.0) as i64 % 2 == 0 => 3,
        Behaviour::State(_) => 1,
    })
}

/// Writes the samples of `hosts` each `step_s` from `from` to before `to`, all metrics of everything in one tick of a host;
/// returns how many rows that were. What was written by the same call before is not written again.
///
/// Rows lie in the tables as collectors write them: ticks of all hosts by turns.
///
/// # Errors
/// The database's failures.
pub async fn fill(
    store: &Store,
    hosts: &[FleetHost],
    (from, to): (Timestamp, Timestamp),
    step_s: u32,
) -> Result<u64, Error> {
    let mut config = store.config().clone();
    config.options("-c synchronous_commit=off");
    let mut writer = Writer::open(config).await?;
    let each_us = i64::from(step_s.max(1)) * 1_000_000;
    let tick_rows: usize = hosts
        .iter()
        .map(|host| 1 + host.vms.len() + host.devices.len())
        .sum();
    let ticks = i64::try_from((COMMIT_ROWS / tick_rows.max(1)).max(1)).unwrap_or(1);
    let (from_us, to_us) = (from.as_microsecond(), to.as_microsecond());
    let (mut rows, mut sequence, mut time_us) = (0, 1, from_us);
    while time_us < to_us {
        let moments: Vec<(u64, i64)> = (0..ticks)
            .map(|tick| time_us + tick * each_us)
            .take_while(|time_us| *time_us < to_us)
            .zip(sequence..)
            .map(|(time_us, sequence)| (sequence, time_us))
            .collect();
        let batches: Vec<HostBatch> = hosts
            .iter()
            .map(|host| HostBatch {
                host_id: host.host_id,
                fence: host.fence,
                epoch: from_us.cast_unsigned(),
                ticks: moments
                    .iter()
                    .map(|(sequence, time_us)| (*sequence, tick(host, *time_us)))
                    .collect(),
            })
            .collect();
        rows += writer.commit(&batches).await?.rows;
        sequence += moments.len() as u64;
        time_us += ticks * each_us;
    }
    Ok(rows)
}

fn tick(host: &FleetHost, time_us: i64) -> Tick {
    let mut tables = Kind::ALL.map(Table::new);
    let vms = host.vms.iter().map(|(_, id)| (Kind::Vm, *id));
    let things = std::iter::once((Kind::Host, host.host_id))
        .chain(vms)
        .chain(host.devices.iter().copied());
    for (kind, id) in things {
        let row = tables[kind as usize].push(id.cast_unsigned());
        for (column, (value, metric)) in row.iter_mut().zip(catalogue::metrics(kind)).enumerate() {
            *value = sample(metric, column, id, time_us);
        }
    }
    Tick {
        time_us,
        tables: tables
            .into_iter()
            .filter(|table| !table.entities.is_empty())
            .collect(),
        ..Tick::default()
    }
}

/// Writes buckets of a tier without samples, from `from` to before `to`, all columns of all `ids` of a kind; returns how many.
/// None of them may be there.
///
/// # Errors
/// The database's failures.
pub async fn fill_tier(
    store: &Store,
    (kind, tier): (Kind, Tier),
    ids: &[i32],
    (from, to): (Timestamp, Timestamp),
) -> Result<u64, Error> {
    let mut client = store.dedicated().await?;
    if store.flavor().await? == Flavor::Postgres {
        let span = from.as_microsecond()..to.as_microsecond();
        let days: Vec<Day> = span
            .step_by(86_400_000_000)
            .map(Day::of)
            .chain([Day::of(to.as_microsecond())])
            .collect();
        partition::make(&mut client, tier, &days).await?;
    }
    let (mut names, mut values) = (String::new(), String::new());
    for (number, metric) in catalogue::metrics(kind).iter().enumerate() {
        for ((name, _), value) in layout::tier_columns(metric).iter().zip(bucket(metric, number)) {
            // Writing into a string can't fail.
            let _ = write!(names, ", {name}");
            let _ = write!(values, ", {value}");
        }
    }
    let statement = format!(
        "-- fill_tier\nINSERT INTO {} (time, entity_id{names})\n\
         SELECT time, id{values} FROM unnest($1::int4[]) AS i (id),\n\
         generate_series($2::timestamptz, $3::timestamptz - interval '1 microsecond', interval '{} s') AS g (time),\n\
         LATERAL (SELECT (1000 * (1 + id % 13) * (1.5 + sin(extract(epoch FROM time)::float8 / 14400 + id)))::real AS size) s\n\
         ORDER BY time, id",
        layout::tier_table(kind, tier),
        tier.bucket_s().unwrap_or(1),
    );
    client
        .execute(&statement, &[&ids, &from, &to])
        .await
        .map_err(Error::statement("fill_tier"))
}

/// The expressions of a metric's columns.
fn bucket(metric: &Metric, number: usize) -> Vec<String> {
    match metric.behaviour {
        Behaviour::State(_) => ["1", "ARRAY[1]::int2[]", "ARRAY[3600]::real[]"]
            .map(str::to_owned)
            .to_vec(),
        Behaviour::Gauge | Behaviour::Counter => {
            let value = |factor: f32| format!("(size * {factor} + {number})::real");
            let mut values = [0.5, 1.5, 1.1, 1.0].map(value).to_vec();
            values.push("3600".to_owned());
            values
        }
    }
}
