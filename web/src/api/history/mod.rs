//! History of many things: one question, one axis, whatever tier it comes from.

mod body;
pub(super) mod step;
mod terms;
mod things;
mod top;

pub(super) use body::state;
pub use body::{Compare, HistoryQuery, Top};
pub use terms::{Direction, EntityKind, HistoryFunction, StepWish, StepWord, TierWish, TopBy};
pub use things::HistoryEntity;
pub(crate) use top::{__path_get_top, get_top};
pub use top::{TopItem, TopList, TopParams};

use crate::api::Envelope;
use crate::api::counts::number;
use crate::api::entity;
use crate::api::extract::Body;
use crate::auth::Caller;
use crate::error::{ApiError, Problem};
use crate::state::App;
use axum::extract::State;
use body::{Asked, Order};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use vmscope_model::{Kind, catalogue};
use vmscope_store::entity::Reference;
use vmscope_store::gap::Gap;
use vmscope_store::history::among::Thing;
use vmscope_store::history::rank::{self, Ranking};
use vmscope_store::history::{self, MAX_SAMPLES, Query, Served, Values};

/// Most points times series of one answer; a comparison counts twice.
const MAX_VALUES: usize = 200_000;

/// History of some things.
#[derive(Debug, Serialize, ToSchema)]
pub struct History {
    /// Kind of the things.
    #[schema(example = "vm")]
    pub kind: &'static str,
    /// Start of the range, inclusive.
    pub from: Timestamp,
    /// End of the range, exclusive.
    pub to: Timestamp,
    /// Seconds a point; 0 when the points are the samples themselves. It is longer than asked for where samples are gone.
    pub step_s: u32,
    /// How what lies within a step became one value.
    pub function: HistoryFunction,
    /// Which tier said what, the earliest first. Where one ends for some things and not yet for others, they overlap.
    pub tiers: Vec<TierSpan>,
    /// Times of the points, Unix milliseconds, rising; with a step, the start of each.
    pub times: Vec<i64>,
    /// One for each thing and metric: the metrics of the first thing, in the order asked for, then those of the next.
    pub series: Vec<HistorySeries>,
    /// Spans in the range for which samples are known to be missing, the newest 1000.
    pub gaps: Vec<HistoryGap>,
    /// True when there are more gaps than these.
    pub truncated: bool,
}

/// What a storage tier said.
#[derive(Debug, Serialize, ToSchema)]
pub struct TierSpan {
    /// The tier: `raw`, `hour` or `day`.
    #[schema(example = "hour")]
    pub tier: &'static str,
    /// Start, inclusive.
    pub from: Timestamp,
    /// End, exclusive.
    pub to: Timestamp,
}

impl From<Served> for TierSpan {
    fn from(served: Served) -> Self {
        Self {
            tier: served.tier.name(),
            from: served.from,
            to: served.to,
        }
    }
}

/// The values of one metric of one thing.
#[derive(Debug, Serialize, ToSchema)]
pub struct HistorySeries {
    /// The thing.
    pub entity: HistoryEntity,
    /// Name of the metric.
    #[schema(example = "cpu_time_ns")]
    pub metric: &'static str,
    /// Unit of the values, as in the catalogue's `api_unit`; of the function `count` it is `1` for gauges, else `s`;
    /// of `in_state` it is `s`.
    #[schema(example = "s/s")]
    pub unit: &'static str,
    /// One value a time; null where there is none.
    pub values: Vec<Option<f64>>,
    /// The values of the earlier period, each at the time that is so much later; only when it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub compared: Option<Vec<Option<f64>>>,
}

/// A span without samples, with its cause.
#[derive(Debug, Serialize, ToSchema)]
pub struct HistoryGap {
    /// Whom it concerns: a VM, or a host and everything on it.
    #[schema(example = "vm:5f0c6d0e-6a53-4c4b-9d7e-0d4c6a3b8f11")]
    pub entity: String,
    /// First missing moment.
    pub from: Timestamp,
    /// Last missing moment.
    pub to: Timestamp,
    /// Why, as in the ledger.
    #[schema(example = "deadline")]
    pub cause: String,
    /// Which part of sampling: `host`, `cheap`, `dear` or `all`.
    #[schema(example = "dear")]
    pub group: String,
    /// Missing ticks; 0 when that can't be known.
    pub ticks: u64,
}

impl From<(Reference, Gap)> for HistoryGap {
    fn from((whose, gap): (Reference, Gap)) -> Self {
        Self {
            entity: entity::format(whose),
            from: gap.from,
            to: gap.to,
            cause: gap.cause,
            group: gap.group,
            ticks: number(gap.ticks),
        }
    }
}

/// History of many things at once, on one axis. Counters come as rates per second; no value bridges a gap. Older history comes from
/// hourly and daily values; how they meet can't be seen.
#[utoipa::path(post, path = "/history/query", tag = "history", request_body = HistoryQuery,
    responses((status = 200, description = "The history", body = Envelope<History>),
        (status = 413, description = "41300 too many values asked for, 41301 body too big, 41302 too many samples would have to be read",
            body = Problem)))]
pub(crate) async fn query_history(
    State(app): State<App>,
    caller: Caller,
    Body(query): Body<HistoryQuery>,
) -> Result<Envelope<History>, ApiError> {
    let asked = query.check()?;
    let mut things = things::find(&app, &caller, asked.kind, &asked.among, asked.top.is_some()).await?;
    if let Some(top) = &asked.top {
        things = first(&app, &asked, top, things).await?;
    }
    let query = Query {
        kind: asked.kind,
        entities: ids(&things),
        metrics: asked.metrics.clone(),
        from: asked.from,
        to: asked.to,
        step: asked.step(things.len()),
        function: asked.function.with(asked.state),
        tier: asked.tier,
        shift_s: asked.shift_s,
        max_values: MAX_VALUES,
        max_samples: MAX_SAMPLES,
    };
    let answer = history::query(&app.store, &query).await?;
    let (gaps, truncated) = history::gaps::list(&app.store, &things, asked.from, asked.to).await?;
    Ok(Envelope::ok(History {
        kind: asked.kind.name(),
        from: asked.from,
        to: asked.to,
        step_s: answer.step_s,
        function: asked.function,
        tiers: answer.tiers.into_iter().map(TierSpan::from).collect(),
        times: answer.times_ms,
        series: series(&asked, &things, answer.values, answer.compared),
        gaps: gaps.into_iter().map(HistoryGap::from).collect(),
        truncated,
    }))
}

/// The first of the things, in order.
async fn first(app: &App, asked: &Asked, top: &Order, things: Vec<Thing>) -> Result<Vec<Thing>, ApiError> {
    let ranking = Ranking {
        kind: asked.kind,
        entities: ids(&things),
        metric: top.metric,
        from: asked.from,
        to: asked.to,
        by: top.by.into(),
        tier: asked.tier,
        descending: top.descending,
        count: top.count,
    };
    let ranked = rank::rank(&app.store, &ranking).await?;
    Ok(in_order(things, &ranked.items).map(|(thing, _)| thing).collect())
}

fn ids(things: &[Thing]) -> Vec<i32> {
    things.iter().map(|thing| thing.id).collect()
}

/// The ranked things in order, each with its value.
fn in_order(things: Vec<Thing>, ranked: &[(i32, f64)]) -> impl Iterator<Item = (Thing, f64)> {
    let mut by_id: std::collections::HashMap<i32, Thing> =
        things.into_iter().map(|thing| (thing.id, thing)).collect();
    ranked
        .iter()
        .filter_map(move |(id, value)| Some((by_id.remove(id)?, *value)))
}

fn series(
    asked: &Asked,
    things: &[Thing],
    values: Vec<Values>,
    compared: Option<Vec<Values>>,
) -> Vec<HistorySeries> {
    let mut compared = compared.map(|compared| compared.into_iter().flatten());
    let named = things
        .iter()
        .flat_map(|thing| asked.metrics.iter().map(move |&column| (thing, column)));
    let series = |((thing, column), values): ((&Thing, usize), Vec<Option<f64>>)| HistorySeries {
        entity: thing.into(),
        metric: catalogue::metrics(asked.kind)[column].name,
        unit: unit(asked.kind, column, asked.function),
        values,
        compared: compared.as_mut().and_then(Iterator::next),
    };
    named.zip(values.into_iter().flatten()).map(series).collect()
}

fn unit(kind: Kind, column: usize, function: HistoryFunction) -> &'static str {
    let metric = &catalogue::metrics(kind)[column];
    match (function, metric.behaviour.name()) {
        (HistoryFunction::Count, "gauge") => "1",
        (HistoryFunction::Count | HistoryFunction::InState, _) => "s",
        _ => metric.api_unit(),
    }
}
