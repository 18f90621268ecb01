//! The last values of one entity, and how they are written for those who watch it.
//!
//! What everybody gets is written once: a client that keeps up asks for the values of the newest sample, which is the text that
//! all others got. One that is behind asks for what came since the sample that it had last, which others that are as far
//! behind get too.

use super::protocol::{Sample, ServerMessage};
use crate::api::entity;
use axum::extract::ws::Utf8Bytes;
use serde::{Serialize, Serializer};
use std::time::Instant;
use vmscope_model::{Kind, catalogue};
use vmscope_store::entity::Reference;

/// A value that is older than the newest one of its entity by more than this is not the last one, but gone: longer than any interval.
const STALE_US: i64 = 90_000_000;

/// API values by metric name, in the order of the catalogue.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Values(pub(super) Vec<(&'static str, f64)>);

impl Serialize for Values {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

/// What an entity last showed.
#[derive(Debug)]
pub(super) struct Latest {
    entity: Reference,
    /// When somebody last said something of it.
    pub(super) seen: Instant,
    /// Number of the newest sample of the hub; 0 before the first.
    newest: u64,
    /// By column of the catalogue.
    shown: Vec<Option<Shown>>,
    /// The text of all samples from the first number on, as long as there is no newer one.
    written: Option<(u64, Utf8Bytes)>,
}

#[derive(Debug, Clone, Copy)]
struct Shown {
    value: f64,
    time_us: i64,
    /// Number of its sample in the hub; 0 when the database said so.
    number: u64,
}

impl Latest {
    /// Nothing yet.
    pub(super) fn new(entity: Reference, now: Instant) -> Self {
        Self {
            entity,
            seen: now,
            newest: 0,
            shown: vec![None; metrics(entity.kind()).len()],
            written: None,
        }
    }

    /// Takes a sample. Numbers only grow.
    pub(super) fn take(&mut self, number: u64, time_us: i64, values: &[(usize, f64)], now: Instant) {
        self.seen = now;
        self.newest = number;
        self.written = None;
        for &(column, value) in values {
            if let Some(shown) = self.shown.get_mut(column) {
                *shown = Some(Shown {
                    value,
                    time_us,
                    number,
                });
            }
        }
    }

    /// Takes what the database knows of columns of which nothing is known yet.
    pub(super) fn fill(&mut self, values: &[(usize, i64, f64)]) {
        for &(column, time_us, value) in values {
            if let Some(shown @ None) = self.shown.get_mut(column) {
                *shown = Some(Shown {
                    value,
                    time_us,
                    number: 0,
                });
            }
        }
    }

    /// Everything that is known; `None` when that is nothing. What others have left behind by [`STALE_US`] is not true any more:
    /// a virtual machine that is off uses no processor.
    pub(super) fn sample(&self) -> Option<Sample> {
        let shown = self.shown.iter().flatten();
        let newest = shown.max_by_key(|shown| (shown.number, shown.time_us))?;
        self.choose(|shown| newest.time_us - shown.time_us <= STALE_US)
    }

    /// The message with what the samples from number `first` on have said.
    pub(super) fn write(&mut self, first: u64) -> Option<Utf8Bytes> {
        if let Some((from, text)) = &self.written
            && *from == first
        {
            return Some(text.clone());
        }
        let message = ServerMessage::Sample(self.choose(|shown| shown.number >= first)?);
        // Numbers and texts always fit into JSON.
        let text: Utf8Bytes = serde_json::to_string(&message).ok()?.into();
        self.written = Some((first, text.clone()));
        Some(text)
    }

    fn choose(&self, wanted: impl Fn(&Shown) -> bool) -> Option<Sample> {
        let columns = metrics(self.entity.kind()).iter().zip(&self.shown);
        let (mut time_us, mut values) = (None, Vec::new());
        for (metric, shown) in columns {
            if let Some(shown) = shown.filter(&wanted) {
                time_us = time_us.max(Some((shown.number, shown.time_us)));
                values.push((metric.name, shown.value));
            }
        }
        Some(Sample {
            entity: entity::format(self.entity),
            time: time_us?.1.div_euclid(1000),
            values: Values(values),
        })
    }
}

const fn metrics(kind: Kind) -> &'static [vmscope_model::Metric] {
    catalogue::metrics(kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};
    use vmscope_model::VmId;
    use vmscope_model::catalogue::vm;

    fn latest() -> Latest {
        Latest::new(Reference::Vm(VmId(uuid::Uuid::from_u128(1))), Instant::now())
    }

    fn written(latest: &mut Latest, first: u64) -> Json {
        let text = latest.write(first).expect("values");
        let mut json: Json = serde_json::from_str(&text).expect("JSON");
        json["values"].take()
    }

    #[test]
    fn who_keeps_up_gets_the_newest_sample_and_who_does_not_gets_what_he_missed() {
        let (mut latest, now) = (latest(), Instant::now());
        latest.take(5, 1_000_000, &[(vm::STATE, 1.0), (vm::VCPU_CURRENT, 2.0)], now);
        latest.take(6, 2_000_000, &[(vm::STATE, 3.0)], now);
        latest.take(9, 3_000_000, &[(vm::MEMORY_USED_BYTES, 7.0)], now);
        assert_eq!(written(&mut latest, 9), json!({"memory_used_bytes": 7.0}));
        assert_eq!(
            written(&mut latest, 6),
            json!({"memory_used_bytes": 7.0, "state": 3.0})
        );
        let all = latest.sample().expect("values");
        assert_eq!((all.time, all.values.0.len()), (3_000, 3));
        latest.take(10, 92_500_000, &[(vm::STATE, 5.0)], now);
        let all = latest.sample().expect("values");
        assert_eq!(
            all.values.0.len(),
            2,
            "of {:?} what is long gone is left out",
            all.values
        );
    }

    #[test]
    fn all_who_keep_up_share_one_text() {
        let mut latest = latest();
        latest.take(1, 0, &[(vm::STATE, 1.0)], Instant::now());
        let (one, other) = (latest.write(1).expect("text"), latest.write(1).expect("text"));
        assert_eq!(one.as_str().as_ptr(), other.as_str().as_ptr());
        latest.take(2, 0, &[(vm::STATE, 3.0)], Instant::now());
        assert_ne!(latest.write(2).expect("text"), one);
    }

    #[test]
    fn the_database_knows_nothing_better_than_a_live_sample() {
        let mut latest = latest();
        latest.take(1, 9_000_000, &[(vm::STATE, 1.0)], Instant::now());
        latest.fill(&[(vm::STATE, 8_000_000, 5.0), (vm::VCPU_CURRENT, 8_000_000, 4.0)]);
        let all = latest.sample().expect("values");
        assert_eq!(all.time, 9_000);
        assert!(all.values.0.contains(&("state", 1.0)) && all.values.0.contains(&("vcpu_current", 4.0)));
        assert_eq!(written(&mut latest, 1), json!({"state": 1.0}));
    }
}
