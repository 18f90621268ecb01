//! Lists and history as files, sent as they are read.

use crate::api::extract::{Body, ExportParams, Nothing, Params};
use crate::api::history::{self, HistoryFunction};
use crate::api::{entity, gap, host, series, vm_list};
use crate::auth::Caller;
use crate::download;
use crate::error::{ApiError, Fault, Fields, Problem};
use crate::state::App;
use axum::extract::State;
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use vmscope_export::{Entities, Format, HistoryQuery, List};
use vmscope_model::{HostId, Kind, catalogue};
use vmscope_store::history::Step;

/// Most things that are named one by one.
const MAX_ENTITIES: usize = 1_000;
/// Most metrics.
const MAX_METRICS: usize = 100;
/// Longest range of single samples, in days.
const MAX_RAW_DAYS: i64 = 31;
/// Most steps of a range.
const MAX_STEPS: i64 = 1_000_000;

/// Kinds of files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExportFormat {
    /// Comma-separated values (RFC 4180), with a line of headings. A text that a spreadsheet would take for a formula has a `'`
    /// before it.
    #[default]
    Csv,
    /// A JSON object a line.
    Jsonl,
    /// Apache Parquet.
    Parquet,
}

impl ExportFormat {
    /// Every one.
    pub(super) const ALL: [Self; 3] = [Self::Csv, Self::Jsonl, Self::Parquet];

    /// Its name in the API.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Parquet => "parquet",
        }
    }
}

impl From<ExportFormat> for Format {
    fn from(format: ExportFormat) -> Self {
        match format {
            ExportFormat::Csv => Self::Csv,
            ExportFormat::Jsonl => Self::Jsonl,
            ExportFormat::Parquet => Self::Parquet,
        }
    }
}

/// Which kind of file.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FormatParams {
    /// Kind of file; CSV when not given.
    #[param(inline)]
    #[expect(
        dead_code,
        reason = "documents what the extractor takes out of the query itself"
    )]
    format: Option<ExportFormat>,
}

/// The virtual machines of a list, on all its pages, as a file. The page is ignored.
#[utoipa::path(get, path = "/vms/export", tag = "exports", params(vm_list::VmParams, FormatParams),
    responses((status = 200, description = "The file", content(
            (String = "text/csv"), (String = "application/jsonl"), (String = "application/vnd.apache.parquet"))),
        (status = 429, description = "42900 too many requests, 42902 too many exports", body = Problem)))]
pub(crate) async fn export_vms(
    State(app): State<App>,
    caller: Caller,
    ExportParams { format, list }: ExportParams<vm_list::VmParams>,
) -> Result<Response, ApiError> {
    let list = List::Vms(vm_list::filter(&list, &caller)?);
    download::send(&app, &caller, format.into(), list).await
}

/// The hosts of a list, on all its pages, as a file. The page is ignored.
#[utoipa::path(get, path = "/hosts/export", tag = "exports", params(host::HostParams, FormatParams),
    responses((status = 200, description = "The file", content(
            (String = "text/csv"), (String = "application/jsonl"), (String = "application/vnd.apache.parquet"))),
        (status = 429, description = "42900 too many requests, 42902 too many exports", body = Problem)))]
pub(crate) async fn export_hosts(
    State(app): State<App>,
    caller: Caller,
    ExportParams { format, list }: ExportParams<host::HostParams>,
) -> Result<Response, ApiError> {
    let list = List::Hosts(host::filter(&list, &caller)?);
    download::send(&app, &caller, format.into(), list).await
}

/// The entries of the loss ledger, on all its pages, as a file. The page is ignored.
#[utoipa::path(get, path = "/gaps/export", tag = "exports", params(gap::GapParams, FormatParams),
    responses((status = 200, description = "The file", content(
            (String = "text/csv"), (String = "application/jsonl"), (String = "application/vnd.apache.parquet"))),
        (status = 429, description = "42900 too many requests, 42902 too many exports", body = Problem)))]
pub(crate) async fn export_gaps(
    State(app): State<App>,
    caller: Caller,
    ExportParams { format, list }: ExportParams<gap::GapParams>,
) -> Result<Response, ApiError> {
    let list = List::Gaps(gap::filter(list, &caller)?);
    download::send(&app, &caller, format.into(), list).await
}

/// Which history goes into a file.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HistoryExport {
    /// Kind of file; CSV when not given.
    #[serde(default)]
    format: ExportFormat,
    /// Whose, all of one kind: `host:<uuid>`, `vm:<uuid>`, `vcpu:<id>`, `disk:<id>`, `nic:<id>`. Without these, virtual machines.
    #[serde(default)]
    #[schema(max_items = 1000)]
    entities: Option<Vec<String>>,
    /// Only the virtual machines of this group.
    #[serde(default)]
    group: Option<Uuid>,
    /// Only the virtual machines on these hosts.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Uuid>>, max_items = 1000)]
    hosts: Option<Vec<HostId>>,
    /// Kind of the things; that of the entities, else `vm`, when not given.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "vm")]
    kind: Option<Kind>,
    /// Names of metrics.
    #[schema(min_items = 1, max_items = 100, example = json!(["cpu_time_ns"]))]
    metrics: Vec<String>,
    /// Start of the range.
    from: Timestamp,
    /// End of the range.
    to: Timestamp,
    /// Seconds between rows, `raw` for the samples themselves, or `auto`, which is the default: as few rows as a chart has.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "60")]
    step: Option<WishedStep>,
    /// How the samples within a step become one value.
    #[serde(default)]
    function: HistoryFunction,
    /// Name of the state whose time is asked for, with the function `in_state` alone.
    #[serde(default)]
    #[schema(example = "running")]
    state: Option<String>,
}

/// A number of seconds, or a word.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum WishedStep {
    Seconds(u32),
    Word(String),
}

/// Metrics over time as a file: a row for each thing and moment, with a column for each metric. Moments without any value are left
/// out.
#[utoipa::path(post, path = "/history/export", tag = "exports", request_body = HistoryExport,
    responses((status = 200, description = "The file", content(
            (String = "text/csv"), (String = "application/jsonl"), (String = "application/vnd.apache.parquet"))),
        (status = 404, description = "40400 there is no such entity", body = Problem),
        (status = 429, description = "42900 too many requests, 42902 too many exports", body = Problem)))]
pub(crate) async fn export_history(
    State(app): State<App>,
    caller: Caller,
    Params(Nothing {}): Params<Nothing>,
    Body(wanted): Body<HistoryExport>,
) -> Result<Response, ApiError> {
    let format = wanted.format;
    let list = List::History(wanted.check()?);
    download::send(&app, &caller, format.into(), list).await
}

impl HistoryExport {
    /// What is asked for, once it is known to make sense.
    pub(super) fn check(self) -> Result<HistoryQuery, ApiError> {
        let mut fields = Fields::default();
        let entities = self.whose(&mut fields);
        let kind = match &entities {
            Entities::Listed(listed) => listed.first().map_or(Kind::Vm, |first| first.kind()),
            Entities::Members { .. } => Kind::Vm,
        };
        let is_right = self.kind.is_none_or(|wanted| wanted == kind);
        fields.require(is_right, "kind", Fault::UnknownValue);
        let (mut metrics, mut columns): (Vec<String>, Vec<usize>) = Default::default();
        fields.require(!self.metrics.is_empty(), "metrics", Fault::TooShort(1));
        let is_short = self.metrics.len() <= MAX_METRICS;
        fields.require(is_short, "metrics", Fault::TooLong(MAX_METRICS));
        for (number, name) in self.metrics.iter().enumerate() {
            let column = catalogue::find(kind, name);
            fields.require(
                column.is_some(),
                &format!("metrics.{number}"),
                Fault::UnknownValue,
            );
            columns.extend(column);
            if !metrics.contains(name) {
                metrics.push(name.clone());
            }
        }
        let state = history::state(&mut fields, kind, self.function, self.state.as_deref(), &columns);
        fields.require(self.from < self.to, "to", Fault::Format);
        let step_s = self.step_s(&mut fields);
        fields.check()?;
        Ok(HistoryQuery {
            entities,
            kind,
            metrics,
            from: self.from,
            to: self.to,
            step_s,
            function: self.function.with(state),
        })
    }

    fn whose(&self, fields: &mut Fields) -> Entities {
        let is_short = |items: usize| items <= MAX_ENTITIES;
        if let Some(hosts) = &self.hosts {
            fields.require(is_short(hosts.len()), "hosts", Fault::TooLong(MAX_ENTITIES));
        }
        let Some(names) = &self.entities else {
            return Entities::Members {
                group: self.group,
                hosts: self.hosts.clone(),
            };
        };
        fields.require(self.group.is_none(), "group", Fault::Unknown);
        fields.require(self.hosts.is_none(), "hosts", Fault::Unknown);
        fields.require(!names.is_empty(), "entities", Fault::TooShort(1));
        fields.require(is_short(names.len()), "entities", Fault::TooLong(MAX_ENTITIES));
        let mut listed = Vec::new();
        for (number, name) in names.iter().enumerate().take(MAX_ENTITIES) {
            let one_kind = listed
                .first()
                .map(|first: &vmscope_store::entity::Reference| first.kind());
            match entity::parse(name) {
                Some(found) if one_kind.is_none_or(|kind| kind == found.kind()) => {
                    if !listed.contains(&found) {
                        listed.push(found);
                    }
                }
                _ => fields.refuse(&format!("entities.{number}"), Fault::Format),
            }
        }
        Entities::Listed(listed)
    }

    /// The step; none for the samples themselves.
    fn step_s(&self, fields: &mut Fields) -> Option<u32> {
        let range = self.to.duration_since(self.from);
        let step = match &self.step {
            None => series::step(None, self.from, self.to),
            Some(WishedStep::Word(word)) if word == "auto" => series::step(None, self.from, self.to),
            Some(WishedStep::Word(word)) => series::step(Some(word), self.from, self.to),
            Some(WishedStep::Seconds(seconds)) => {
                series::step(Some(&seconds.to_string()), self.from, self.to)
            }
        };
        match step {
            Ok(Step::Raw) => {
                let is_short = range <= SignedDuration::from_hours(24 * MAX_RAW_DAYS);
                fields.require(is_short, "to", Fault::TooFar(MAX_RAW_DAYS));
                None
            }
            Ok(Step::Seconds(step_s)) => {
                let most_s = i64::from(step_s) * MAX_STEPS;
                fields.require(range.as_secs() <= most_s, "to", Fault::TooFar(most_s / 86_400));
                Some(step_s)
            }
            Ok(Step::Whole) | Err(_) => {
                fields.refuse("step", Fault::Format);
                None
            }
        }
    }
}
