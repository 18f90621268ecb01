//! Labels and groups: by rule, by hand and within each other. They are made while the fleet is young, so that machines move and
//! get other names under them.

use super::inventory::Row;
use super::lists::{Walk, pages, same_sets, walk};
use super::{Auditor, Checks};
use crate::person::Person;
use anyhow::{Context, ensure};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use vmscope_model::label::Labels;

/// Most machines of one batch.
const BATCH: usize = 1_000;

/// A group, and who should be in it.
#[derive(Debug)]
struct Group {
    id: String,
    name: &'static str,
    rule: Option<fn(&Row) -> bool>,
    picked: BTreeSet<usize>,
    /// Groups within it, by place.
    parts: Vec<usize>,
}

/// All of them; a part comes before what it is a part of.
#[derive(Debug, Default)]
pub(in super::super) struct Groups(Vec<Group>);

fn is_prod_web(row: &Row) -> bool {
    row.has_label("env", "prod") && row.name.starts_with("web-")
}

fn is_on_first_hosts(row: &Row) -> bool {
    ["host-0000", "host-0001", "host-0002", "host-0007"].contains(&row.host.as_str())
}

fn is_database(row: &Row) -> bool {
    row.name.starts_with("db-") && !row.has_label("env", "dev")
}

fn is_renamed_or_gold(row: &Row) -> bool {
    row.name.starts_with("renamed-") || row.has_label("tier", "gold") && !row.host.ends_with('3')
}

impl Groups {
    /// Makes them; some machines are picked by hand.
    ///
    /// # Errors
    /// When the service refuses.
    pub(in super::super) fn make(person: &Person, picked: &[(usize, String)]) -> anyhow::Result<Self> {
        let mut groups = Self::default();
        groups.add(
            person,
            "prod-web",
            "label.env = prod and name ~ \"WEB-*\"",
            Some(is_prod_web),
            vec![],
        )?;
        let hosts = "host in (host-0000, host-0001, host-0002, host-0007)";
        groups.add(person, "first-hosts", hosts, Some(is_on_first_hosts), vec![])?;
        groups.add(person, "picked", "", None, vec![])?;
        let databases = "name ~ \"db-*\" and label.env != dev";
        groups.add(person, "important", databases, Some(is_database), vec![0, 2])?;
        let gold = "name ~ \"renamed-*\" or (label.tier = gold and not host ~ \"*3\")";
        groups.add(person, "gold", gold, Some(is_renamed_or_gold), vec![])?;
        groups.add(person, "all-of-it", "", None, vec![3, 1, 4])?;
        let ids: Vec<&String> = picked.iter().map(|(_, id)| id).collect();
        let body = json!({"ids": ids, "groups": {"add": [groups.0[2].id]}});
        ensure!(
            batch(person, &body)? == picked.len(),
            "a machine was not put into the group"
        );
        groups.0[2].picked = picked.iter().map(|(number, _)| *number).collect();
        Ok(groups)
    }

    fn add(
        &mut self,
        person: &Person,
        name: &'static str,
        text: &str,
        rule: Option<fn(&Row) -> bool>,
        parts: Vec<usize>,
    ) -> anyhow::Result<()> {
        let children: Vec<&String> = parts.iter().map(|part| &self.0[*part].id).collect();
        let made = person.send(
            "POST",
            "/api/v1/groups",
            &json!({"name": name, "rule": text, "children": children}),
        )?;
        self.0.push(Group {
            id: made["id"].as_str().context("an id")?.to_owned(),
            name,
            rule,
            picked: BTreeSet::new(),
            parts,
        });
        Ok(())
    }

    /// Who is in the group at a place, and why.
    fn members<'r>(&self, place: usize, rows: &'r [Row]) -> BTreeMap<&'r str, BTreeSet<&'static str>> {
        let group = &self.0[place];
        let mut members: BTreeMap<&str, BTreeSet<&'static str>> = BTreeMap::new();
        for row in rows {
            let is_nested = || {
                group
                    .parts
                    .iter()
                    .any(|part| self.members(*part, std::slice::from_ref(row)).len() == 1)
            };
            let reasons = [
                (group.picked.contains(&row.number), "direct"),
                (group.rule.is_some_and(|rule| rule(row)), "rule"),
                (is_nested(), "nested"),
            ];
            let reasons: BTreeSet<&'static str> = reasons
                .into_iter()
                .filter(|(is_so, _)| *is_so)
                .map(|(_, why)| why)
                .collect();
            if !reasons.is_empty() {
                members.insert(row.name.as_str(), reasons);
            }
        }
        members
    }

    /// The id of the group with this name.
    pub(super) fn id(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|group| group.name == name)
            .map(|group| group.id.as_str())
    }

    /// Numbers of who is in the group with this name.
    pub(super) fn numbers(&self, name: &str, rows: &[Row]) -> Vec<usize> {
        let place = self.0.iter().position(|group| group.name == name);
        let members = place.map(|place| self.members(place, rows)).unwrap_or_default();
        rows.iter()
            .filter(|row| members.contains_key(row.name.as_str()))
            .map(|row| row.number)
            .collect()
    }
}

/// Labels machines, those with the same labels together.
///
/// # Errors
/// When the service refuses, or one of them was not changed.
pub(in super::super) fn label(person: &Person, machines: &[(String, Labels)]) -> anyhow::Result<()> {
    let mut alike: BTreeMap<&Labels, Vec<&str>> = BTreeMap::new();
    for (id, labels) in machines {
        alike.entry(labels).or_default().push(id);
    }
    for (labels, ids) in alike {
        for ids in ids.chunks(BATCH) {
            let body = json!({"ids": ids, "labels": {"set": labels}});
            ensure!(
                batch(person, &body)? == ids.len(),
                "a machine was not labelled {labels:?}"
            );
        }
    }
    Ok(())
}

/// Takes a label away.
///
/// # Errors
/// When the service refuses, or one of them was not changed.
pub(in super::super) fn unlabel(person: &Person, ids: &[String], key: &str) -> anyhow::Result<()> {
    for ids in ids.chunks(BATCH) {
        let body = json!({"ids": ids, "labels": {"remove": [key]}});
        ensure!(
            batch(person, &body)? == ids.len(),
            "the label {key} was not taken away"
        );
    }
    Ok(())
}

/// How many machines of a batch were changed.
fn batch(person: &Person, body: &Json) -> anyhow::Result<usize> {
    let answer = person.send("POST", "/api/v1/vms/batch", body)?;
    let items = answer["items"].as_array().context("items")?;
    Ok(items.iter().filter(|item| item["result"] == "done").count())
}

impl Auditor<'_> {
    /// Who is in which group, and why.
    ///
    /// # Errors
    /// When the service does not answer.
    pub(in super::super) fn groups(&mut self, groups: &Groups, rows: &[Row]) -> anyhow::Result<()> {
        let listed = pages(self.person, "/api/v1/groups")?;
        self.checks
            .same("groups", "how many", &listed.len(), &groups.0.len());
        let counted = self.person.get("/api/v1/vms/statistics")?;
        for (place, group) in groups.0.iter().enumerate() {
            let expected = groups.members(place, rows);
            let one = self.person.get(&format!("/api/v1/groups/{}", group.id))?;
            self.checks
                .same("groups", group.name, &one["members"], &json!(expected.len()));
            let items = pages(self.person, &format!("/api/v1/groups/{}/members", group.id))?;
            compare(self.checks, group.name, &items, &expected);
            let statistics = counted["groups"].as_array().into_iter().flatten();
            let count = statistics
                .clone()
                .find(|item| item["name"] == group.name)
                .map(|item| item["count"].clone());
            self.checks.same(
                "groups",
                &format!("{} in statistics", group.name),
                &count,
                &Some(json!(expected.len())),
            );
            let filtered = walk(
                self.person,
                "/api/v1/vms",
                &format!("group={}", group.id),
                Walk::Cursor(400),
            )?;
            let found: BTreeSet<&str> = filtered.iter().filter_map(|item| item["name"].as_str()).collect();
            same_sets(
                self.checks,
                "groups",
                &format!("{} as a filter", group.name),
                &found,
                &expected.keys().copied().collect(),
            );
        }
        Ok(())
    }
}

fn compare(
    checks: &mut Checks,
    name: &str,
    items: &[Json],
    expected: &BTreeMap<&str, BTreeSet<&'static str>>,
) {
    let found: BTreeSet<&str> = items.iter().filter_map(|item| item["name"].as_str()).collect();
    checks.same(
        "groups",
        &format!("{name}: each once"),
        &items.len(),
        &found.len(),
    );
    same_sets(
        checks,
        "groups",
        name,
        &found,
        &expected.keys().copied().collect(),
    );
    for item in items {
        let sources: BTreeSet<&str> = item["sources"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Json::as_str)
            .collect();
        let why = item["name"].as_str().and_then(|name| expected.get(name));
        let is_same = why.is_some_and(|why| *why == sources);
        checks.require("groups", is_same, || {
            format!(
                "{name}: {} is in it by {sources:?}, expected {why:?}",
                item["name"]
            )
        });
    }
}
