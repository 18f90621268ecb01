//! Top lists of everything that the caller may see.

use super::things::{self, HistoryEntity, MAX_TOP};
use super::{Direction, EntityKind, TierSpan, TopBy, ids, in_order};
use crate::api::Envelope;
use crate::api::extract::Params;
use crate::auth::Caller;
use crate::error::{ApiError, Problem};
use crate::state::App;
use axum::extract::State;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use vmscope_model::{Kind, catalogue};
use vmscope_store::history::among::{Among, Thing};
use vmscope_store::history::rank::{self, Ranking};

/// How far back a top list may look, in seconds.
const RANGE_S: std::ops::RangeInclusive<i64> = 10..=31 * 86_400;

/// Which list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TopParams {
    /// Kind of the things.
    #[param(inline)]
    kind: EntityKind,
    /// Name of a metric.
    #[param(example = "cpu_time_ns")]
    metric: String,
    /// How many.
    #[serde(default = "ten")]
    #[param(minimum = 1, maximum = 100, default = 10)]
    n: usize,
    /// Seconds up to now that count.
    #[serde(default = "five_minutes")]
    #[param(minimum = 10, maximum = 2_678_400, default = 300)]
    range: i64,
    /// By which value of that time.
    #[serde(default)]
    #[param(inline)]
    by: TopBy,
    /// Which end comes first.
    #[serde(default)]
    #[param(inline)]
    direction: Direction,
}

const fn ten() -> usize {
    10
}

const fn five_minutes() -> i64 {
    300
}

impl TopParams {
    /// The metric's column, if all parameters make sense.
    fn metric(&self) -> Result<usize, ApiError> {
        let kind = Kind::from(self.kind);
        if !(1..=MAX_TOP).contains(&self.n) {
            return Err(ApiError::parameter(
                "n",
                format_args!("must be from 1 to {MAX_TOP}"),
            ));
        }
        if !RANGE_S.contains(&self.range) {
            let (least, most) = (RANGE_S.start(), RANGE_S.end());
            let problem = format_args!("must be from {least} to {most}");
            return Err(ApiError::parameter("range", problem));
        }
        catalogue::find(kind, &self.metric).ok_or_else(|| {
            let problem = format_args!("{:?} is no metric of a {kind}", self.metric);
            ApiError::parameter("metric", problem)
        })
    }
}

/// The first things in order of one metric.
#[derive(Debug, Serialize, ToSchema)]
pub struct TopList {
    /// Kind of the things.
    #[schema(example = "vm")]
    pub kind: &'static str,
    /// Name of the metric.
    #[schema(example = "cpu_time_ns")]
    pub metric: &'static str,
    /// Unit of the values.
    #[schema(example = "s/s")]
    pub unit: &'static str,
    /// By which value.
    pub by: TopBy,
    /// Start of the time whose order it is. When all the samples of a fleet would be too many, it is that of whole hours.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
    /// Which tier said it.
    pub tiers: Vec<TierSpan>,
    /// The things, in order; those without a value are left out.
    pub items: Vec<TopItem>,
}

/// A thing and its value.
#[derive(Debug, Serialize, ToSchema)]
pub struct TopItem {
    /// The thing.
    pub entity: HistoryEntity,
    /// Its value.
    pub value: f64,
}

/// Those of all things within the caller's reach that have the largest (or smallest) values.
#[utoipa::path(get, path = "/top", tag = "history", params(TopParams),
    responses((status = 200, description = "The list", body = Envelope<TopList>),
        (status = 413, description = "41300 too many things", body = Problem)))]
pub(crate) async fn get_top(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<TopParams>,
) -> Result<Envelope<TopList>, ApiError> {
    let kind = Kind::from(params.kind);
    let metric = params.metric()?;
    let to = Timestamp::now();
    let things = things::find(&app, &caller, kind, &Among::All, true).await?;
    let ranking = Ranking {
        kind,
        entities: ids(&things),
        metric,
        from: to
            .saturating_sub(SignedDuration::from_secs(params.range))
            .unwrap_or(to),
        to,
        by: params.by.into(),
        tier: None,
        descending: params.direction == Direction::Desc,
        count: params.n,
    };
    let ranked = rank::rank(&app.store, &ranking).await?;
    let item = |(thing, value): (Thing, f64)| TopItem {
        entity: (&thing).into(),
        value,
    };
    Ok(Envelope::ok(TopList {
        kind: kind.name(),
        metric: catalogue::metrics(kind)[metric].name,
        unit: catalogue::metrics(kind)[metric].api_unit(),
        by: params.by,
        from: ranked.from,
        to: ranked.to,
        tiers: ranked.tiers.into_iter().map(TierSpan::from).collect(),
        items: in_order(things, &ranked.items).map(item).collect(),
    }))
}
