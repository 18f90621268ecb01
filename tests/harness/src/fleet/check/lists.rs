//! Pages, orders, filters, searches and counts of the list of virtual machines.

use super::super::plan::SECOND_US;
use super::inventory::{Row, lasting};
use super::queries::Predicate;
use super::{Auditor, Checks, Thing, micros};
use crate::person::Person;
use anyhow::{Context, ensure};
use rand::RngExt;
use serde_json::{Value as Json, json};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use vmscope_model::catalogue::vm;

/// Most hosts that statistics tell.
const MOST_COUNTED: usize = 100;

/// How much older than its newest sample a machine's row may be: it is written anew every ten seconds, and a dear sample comes every five.
const OLDEST_US: i64 = 16 * SECOND_US;

/// How a list is walked through.
#[derive(Debug, Clone, Copy)]
pub(super) enum Walk {
    Pages(usize),
    Cursor(usize),
}

/// Everything that a list has, part by part.
pub(super) fn walk(person: &Person, path: &str, query: &str, walk: Walk) -> anyhow::Result<Vec<Json>> {
    let (mut items, mut page, mut cursor) = (Vec::new(), 1, String::new());
    loop {
        let part = match walk {
            Walk::Pages(size) => format!("page={page}&page_size={size}"),
            Walk::Cursor(size) => format!("limit={size}&cursor={cursor}"),
        };
        let answer = person.get(&format!("{path}?{query}&{part}"))?;
        let found = answer["items"].as_array().context("items")?;
        items.extend(found.iter().cloned());
        let total = answer["total"].as_u64().context("a total")?;
        let size = match walk {
            Walk::Pages(size) | Walk::Cursor(size) => size,
        };
        ensure!(found.len() <= size, "{path}?{query}: a part of {}", found.len());
        let is_last = match walk {
            Walk::Pages(size) => total <= (page * size) as u64,
            Walk::Cursor(_) => answer["next_cursor"].is_null(),
        };
        if is_last {
            ensure!(
                total == items.len() as u64,
                "{path}?{query}: {total} items, {} came",
                items.len()
            );
            return Ok(items);
        }
        page += 1;
        answer["next_cursor"]
            .as_str()
            .unwrap_or_default()
            .clone_into(&mut cursor);
    }
}

/// The items of a numbered list of another resource.
pub(super) fn pages(person: &Person, path: &str) -> anyhow::Result<Vec<Json>> {
    walk(person, path, "", Walk::Pages(500))
}

impl Auditor<'_> {
    /// Everything about the list.
    ///
    /// # Errors
    /// When the service does not answer.
    pub(in super::super) fn lists(&mut self, rows: &[Row]) -> anyhow::Result<()> {
        self.walks(rows)?;
        self.orders(rows)?;
        for (query, is_in) in self.filters(rows) {
            self.filtered("filter", &query, rows, &is_in)?;
            self.statistics(&query, rows, &is_in)?;
        }
        for (text, is_in) in self.searches(rows) {
            self.filtered("search", &format!("q={text}"), rows, &is_in)?;
        }
        self.hosts()
    }

    /// Each machine once, as it was sent, by page and by cursor.
    fn walks(&mut self, rows: &[Row]) -> anyhow::Result<()> {
        for way in [
            Walk::Pages(500),
            Walk::Pages(37),
            Walk::Cursor(333),
            Walk::Cursor(500),
        ] {
            let items = walk(self.person, "/api/v1/vms", "", way)?;
            self.checks
                .same("list", &format!("{way:?}"), &items.len(), &rows.len());
            let mut found: HashMap<&str, &Json> = HashMap::new();
            for item in &items {
                let id = item["id"].as_str().unwrap_or_default();
                let again = found.insert(id, item);
                self.checks
                    .require("list", again.is_none(), || format!("{way:?}: {id} twice"));
            }
            for row in rows {
                let expected = row.json();
                let item = found.get(row.id.as_str()).map(|item| lasting(item, &expected));
                self.checks
                    .same("list", &format!("{way:?} {}", row.name), &item, &Some(expected));
            }
        }
        Ok(())
    }

    /// Several keys, up and down.
    fn orders(&mut self, rows: &[Row]) -> anyhow::Result<()> {
        const ORDERS: [&str; 8] = [
            "",
            "-name",
            "host,-name",
            "-state,vcpus,name",
            "memory_maximum,-vcpus,host,name",
            "-memory_maximum,-name",
            "vcpus,-host,state",
            "-host,-vcpus",
        ];
        for sort in ORDERS {
            let way = if self.random.random_bool(0.5) {
                Walk::Pages(250)
            } else {
                Walk::Cursor(170)
            };
            let items = walk(self.person, "/api/v1/vms", &format!("sort={sort}"), way)?;
            let keys: Vec<&str> = if sort.is_empty() {
                vec!["name"]
            } else {
                sort.split(',').collect()
            };
            let by_id: HashMap<&str, &Row> = rows.iter().map(|row| (row.id.as_str(), row)).collect();
            let found: Vec<&Row> = items
                .iter()
                .filter_map(|item| by_id.get(item["id"].as_str()?).copied())
                .collect();
            let distinct: BTreeSet<usize> = found.iter().map(|row| row.number).collect();
            self.checks
                .same("order", &format!("{sort} {way:?}"), &distinct.len(), &rows.len());
            for pair in found.windows(2) {
                self.checks.require(
                    "order",
                    compare(&keys, pair[0], pair[1]) != Ordering::Greater,
                    || format!("{sort} {way:?}: {} before {}", pair[0].name, pair[1].name),
                );
            }
        }
        Ok(())
    }

    fn filtered(
        &mut self,
        area: &'static str,
        query: &str,
        rows: &[Row],
        is_in: &Predicate<'_>,
    ) -> anyhow::Result<()> {
        let items = walk(self.person, "/api/v1/vms", query, Walk::Cursor(500))?;
        let found = names(&items);
        let expected: BTreeSet<&str> = rows
            .iter()
            .filter(|row| is_in(row))
            .map(|row| row.name.as_str())
            .collect();
        self.checks.same(area, query, &items.len(), &expected.len());
        same_sets(self.checks, area, query, &found, &expected);
        Ok(())
    }

    /// What the machines of a filter come to.
    fn statistics(&mut self, query: &str, rows: &[Row], is_in: &Predicate<'_>) -> anyhow::Result<()> {
        let answer = self.person.get(&format!("/api/v1/vms/statistics?{query}"))?;
        let chosen: Vec<&Row> = rows.iter().filter(|row| is_in(row)).collect();
        self.checks
            .same("statistics", query, &answer["total"], &json!(chosen.len()));
        let states = count(chosen.iter().map(|row| row.state().to_owned()));
        self.checks
            .same("statistics", query, &answer["by_state"], &json!(states));
        let named = |list: &Json| -> Vec<(String, u64)> {
            let item = |item: &Json| Some((item["name"].as_str()?.to_owned(), item["count"].as_u64()?));
            list.as_array().into_iter().flatten().filter_map(item).collect()
        };
        let hosts = most(count(chosen.iter().map(|row| row.host.clone())));
        self.checks
            .same("statistics", query, &named(&answer["hosts"]), &hosts);
        let labels = chosen
            .iter()
            .flat_map(|row| row.labels.iter().map(|(key, value)| format!("{key}={value}")));
        let labels = most(count(labels));
        let label = |item: &Json| {
            let (key, value) = (item["key"].as_str()?, item["value"].as_str()?);
            Some((format!("{key}={value}"), item["count"].as_u64()?))
        };
        let found: Vec<(String, u64)> = answer["labels"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(label)
            .collect();
        self.checks.same("statistics", query, &found, &labels);
        Ok(())
    }

    /// The list of hosts.
    fn hosts(&mut self) -> anyhow::Result<()> {
        let items = pages(self.person, "/api/v1/hosts")?;
        let found = names(&items);
        let plan = &self.books.plan;
        let expected: BTreeSet<&str> = plan.hosts.iter().map(|host| host.name.as_str()).collect();
        same_sets(self.checks, "hosts", "all", &found, &expected);
        Ok(())
    }

    /// What lists say of the values that change: those of one of the last samples.
    ///
    /// # Errors
    /// When the service does not answer.
    pub(in super::super) fn last_values(&mut self, rows: &[Row]) -> anyhow::Result<()> {
        let way = Walk::Cursor(500);
        let items = walk(self.person, "/api/v1/vms", "sort=-memory_used,name", way)?;
        let by_id: HashMap<&str, &Row> = rows.iter().map(|row| (row.id.as_str(), row)).collect();
        let used = |item: &Json| item["memory_used_bytes"].as_i64();
        self.checks
            .same("last values", "machines", &items.len(), &rows.len());
        let is_sorted = items.is_sorted_by(|one, other| used(one) >= used(other));
        self.checks
            .same("last values", "in the order of memory_used", &is_sorted, &true);
        for item in &items {
            let Some(row) = item["id"].as_str().and_then(|id| by_id.get(id)) else {
                continue;
            };
            let sent = self.books.samples(Thing::Vm(row.number), vm::MEMORY_USED_BYTES);
            let is_recent = |(time_us, _): &&(i64, i64)| row.last_us - time_us < OLDEST_US;
            // The last one is known however old it is: who is off has no newer one.
            let recent = sent.iter().rev().take_while(is_recent).chain(sent.last());
            let recent: BTreeSet<Option<i64>> = recent.map(|(_, value)| Some(*value)).collect();
            let found = used(item);
            let is_sent = recent.contains(&found) || sent.is_empty() && found.is_none();
            self.checks.require("last values", is_sent, || {
                format!("{}: {found:?} was not sent lately", row.name)
            });
            let age_us = row.last_us - micros(&item["last_sample_at"])?;
            let is_recent = (0..OLDEST_US).contains(&age_us);
            self.checks.require("last values", is_recent, || {
                format!("{}: the last sample was {age_us} us later", row.name)
            });
        }
        Ok(())
    }
}

fn names(items: &[Json]) -> BTreeSet<&str> {
    items.iter().filter_map(|item| item["name"].as_str()).collect()
}

/// Holds two sets of names against each other, in few words.
pub(super) fn same_sets(
    checks: &mut Checks,
    area: &'static str,
    what: &str,
    found: &BTreeSet<&str>,
    expected: &BTreeSet<&str>,
) {
    let some = |one: &BTreeSet<&str>, other: &BTreeSet<&str>| -> Vec<String> {
        one.difference(other)
            .take(5)
            .map(|name| (*name).to_owned())
            .collect()
    };
    checks.require(area, found == expected, || {
        let (more, less) = (some(found, expected), some(expected, found));
        format!(
            "{what}: {} of {}, too many {more:?}, too few {less:?}",
            found.len(),
            expected.len()
        )
    });
}

fn count(names: impl Iterator<Item = String>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    counts
}

/// The largest first, the same by name.
fn most(counts: BTreeMap<String, u64>) -> Vec<(String, u64)> {
    let mut counts: Vec<(String, u64)> = counts.into_iter().collect();
    counts.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    counts.truncate(MOST_COUNTED);
    counts
}

/// The order of two machines by some keys.
fn compare(keys: &[&str], one: &Row, other: &Row) -> Ordering {
    for key in keys {
        let order = match key.trim_start_matches('-') {
            "name" => one.name.cmp(&other.name),
            "host" => one.host.cmp(&other.host),
            "state" => one.code.cmp(&other.code),
            "vcpus" => one.vcpus.cmp(&other.vcpus),
            _ => one.memory_bytes.cmp(&other.memory_bytes),
        };
        let order = if key.starts_with('-') {
            order.reverse()
        } else {
            order
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}
