//! What is asked for, once it is known to make sense.

use super::step::{DEFAULT_POINTS, MAX_STEP_S, Wish};
use super::terms::{Direction, EntityKind, HistoryFunction, StepWish, StepWord, TierWish, TopBy};
use super::{MAX_VALUES, things};
use crate::api::entity;
use crate::error::{ApiError, Fault, Fields};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;
use vmscope_model::metric::Behaviour;
use vmscope_model::{HostId, Kind, catalogue};
use vmscope_store::Tier;
use vmscope_store::entity::Reference;
use vmscope_store::history::Step;
use vmscope_store::history::among::Among;

/// The range when the caller does not say it.
const DEFAULT_RANGE: SignedDuration = SignedDuration::from_hours(1);
/// Most metrics of one query.
const MAX_METRICS: usize = 64;
/// The longest time between a period and the one that it is compared with, in seconds: ten years.
const MAX_SHIFT_S: u32 = 3650 * 86_400;

/// Which history of what.
///
/// What: exactly one of `entities`, `group` and `hosts`; with `top`, none of them stands for everything that the caller may see.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HistoryQuery {
    /// Kind of the things.
    kind: EntityKind,
    /// Things of the kind: `host:<uuid>`, `vm:<uuid>`, `vcpu:<id>`, `disk:<id>` or `nic:<id>`.
    #[schema(max_items = 1000, example = json!(["vm:5f0c6d0e-6a53-4c4b-9d7e-0d4c6a3b8f11"]))]
    entities: Option<Vec<String>>,
    /// A group of virtual machines: its members, the hosts that they are on, or their devices, by `kind`.
    group: Option<Uuid>,
    /// Hosts: they, the virtual machines on them, or all devices there, by `kind`.
    #[schema(max_items = 1000)]
    hosts: Option<Vec<Uuid>>,
    /// Names of metrics of the kind.
    #[schema(min_items = 1, max_items = 64, example = json!(["cpu_time_ns"]))]
    metrics: Vec<String>,
    /// Start of the range; an hour before its end when not given.
    from: Option<Timestamp>,
    /// End of the range; now when not given.
    to: Option<Timestamp>,
    /// How far the points are apart.
    #[serde(default)]
    step: StepWish,
    /// How what lies within a step becomes one value.
    #[serde(default)]
    function: HistoryFunction,
    /// Name of the state whose time is asked for, with the function `in_state` alone.
    #[schema(example = "running")]
    state: Option<String>,
    /// From which tier; `auto` takes what says it best.
    #[serde(default)]
    tier: TierWish,
    /// Only the first of all in order.
    top: Option<Top>,
    /// The same once more, of an earlier period.
    compare: Option<Compare>,
}

/// Which things come first.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Top {
    /// How many.
    #[schema(minimum = 1, maximum = 100)]
    n: usize,
    /// By which value of the whole range.
    #[serde(default)]
    by: TopBy,
    /// By which metric; the first of `metrics` when not given.
    metric: Option<String>,
    /// Which end comes first.
    #[serde(default)]
    direction: Direction,
}

/// An earlier period of the same length.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Compare {
    /// How much earlier, in seconds: a multiple of the step.
    #[schema(minimum = 1, maximum = 315_360_000, example = 86400)]
    shift_s: u32,
}

/// What is asked for, checked.
pub(super) struct Asked {
    pub(super) kind: Kind,
    pub(super) among: Among,
    pub(super) metrics: Vec<usize>,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    step: StepWish,
    pub(super) function: HistoryFunction,
    /// Code of the state whose time is asked for.
    pub(super) state: Option<i16>,
    pub(super) tier: Option<Tier>,
    pub(super) top: Option<Order>,
    pub(super) shift_s: Option<u32>,
}

/// Which things come first, checked.
pub(super) struct Order {
    pub(super) count: usize,
    pub(super) by: TopBy,
    pub(super) metric: usize,
    pub(super) descending: bool,
}

impl HistoryQuery {
    /// What it means; everything that is wrong with it at once.
    pub(super) fn check(self) -> Result<Asked, ApiError> {
        let mut fields = Fields::default();
        let kind = Kind::from(self.kind);
        let metrics = metrics(&mut fields, kind, &self.metrics);
        let (from, to) = range(&mut fields, self.from, self.to);
        let among = among(&mut fields, kind, &self);
        let top = self
            .top
            .as_ref()
            .and_then(|top| order(&mut fields, kind, top, &metrics));
        let shift_s = self.compare.as_ref().map(|compare| compare.shift_s);
        if let Some(shift_s) = shift_s {
            let known = (1..=MAX_SHIFT_S).contains(&shift_s);
            fields.require(known, "compare.shift_s", Fault::Range(1, MAX_SHIFT_S.into()));
        }
        beside(&mut fields, self.step, shift_s);
        let state = state(&mut fields, kind, self.function, self.state.as_deref(), &metrics);
        let tier = self.tier.tier();
        let by_samples =
            self.function != HistoryFunction::P95 || !matches!(tier, Some(Tier::Hour | Tier::Day));
        fields.require(by_samples, "tier", Fault::Conflict);
        fields.check()?;
        Ok(Asked {
            kind,
            among,
            metrics,
            from,
            to,
            step: self.step,
            function: self.function,
            state,
            tier,
            top,
            shift_s,
        })
    }
}

impl Asked {
    /// The step for so many things.
    pub(super) fn step(&self, things: usize) -> Step {
        let series = things.max(1) * self.metrics.len() * (1 + usize::from(self.shift_s.is_some()));
        let most = i64::try_from(MAX_VALUES / series).unwrap_or(DEFAULT_POINTS);
        match self.step {
            StepWish::Seconds(seconds) => Step::Seconds(seconds),
            StepWish::Word(StepWord::Raw) => Step::Raw,
            StepWish::Word(StepWord::Auto) => Wish {
                from: self.from,
                to: self.to,
                points: DEFAULT_POINTS.min(most),
                samples: self.function == HistoryFunction::P95 || self.tier == Some(Tier::Raw),
                shift_s: self.shift_s.unwrap_or(0),
            }
            .choose(),
        }
    }
}

/// Requires a step that there is, and steps of the earlier period that lie beside the others.
fn beside(fields: &mut Fields, step: StepWish, shift_s: Option<u32>) {
    match step {
        StepWish::Seconds(seconds) => {
            let known = (1..=MAX_STEP_S).contains(&seconds);
            fields.require(known, "step", Fault::Range(1, MAX_STEP_S.into()));
            let beside = seconds == 0 || shift_s.is_none_or(|shift_s| shift_s.is_multiple_of(seconds));
            fields.require(beside, "compare.shift_s", Fault::NotMultiple(seconds));
        }
        // Samples of two periods have no common times.
        StepWish::Word(StepWord::Raw) => fields.require(shift_s.is_none(), "compare", Fault::Conflict),
        StepWish::Word(StepWord::Auto) => {}
    }
}

/// The columns of names, each once.
fn metrics(fields: &mut Fields, kind: Kind, names: &[String]) -> Vec<usize> {
    fields.require(!names.is_empty(), "metrics", Fault::TooShort(1));
    fields.require(names.len() <= MAX_METRICS, "metrics", Fault::TooLong(MAX_METRICS));
    let mut columns = Vec::new();
    for (name, place) in names.iter().zip(0_usize..) {
        match catalogue::find(kind, name) {
            None => fields.refuse(&format!("metrics[{place}]"), Fault::UnknownValue),
            Some(column) if columns.contains(&column) => {}
            Some(column) => columns.push(column),
        }
    }
    columns
}

/// The code of the state that is named, which every metric must have.
pub(in crate::api) fn state(
    fields: &mut Fields,
    kind: Kind,
    function: HistoryFunction,
    name: Option<&str>,
    metrics: &[usize],
) -> Option<i16> {
    let Some(name) = name else {
        fields.require(function != HistoryFunction::InState, "state", Fault::Missing);
        return None;
    };
    fields.require(function == HistoryFunction::InState, "state", Fault::Conflict);
    let codes: Option<Vec<i64>> = metrics
        .iter()
        .map(|&column| match catalogue::metrics(kind)[column].behaviour {
            Behaviour::State(states) => catalogue::state::code(states, name),
            Behaviour::Gauge | Behaviour::Counter => None,
        })
        .collect();
    let code = codes.and_then(|codes| {
        let first = codes.first().copied()?;
        codes.iter().all(|code| *code == first).then_some(first)
    });
    let code = code.and_then(|code| i16::try_from(code).ok());
    // Without any metric there is another fault already.
    fields.require(code.is_some() || metrics.is_empty(), "state", Fault::UnknownValue);
    code
}

fn range(fields: &mut Fields, from: Option<Timestamp>, to: Option<Timestamp>) -> (Timestamp, Timestamp) {
    let to = to.unwrap_or_else(Timestamp::now);
    let from = from.unwrap_or_else(|| to.saturating_sub(DEFAULT_RANGE).unwrap_or(Timestamp::MIN));
    fields.require(from < to, "from", Fault::Order);
    (from, to)
}

fn among(fields: &mut Fields, kind: Kind, query: &HistoryQuery) -> Among {
    let chosen = [
        query.entities.is_some(),
        query.group.is_some(),
        query.hosts.is_some(),
    ];
    match chosen.into_iter().filter(|chosen| *chosen).count() {
        0 => fields.require(query.top.is_some(), "entities", Fault::Missing),
        1 => {}
        _ if query.entities.is_some() => fields.refuse("entities", Fault::Conflict),
        _ => fields.refuse("group", Fault::Conflict),
    }
    let limit = |fields: &mut Fields, name: &str, length: usize| {
        fields.require(length > 0, name, Fault::TooShort(1));
        fields.require(
            length <= things::MAX_THINGS,
            name,
            Fault::TooLong(things::MAX_THINGS),
        );
    };
    if let Some(names) = &query.entities {
        limit(fields, "entities", names.len());
        return Among::Things(references(fields, kind, names));
    }
    if let Some(group) = query.group {
        return Among::Group(group);
    }
    let Some(hosts) = &query.hosts else {
        return Among::All;
    };
    limit(fields, "hosts", hosts.len());
    Among::Hosts(hosts.iter().copied().map(HostId).collect())
}

/// The things of names, each once.
fn references(fields: &mut Fields, kind: Kind, names: &[String]) -> Vec<Reference> {
    let mut references = Vec::with_capacity(names.len());
    let mut seen = std::collections::HashSet::new();
    for (name, place) in names.iter().zip(0_usize..) {
        let field = format!("entities[{place}]");
        match entity::parse(name) {
            None => fields.refuse(&field, Fault::Format),
            Some(reference) if reference.kind() != kind => fields.refuse(&field, Fault::UnknownValue),
            Some(reference) if seen.insert(reference) => references.push(reference),
            Some(_) => {}
        }
    }
    references
}

fn order(fields: &mut Fields, kind: Kind, top: &Top, metrics: &[usize]) -> Option<Order> {
    let known = (1..=things::MAX_TOP).contains(&top.n);
    fields.require(known, "top.n", Fault::Range(1, things::MAX_TOP as u64));
    let metric = match &top.metric {
        None => metrics.first().copied()?,
        Some(name) => {
            let metric = catalogue::find(kind, name);
            fields.require(metric.is_some(), "top.metric", Fault::UnknownValue);
            metric?
        }
    };
    Some(Order {
        count: top.n,
        by: top.by,
        metric,
        descending: top.direction == Direction::Desc,
    })
}
