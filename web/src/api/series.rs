//! History of one entity's metrics.

use crate::api::Envelope;
use crate::api::extract::Params;
use crate::error::{ApiError, Problems};
use crate::state::App;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

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
    /// Seconds a point; 0 when the points are the samples themselves.
    pub step_s: u32,
    /// The storage tier that answered.
    #[schema(example = "raw")]
    pub tier: &'static str,
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
    /// Why: `deadline`, `libvirt_down`, `busy`, `evicted_by_size`, `evicted_by_age`, `corruption`, `buffer_full`.
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

/// Metrics of one entity over time. Counters come as rates per second; no value bridges a gap.
#[utoipa::path(get, path = "/series", tag = "series", params(SeriesParams),
    responses((status = 200, description = "The history", body = Envelope<Series>), Problems))]
pub async fn get_series(
    State(_app): State<App>,
    Params(_params): Params<SeriesParams>,
) -> Result<Envelope<Series>, ApiError> {
    Err(ApiError::DatabaseUnavailable)
}
