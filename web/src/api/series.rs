//! History of one entity's metrics.

use crate::api::Envelope;
use crate::api::counts::number;
use crate::api::entity;
use crate::api::extract::Params;
use crate::api::history::TierSpan;
use crate::api::history::step::{DEFAULT_POINTS, Wish};
use crate::auth::Caller;
use crate::error::{ApiError, Problem};
use crate::state::App;
use axum::extract::State;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use vmscope_model::{Kind, catalogue};
use vmscope_store::gap::Gap;
use vmscope_store::history::Tier;
use vmscope_store::series::{self, Step};
use vmscope_store::subject::{self, Whose};

/// Most points times metrics of one answer.
const MAX_VALUES: usize = 20_000;
/// The range when the caller does not say it.
const DEFAULT_RANGE: SignedDuration = SignedDuration::from_hours(1);
/// Longest step, in seconds.
const MAX_STEP_S: u32 = 86_400;

/// The metrics of one entity over one range of time.
#[derive(Debug, Serialize, ToSchema)]
pub struct Series {
    /// The entity, as asked for.
    #[schema(example = "vm:5f0c6d0e-6a53-4c4b-9d7e-0d4c6a3b8f11")]
    pub entity: String,
    /// Start of the range, inclusive.
    pub from: Timestamp,
    /// End of the range, exclusive.
    pub to: Timestamp,
    /// Seconds a point; 0 when the points are the samples themselves. It is longer than asked for where samples are gone.
    pub step_s: u32,
    /// The coarsest storage tier that answered; `raw` when there is nothing.
    #[schema(example = "raw")]
    pub tier: &'static str,
    /// Which tier said what, the earliest first.
    pub tiers: Vec<TierSpan>,
    /// Times of the points, Unix milliseconds, rising; with a step, the start of each.
    pub times: Vec<i64>,
    /// One per metric, in the order asked for.
    pub series: Vec<MetricSeries>,
    /// Spans in the range for which samples are known to be missing.
    pub gaps: Vec<SeriesGap>,
}

/// The values of one metric.
#[derive(Debug, Serialize, ToSchema)]
pub struct MetricSeries {
    /// Name of the metric.
    #[schema(example = "cpu_time_ns")]
    pub metric: String,
    /// Unit of the values, as in the catalogue's `api_unit`.
    #[schema(example = "s/s")]
    pub unit: &'static str,
    /// One value a time; null where there is none.
    pub values: Vec<Option<f64>>,
}

/// A span without samples, with its cause.
#[derive(Debug, Serialize, ToSchema)]
pub struct SeriesGap {
    /// First missing moment.
    pub from: Timestamp,
    /// Last missing moment.
    pub to: Timestamp,
    /// Why: `deadline`, `libvirt_down`, `busy`, `evicted_by_size`, `evicted_by_age`, `corruption`, `buffer_full`,
    /// `unexplained`, `agent_down`, `agent_stopped`, `agent_killed`, `host_down`, `clock_step` (nothing is missing: the clock was
    /// set, forward or back), `host_suspended`.
    #[schema(example = "deadline")]
    pub cause: String,
    /// Which part of sampling: `host`, `cheap`, `dear` or `all`.
    #[schema(example = "dear")]
    pub group: String,
    /// Missing ticks; 0 when that can't be known.
    pub ticks: u64,
}

/// How the samples within a step become one value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Function {
    /// Mean.
    #[default]
    Avg,
    /// Least.
    Min,
    /// Greatest.
    Max,
    /// Latest.
    Last,
}

/// Which history.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SeriesParams {
    /// `host:<uuid>`, `vm:<uuid>`, `vcpu:<id>`, `disk:<id>` or `nic:<id>`.
    entity: String,
    /// Names of metrics, separated by commas.
    #[param(example = "cpu_time_ns,vcpu_delay_ns")]
    metrics: String,
    /// Start of the range, RFC 3339; an hour before its end when not given.
    from: Option<Timestamp>,
    /// End of the range, RFC 3339; now when not given.
    to: Option<Timestamp>,
    /// Seconds a point, or `raw` for the samples themselves; chosen for at most 600 points when not given.
    #[param(example = "60")]
    step: Option<String>,
    /// How the samples within a step become one value.
    #[serde(default)]
    #[param(inline)]
    function: Function,
}

impl From<Function> for series::Function {
    fn from(function: Function) -> Self {
        match function {
            Function::Avg => Self::Avg,
            Function::Min => Self::Min,
            Function::Max => Self::Max,
            Function::Last => Self::Last,
        }
    }
}

/// Metrics of one entity over time. Counters come as rates per second; no value bridges a gap.
#[utoipa::path(get, path = "/series", tag = "series", params(SeriesParams),
    responses((status = 200, description = "The history", body = Envelope<Series>),
        (status = 404, description = "40400 there is no such entity", body = Problem),
        (status = 413, description = "41300 too many values asked for", body = Problem)))]
pub(crate) async fn get_series(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<SeriesParams>,
) -> Result<Envelope<Series>, ApiError> {
    let reference = entity::parse(&params.entity).ok_or_else(|| {
        ApiError::parameter(
            "entity",
            "must be host:<uuid>, vm:<uuid>, vcpu:<id>, disk:<id> or nic:<id>",
        )
    })?;
    let metrics = columns(reference.kind(), &params.metrics)?;
    let (from, to) = range(params.from, params.to)?;
    let step = step(params.step.as_deref(), from, to)?;
    let (whose, subject) = subject::of_entity(&app.store, reference)
        .await?
        .ok_or(ApiError::NotFound)?;
    let permission = match whose {
        Whose::Host => "host.read",
        Whose::Vm => "vm.read",
    };
    caller.find(permission, &subject)?;
    let entity_id = vmscope_store::entity::find(&app.store, reference)
        .await?
        .ok_or(ApiError::NotFound)?;
    let query = series::Query {
        kind: reference.kind(),
        entity_id,
        metrics,
        from,
        to,
        step,
        function: params.function.into(),
        max_values: MAX_VALUES,
    };
    let stored = series::query(&app.store, &query).await?;
    let coarsest = stored
        .tiers
        .iter()
        .map(|served| served.tier)
        .max()
        .unwrap_or(Tier::Raw);
    let gaps = vmscope_store::gap::list(&app.store, reference, from, to).await?;
    Ok(Envelope::ok(Series {
        entity: entity::format(reference),
        from,
        to,
        step_s: stored.step_s,
        tier: coarsest.name(),
        tiers: stored.tiers.into_iter().map(TierSpan::from).collect(),
        times: stored.times_ms,
        series: query
            .metrics
            .iter()
            .zip(stored.values)
            .map(|(&column, values)| named(query.kind, column, values))
            .collect(),
        gaps: gaps.into_iter().map(SeriesGap::from).collect(),
    }))
}

impl From<Gap> for SeriesGap {
    fn from(gap: Gap) -> Self {
        Self {
            from: gap.from,
            to: gap.to,
            cause: gap.cause,
            group: gap.group,
            ticks: number(gap.ticks),
        }
    }
}

fn named(kind: Kind, column: usize, values: Vec<Option<f64>>) -> MetricSeries {
    let metric = &catalogue::metrics(kind)[column];
    MetricSeries {
        metric: metric.name.to_owned(),
        unit: metric.api_unit(),
        values,
    }
}

/// The columns of comma-separated names, each once.
fn columns(kind: Kind, names: &str) -> Result<Vec<usize>, ApiError> {
    let mut columns = Vec::new();
    for name in names.split(',').map(str::trim) {
        let column = catalogue::find(kind, name).ok_or_else(|| {
            ApiError::parameter("metrics", format_args!("{name:?} is no metric of a {kind}"))
        })?;
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    Ok(columns)
}

fn range(from: Option<Timestamp>, to: Option<Timestamp>) -> Result<(Timestamp, Timestamp), ApiError> {
    let to = to.unwrap_or_else(Timestamp::now);
    let from = match from {
        Some(from) => from,
        None => to
            .checked_sub(DEFAULT_RANGE)
            .map_err(|_| ApiError::parameter("to", "is out of range"))?,
    };
    if from >= to {
        return Err(ApiError::parameter("from", "must be before to"));
    }
    Ok((from, to))
}

/// The step that was asked for, or one that keeps the range below [`DEFAULT_POINTS`].
pub(super) fn step(wish: Option<&str>, from: Timestamp, to: Timestamp) -> Result<Step, ApiError> {
    match wish {
        Some("raw") => Ok(Step::Raw),
        Some(seconds) => seconds
            .parse()
            .ok()
            .filter(|seconds| (1..=MAX_STEP_S).contains(seconds))
            .map(Step::Seconds)
            .ok_or_else(|| {
                ApiError::parameter(
                    "step",
                    format_args!("must be raw or seconds from 1 to {MAX_STEP_S}"),
                )
            }),
        None => {
            let wish = Wish {
                from,
                to,
                points: DEFAULT_POINTS,
                samples: false,
                shift_s: 0,
            };
            Ok(wish.choose())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_named_twice_comes_once() {
        let columns = columns(Kind::Vm, "cpu_time_ns, state,cpu_time_ns").expect("columns");
        assert_eq!(columns, [catalogue::vm::CPU_TIME_NS, catalogue::vm::STATE]);
    }
}
