//! How many values a collector has collected, in whatever form it hands them over.
//!
//! A value is one number about a host or a VM at one moment, that changes or may change. Names, versions and identifiers
//! in the form of numbers are none, nor is what a collector says about itself, nor the same number at the same moment
//! under a second name: of a VM with one disk, the disk's values are the VM's totals again.

use anyhow::Context;
use serde_json::Value as Json;
use std::collections::{HashMap, HashSet};
use std::ops::AddAssign;
use std::sync::{Mutex, MutexGuard, PoisonError};
use vmscope_model::catalogue::{metrics, state, vm};
use vmscope_model::{Entity, Kind, Owner, Tick, Value, VmId};

/// Numbers of `node_exporter` that identify or label something, or are about itself.
const NO_VALUES: [&str; 9] = [
    "node_scrape_collector_duration_seconds",
    "node_scrape_collector_success",
    "node_network_address_assign_type",
    "node_network_name_assign_type",
    "node_network_device_id",
    "node_network_iface_id",
    "node_network_iface_link",
    "node_network_net_dev_group",
    "node_network_protocol_type",
];

/// How many values there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Values {
    /// About the host.
    pub(super) host: u64,
    /// About its VMs.
    pub(super) vm: u64,
}

impl AddAssign for Values {
    fn add_assign(&mut self, other: Self) {
        self.host += other.host;
        self.vm += other.vm;
    }
}

/// What a receiver has counted so far.
#[derive(Debug, Default)]
pub(super) struct Count(Mutex<(Values, usize)>);

impl Count {
    /// Adds what has come; `guests` is how many guests have ever been seen.
    pub(super) fn add(&self, values: Values, guests: usize) {
        let mut state = self.state();
        state.0 += values;
        state.1 = state.1.max(guests);
    }

    pub(super) fn values(&self) -> Values {
        self.state().0
    }

    pub(super) fn guests(&self) -> usize {
        self.state().1
    }

    fn state(&self) -> MutexGuard<'_, (Values, usize)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Values of a tick of vmscope's, whose rows name `entities`.
pub(super) fn of_tick(entities: &[Entity], tick: &Tick) -> Values {
    let mut values = Values::default();
    let mut devices: HashMap<(VmId, Kind), Vec<u64>> = HashMap::new();
    for table in &tick.tables {
        for (number, row) in table.rows() {
            let present = row.iter().filter(|value| value.get().is_some()).count() as u64;
            match entities.get(number as usize) {
                Some(Entity::Vm(_)) => values.vm += present - again(row),
                Some(
                    Entity::Vcpu {
                        owner: Owner::Vm(vm), ..
                    }
                    | Entity::Disk {
                        owner: Owner::Vm(vm), ..
                    }
                    | Entity::Nic {
                        owner: Owner::Vm(vm), ..
                    },
                ) => devices.entry((*vm, table.kind)).or_default().push(present),
                Some(Entity::Host) => values.host += present - about_itself(row),
                _ => values.host += present,
            }
        }
    }
    let several = devices.into_values().filter(|rows| rows.len() > 1);
    values.vm += several.flatten().sum::<u64>();
    values
}

/// Numbers of a VM's row that are no values of their own: where used memory comes from, and used memory that is resident memory again.
fn again(row: &[Value]) -> u64 {
    match row[vm::MEMORY_USED_SOURCE].get() {
        Some(state::FROM_RSS) => 2,
        Some(_) => 1,
        None => 0,
    }
}

/// Numbers of a host's row that the agent says about itself.
fn about_itself(row: &[Value]) -> u64 {
    let own = metrics(Kind::Host)
        .iter()
        .zip(row)
        .filter(|(metric, value)| metric.name.starts_with("agent_") && value.get().is_some());
    own.count() as u64
}

/// Values of a text that `node_exporter` or the libvirt exporter has written, and of how many guests.
pub(super) fn of_exposition(text: &str) -> (Values, usize) {
    let (mut values, mut guests) = (Values::default(), 0);
    for (name, _) in crate::http::samples(text) {
        guests += usize::from(name == "libvirt_domain_state_code");
        if name.starts_with("libvirt_domain_") {
            values.vm += 1;
        } else if name.starts_with("node_") && !name.ends_with("_info") && !NO_VALUES.contains(&name) {
            values.host += 1;
        }
    }
    (values, guests)
}

/// Values of a datagram in collectd's binary protocol; the guests that it names go to `guests`.
///
/// A datagram is a row of parts (type, length, content), of which those with values refer to the names before them.
pub(super) fn of_collectd(datagram: &[u8], guests: &mut HashSet<Vec<u8>>) -> anyhow::Result<Values> {
    const HOST: u16 = 0;
    const PLUGIN: u16 = 2;
    const VALUES: u16 = 6;
    let mut values = Values::default();
    let (mut rest, mut host, mut is_vm) = (datagram, &[][..], false);
    while let Some((head, tail)) = rest.split_first_chunk::<4>() {
        let [kind, length] = [[head[0], head[1]], [head[2], head[3]]].map(u16::from_be_bytes);
        let length = usize::from(length).checked_sub(4).context("a part's length")?;
        let content = tail.get(..length).context("a part is cut off")?;
        rest = &tail[length..];
        match kind {
            HOST => host = content,
            PLUGIN => is_vm = content == b"virt\0",
            VALUES => {
                let number = content.first_chunk().copied().map_or(0, u16::from_be_bytes);
                if is_vm {
                    values.vm += u64::from(number);
                    guests.insert(host.to_owned());
                } else {
                    values.host += u64::from(number);
                }
            }
            _ => {}
        }
    }
    Ok(values)
}

/// Values that netdata collects in `seconds`, and of how many guests: from `/api/v1/allmetrics?format=json` and
/// `/api/v1/charts`, which says how often each chart is collected.
pub(super) fn of_netdata(metrics: &str, charts: &str, seconds: f64) -> anyhow::Result<(Values, usize)> {
    let metrics: Json = serde_json::from_str(metrics)?;
    let charts: Json = serde_json::from_str(charts)?;
    let (mut host, mut vm, mut guests) = (0.0, 0.0, HashSet::new());
    for (name, chart) in metrics.as_object().context("netdata's metrics")? {
        let family = name.split('.').next().unwrap_or_default();
        if family == "netdata" {
            continue;
        }
        let dimensions = chart["dimensions"].as_object().map_or(0, serde_json::Map::len) as f64;
        let every = charts["charts"][name]["update_every"].as_f64();
        let values = dimensions * seconds / every.with_context(|| format!("netdata's chart {name}"))?;
        if family.starts_with("cgroup_qemu") {
            guests.insert(family);
            vm += values;
        } else {
            host += values;
        }
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let values = Values {
        host: host as u64,
        vm: vm as u64,
    };
    Ok((values, guests.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;
    use vmscope_model::Record;
    use vmscope_model::catalogue::host;

    #[test]
    fn a_vm_with_one_disk_has_its_disks_values_once() {
        let vm = VmId(Uuid::from_u128(1));
        let mut record = Record::default();
        let mut push = |entity: Entity, present: usize| {
            record.push(entity)[..present].fill(Value::new(7));
        };
        let owner = Owner::Vm(vm);
        push(Entity::Host, 5);
        push(Entity::Vm(vm), 9);
        for index in 0..2 {
            push(Entity::Vcpu { owner, index }, 3);
        }
        push(
            Entity::Disk {
                owner,
                name: "vda".to_owned(),
            },
            4,
        );
        let values = of_tick(&record.dictionary, &record.tick);
        assert_eq!(
            values,
            Values {
                host: 5,
                vm: 9 + 2 * 3
            }
        );
    }

    #[test]
    fn what_is_said_a_second_time_or_of_the_agent_is_no_value() {
        let mut record = Record::default();
        for (number, source) in [(1, state::FROM_RSS), (2, state::FROM_BALLOON)] {
            let row = record.push(Entity::Vm(VmId(Uuid::from_u128(number))));
            for column in [vm::MEMORY_RSS_BYTES, vm::MEMORY_USED_BYTES] {
                row[column] = Value::new(7);
            }
            row[vm::MEMORY_USED_SOURCE] = Value::new(source);
        }
        let row = record.push(Entity::Host);
        row[host::AGENT_CPU_NS] = Value::new(7);
        row[host::NET_RX_BYTES] = Value::new(7);
        let values = of_tick(&record.dictionary, &record.tick);
        assert_eq!(values, Values { host: 1, vm: 1 + 2 });
    }

    #[test]
    fn counts_numbers_of_collectd_by_plugin() {
        let part = |kind: u16, content: &[u8]| {
            let length = u16::try_from(4 + content.len()).unwrap();
            [&kind.to_be_bytes(), &length.to_be_bytes(), content].concat()
        };
        let datagram = [
            part(0, b"host\0"),
            part(2, b"cpu\0"),
            part(6, &[0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0]),
            part(0, b"a-guest\0"),
            part(2, b"virt\0"),
            part(6, &[0, 2, 2, 2]),
            part(6, &[0, 2, 2, 2]),
        ]
        .concat();
        let mut guests = HashSet::new();
        let values = of_collectd(&datagram, &mut guests).unwrap();
        assert_eq!((values, guests.len()), (Values { host: 1, vm: 4 }, 1));
        assert!(of_collectd(&datagram[..datagram.len() - 1], &mut guests).is_err());
    }

    #[test]
    fn what_an_exporter_says_of_itself_is_no_value() {
        let text = "node_load1 1\nnode_uname_info{a=\"b\"} 1\nnode_network_iface_id{device=\"lo\"} 1\n\
                    node_scrape_collector_success{collector=\"cpu\"} 1\ngo_threads 4\n\
                    libvirt_domain_state_code{domain=\"a\"} 1\nlibvirt_up 1\n";
        assert_eq!(of_exposition(text), (Values { host: 1, vm: 1 }, 1));
    }

    #[test]
    fn netdatas_charts_count_as_often_as_they_are_collected() {
        let metrics = r#"{"system.cpu": {"dimensions": {"a": 1, "b": 2}}, "netdata.web": {"dimensions": {"a": 1}},
            "cgroup_qemu_one.cpu": {"dimensions": {"a": 1}}}"#;
        let charts =
            r#"{"charts": {"system.cpu": {"update_every": 2}, "cgroup_qemu_one.cpu": {"update_every": 1}}}"#;
        let (values, guests) = of_netdata(metrics, charts, 10.0).unwrap();
        assert_eq!((values, guests), (Values { host: 10, vm: 10 }, 1));
    }
}
