//! The columns of each list and how its rows fill them: what the API's lists say, flat.

use crate::{Cell, Column, ColumnKind};
use serde_json::{Map, Value as Json, json};
use vmscope_model::catalogue::state;
use vmscope_model::label::Labels;
use vmscope_model::{Cause, Position};
use vmscope_store::{gap, host, vm};

use ColumnKind::{Boolean, Integer, Json as Object, Text, Time};

/// What the API calls virtual machines without a state in the last seconds.
const SILENT: &str = "silent";

type Columns = &'static [(&'static str, ColumnKind)];

pub(super) const VM: Columns = &[
    ("id", Text),
    ("name", Text),
    ("host_id", Text),
    ("host_name", Text),
    ("state", Text),
    ("state_reason", Text),
    ("reporting", Boolean),
    ("vcpus", Integer),
    ("memory_maximum_bytes", Integer),
    ("memory_used_bytes", Integer),
    ("memory_used_source", Text),
    ("first_seen_at", Time),
    ("last_sample_at", Time),
    ("labels", Object),
    ("manual", Boolean),
    ("description", Text),
    ("archived_at", Time),
];

pub(super) const HOST: Columns = &[
    ("id", Text),
    ("name", Text),
    ("os", Text),
    ("kernel", Text),
    ("cpu_model", Text),
    ("cpu_count", Integer),
    ("memory_bytes", Integer),
    ("hypervisor", Text),
    ("agent_version", Text),
    ("boot_at", Time),
    ("first_seen_at", Time),
    ("last_sample_at", Time),
    ("reporting", Boolean),
    ("vms_by_state", Object),
    ("labels", Object),
];

pub(super) const GAP: Columns = &[
    ("id", Integer),
    ("host_id", Text),
    ("host_name", Text),
    ("vm_id", Text),
    ("vm_name", Text),
    ("cause", Text),
    ("group", Text),
    ("from", Time),
    ("to", Time),
    ("ticks", Integer),
    ("first_position", Text),
    ("last_position", Text),
];

pub(super) fn columns(columns: Columns) -> Vec<Column> {
    columns
        .iter()
        .map(|&(name, kind)| Column::new(name, kind))
        .collect()
}

pub(super) fn vm(vm: vm::Vm, labels: &Labels) -> Vec<Cell> {
    let code = vm.state.map(i64::from);
    let reason = code.zip(vm.state_reason.map(i64::from));
    let source = vm.memory_used_source.map(i64::from);
    vec![
        vm.id.to_string().into(),
        vm.name.into(),
        vm.host.map(|host| host.to_string()).into(),
        vm.host.map(|_| vm.host_name).into(),
        code.and_then(|code| state::name(state::VM, code)).into(),
        reason
            .and_then(|(code, reason)| state::vm_reason(code, reason))
            .into(),
        vm.reporting.into(),
        vm.vcpus.into(),
        vm.memory_maximum_bytes.into(),
        vm.memory_used_bytes.into(),
        source
            .and_then(|source| state::name(state::MEMORY_SOURCE, source))
            .into(),
        vm.first_seen_at.into(),
        vm.last_sample_at.into(),
        json!(labels).into(),
        vm.manual.into(),
        vm.description.into(),
        vm.archived_at.into(),
    ]
}

pub(super) fn host(host: host::Host, labels: &Labels) -> Vec<Cell> {
    let states = by_name(&host.vms_by_state);
    vec![
        host.id.to_string().into(),
        host.name.into(),
        host.os.into(),
        host.kernel.into(),
        host.cpu_model.into(),
        host.cpu_count.into(),
        host.memory_bytes.into(),
        host.hypervisor.into(),
        host.agent_version.into(),
        host.boot_at.into(),
        host.first_seen_at.into(),
        host.last_sample_at.into(),
        host.reporting.into(),
        Json::Object(states).into(),
        json!(labels).into(),
    ]
}

/// Counts by the names of the states; a code that this build does not know counts as the first.
fn by_name(by_code: &[(Option<i16>, i64)]) -> Map<String, Json> {
    let mut by_name = Map::new();
    for &(code, count) in by_code {
        let name = code.map_or(SILENT, |code| {
            state::name(state::VM, code.into()).unwrap_or(state::VM[0].1)
        });
        let before = by_name.get(name).and_then(Json::as_i64).unwrap_or_default();
        by_name.insert(name.to_owned(), (before + count).into());
    }
    by_name
}

pub(super) fn gap(entry: gap::Entry) -> Vec<Cell> {
    let position = |position: Position| format!("{}.{}", position.epoch, position.sequence);
    let (first, last) = entry.positions.unzip();
    let (vm, vm_name) = entry.vm.unzip();
    let is_counted = entry.gap.ticks > 0 || entry.gap.cause == Cause::ClockStep.name();
    vec![
        entry.id.into(),
        entry.host.to_string().into(),
        entry.host_name.into(),
        vm.map(|vm| vm.to_string()).into(),
        vm_name.into(),
        entry.gap.cause.into(),
        entry.gap.group.into(),
        entry.gap.from.into(),
        entry.gap.to.into(),
        is_counted.then_some(entry.gap.ticks).into(),
        first.map(position).into(),
        last.map(position).into(),
    ]
}
