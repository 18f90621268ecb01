//! Filters and searches of the list of virtual machines, and who should be found by them.

use super::Auditor;
use super::inventory::Row;
use rand::RngExt;

/// Whether a machine should be found.
pub(super) type Predicate<'a> = Box<dyn Fn(&Row) -> bool + 'a>;

/// A query and whether it should find a machine.
type Query = (&'static str, fn(&Row) -> bool);

/// Queries that are the same for each fleet.
const FIXED: &[Query] = &[
    ("label=env=prod", |row| row.has_label("env", "prod")),
    ("label=tier", |row| row.labels.contains_key("tier")),
    ("label=env=dev,tier=gold", |row| {
        row.has_label("env", "dev") && row.has_label("tier", "gold")
    }),
    ("vcpus_min=4&vcpus_max=8", |row| (4..=8).contains(&row.vcpus)),
    ("memory_min_bytes=4294967296", |row| row.memory_bytes >= 4 << 30),
    (
        "state=running&label=env=stage&vcpus_max=2&memory_max_bytes=4294967296",
        |row| {
            let is_small = row.vcpus <= 2 && row.memory_bytes <= 4 << 30;
            row.state() == "running" && row.has_label("env", "stage") && is_small
        },
    ),
    ("manual=true", |_| false),
    ("archived=true", |_| false),
    ("archived=all&q=web-00", |row| matches(row, "web-00")),
];

impl Auditor<'_> {
    /// Queries, and who should be found by them.
    pub(super) fn filters<'r>(&mut self, rows: &'r [Row]) -> Vec<(String, Predicate<'r>)> {
        let mut filters: Vec<(String, Predicate<'r>)> = Vec::new();
        for state in ["running", "paused", "shutoff", "silent", "crashed"] {
            filters.push((
                format!("state={state}"),
                Box::new(move |row| row.state() == state),
            ));
        }
        for reporting in [true, false] {
            let query = format!("reporting={reporting}");
            filters.push((query, Box::new(move |row| row.reporting == reporting)));
        }
        for _ in 0..6 {
            let host = &rows[self.random.random_range(0..rows.len())].host_id;
            filters.push((format!("host={host}"), Box::new(move |row| row.host_id == *host)));
        }
        for (query, is_in) in FIXED {
            filters.push(((*query).to_owned(), Box::new(is_in)));
        }
        filters
    }

    /// Texts, and who should be found by them.
    pub(super) fn searches<'r>(&mut self, rows: &'r [Row]) -> Vec<(String, Predicate<'r>)> {
        let mut texts: Vec<String> = [
            "web-00",
            "-03",
            "DB-",
            "host-0001",
            "renamed",
            "tier=gold",
            "nobody",
        ]
        .map(str::to_owned)
        .into();
        for _ in 0..12 {
            let row = &rows[self.random.random_range(0..rows.len())];
            texts.push(row.name.clone());
            texts.push(row.id.chars().take(8).collect());
            texts.push(row.id.to_uppercase());
            texts.push(row.name[1..row.name.len() - 1].to_uppercase());
        }
        texts
            .into_iter()
            .map(|text| {
                let lower = text.to_lowercase();
                let is_in: Predicate<'r> = Box::new(move |row| matches(row, &lower));
                (text, is_in)
            })
            .collect()
    }
}

/// Whether a search finds a machine.
fn matches(row: &Row, lower: &str) -> bool {
    let labels = || row.labels.iter().map(|(key, value)| format!("{key}={value}"));
    row.name.contains(lower)
        || row.host.contains(lower)
        || labels().any(|label| label.contains(lower))
        || row.id.starts_with(lower)
}
