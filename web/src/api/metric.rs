//! The metric catalogue: what can be asked of `/series`, and what it means.

use crate::api::Envelope;
use crate::api::extract::{Nothing, Params};
use crate::language::Language;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use vmscope_model::metric::Behaviour;
use vmscope_model::{Kind, Metric, catalogue};

/// The catalogue.
#[derive(Debug, Serialize, ToSchema)]
pub struct Metrics {
    /// Every metric of every kind, in catalogue order.
    pub items: Vec<MetricInfo>,
}

/// One metric of one kind of entity.
#[derive(Debug, Serialize, ToSchema)]
pub struct MetricInfo {
    /// Kind of entity: `host`, `vm`, `vcpu`, `disk` or `nic`.
    #[schema(example = "vm")]
    pub kind: &'static str,
    /// Name within the kind.
    #[schema(example = "cpu_time_ns")]
    pub name: &'static str,
    /// Unit of the stored value: `bytes`, `count`, `ns`, `s` or `code`.
    #[schema(example = "ns")]
    pub unit: &'static str,
    /// How it behaves: `gauge`, `counter` or `state`.
    #[serde(rename = "type")]
    #[schema(example = "counter")]
    pub behaviour: &'static str,
    /// Unit of the value in `/series` and `/live`: `bytes`, `bytes/s`, `1`, `1/s`, `s/s`, `s` or `state`.
    #[schema(example = "s/s")]
    pub api_unit: &'static str,
    /// What it means, in the caller's language.
    pub help: &'static str,
    /// Which part of sampling brings it: `host`, `cheap` or `dear`. Gaps of that group, and of `all`, concern it. For
    /// devices it is that of a VM's; those of a host are of the group `host`.
    #[schema(example = "cheap")]
    pub group: &'static str,
    /// Where it is read.
    #[schema(example = "libvirt cpu.time")]
    pub source: &'static str,
    /// Names of the states by code; only for states.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = json!({"1": "running"}))]
    pub states: Option<BTreeMap<String, &'static str>>,
}

impl MetricInfo {
    fn new(kind: Kind, metric: &'static Metric, language: Language) -> Self {
        let states = match metric.behaviour {
            Behaviour::State(states) => Some(
                states
                    .iter()
                    .map(|&(code, name)| (code.to_string(), name))
                    .collect::<BTreeMap<_, _>>(),
            ),
            Behaviour::Gauge | Behaviour::Counter => None,
        };
        Self {
            kind: kind.name(),
            name: metric.name,
            unit: metric.unit.name(),
            behaviour: metric.behaviour.name(),
            api_unit: metric.api_unit(),
            help: language.pick(&metric.help),
            group: catalogue::group(kind, metric).name(),
            source: metric.source,
            states: states.filter(|states| !states.is_empty()),
        }
    }
}

/// Every metric, with its meaning in the caller's language (Accept-Language: en, zh-CN, ja-JP).
#[utoipa::path(get, path = "/metrics", tag = "metrics",
    responses((status = 200, description = "The catalogue", body = Envelope<Metrics>)))]
pub(crate) async fn list_metrics(
    language: Language,
    Params(Nothing {}): Params<Nothing>,
) -> Envelope<Metrics> {
    let of = |kind| {
        catalogue::metrics(kind)
            .iter()
            .map(move |metric| MetricInfo::new(kind, metric, language))
    };
    Envelope::ok(Metrics {
        items: Kind::ALL.into_iter().flat_map(of).collect(),
    })
}
