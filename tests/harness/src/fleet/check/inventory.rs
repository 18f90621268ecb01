//! The rows that lists should have.

use super::super::account::Books;
use super::super::plan::SECOND_US;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use vmscope_model::catalogue::state;
use vmscope_model::label::Labels;

/// Older samples say nothing about now.
const REPORTING_US: i64 = 15 * SECOND_US;

/// A virtual machine as lists show it.
#[derive(Debug, Clone)]
pub(in super::super) struct Row {
    /// Its number in the plan.
    pub(in super::super) number: usize,
    pub(in super::super) id: String,
    pub(in super::super) name: String,
    pub(in super::super) host_id: String,
    pub(in super::super) host: String,
    /// Code of the last state.
    pub(in super::super) code: i64,
    pub(in super::super) reporting: bool,
    pub(in super::super) vcpus: i64,
    pub(in super::super) memory_bytes: i64,
    pub(in super::super) labels: Labels,
    pub(in super::super) last_us: i64,
}

impl Row {
    /// What it does, as counts and filters name it.
    pub(super) fn state(&self) -> &'static str {
        match state::name(state::VM, self.code) {
            Some(name) if self.reporting => name,
            _ => "silent",
        }
    }

    pub(super) fn has_label(&self, key: &str, value: &str) -> bool {
        self.labels.get(key).is_some_and(|known| known == value)
    }

    /// What of an item of the list does not change from second to second.
    pub(super) fn json(&self) -> Json {
        json!({
            "id": self.id,
            "name": self.name,
            "host": {"id": self.host_id, "name": self.host},
            "state": state::name(state::VM, self.code),
            "reporting": self.reporting,
            "vcpus": self.vcpus,
            "memory_maximum_bytes": self.memory_bytes,
            "labels": self.labels,
            "manual": false,
            "archived_at": null,
        })
    }
}

/// The same part of an item that was answered.
pub(super) fn lasting(item: &Json, like: &Json) -> Json {
    let keys = like.as_object().into_iter().flatten();
    keys.map(|(key, _)| (key.clone(), item[key].clone())).collect()
}

/// All that have been heard of, with the labels that they were given.
pub(in super::super) fn rows(books: &Books, labels: &BTreeMap<usize, Labels>, now_us: i64) -> Vec<Row> {
    let row = |number: usize| {
        let vm = &books.plan.vms[number];
        let last_us = books.last_us(number)?;
        let at_us = last_us - books.plan.begun_us;
        let segment = vm.at(at_us);
        let host = &books.plan.hosts[segment.host];
        Some(Row {
            number,
            id: vm.id.to_string(),
            name: vm.name_at(at_us).to_owned(),
            host_id: host.id.to_string(),
            host: host.name.clone(),
            code: segment.state,
            reporting: last_us > now_us - REPORTING_US,
            vcpus: vm.size.vcpus,
            memory_bytes: vm.size.memory_bytes,
            labels: labels.get(&number).cloned().unwrap_or_default(),
            last_us,
        })
    };
    (0..books.plan.vms.len()).filter_map(row).collect()
}
