//! Exports that are too big to be waited for: a collector makes them, their owner fetches the file later.

use crate::api::counts::number;
use crate::api::export::{ExportFormat, HistoryExport};
use crate::api::extract::{self, Body, Id, Nothing, Params};
use crate::api::page::{self, Page};
use crate::api::{Envelope, gap, host, vm_list};
use crate::auth::Caller;
use crate::download;
use crate::error::{ApiError, Fault, Problem};
use crate::state::App;
use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use vmscope_export::{HistoryQuery, List, Spec};
use vmscope_model::access::Subject;
use vmscope_store::audit;
use vmscope_store::export::job::{self, NewJob, State as JobState};

const MANAGE: &str = "export.manage";

/// What can be exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Exported {
    /// Virtual machines.
    Vms,
    /// Hosts.
    Hosts,
    /// Entries of the loss ledger.
    Gaps,
    /// Metrics over time.
    History,
}

/// What has become of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExportState {
    /// No collector has taken it up yet.
    Queued,
    /// A collector makes it.
    Running,
    /// Its file is there.
    Done,
    /// It can't be made.
    Failed,
    /// It was cancelled before it was made.
    Cancelled,
    /// Its file is gone.
    Removed,
}

impl From<JobState> for ExportState {
    fn from(state: JobState) -> Self {
        match state {
            JobState::Queued => Self::Queued,
            JobState::Running => Self::Running,
            JobState::Done => Self::Done,
            JobState::Failed => Self::Failed,
            JobState::Cancelled => Self::Cancelled,
            JobState::Removed => Self::Removed,
        }
    }
}

/// An export that is made while nobody waits.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportJob {
    /// Its id.
    pub id: Uuid,
    /// Who asked for it.
    pub user: ExportOwner,
    /// What is exported.
    #[schema(value_type = Exported)]
    pub what: Json,
    /// Kind of file.
    #[schema(value_type = ExportFormat)]
    pub format: Json,
    /// What was asked for, as it was.
    #[schema(value_type = Object)]
    pub query: Json,
    /// What has become of it.
    pub state: ExportState,
    /// Rows so far.
    pub rows_done: u64,
    /// Rows that there will be; null when that is not known before the end.
    #[schema(required)]
    pub rows_total: Option<u64>,
    /// How big the file is; null before it is there.
    #[schema(required)]
    pub size_bytes: Option<u64>,
    /// Why it failed: `forbidden`, `not_found`, `too_big`, `storage_full`, `storage`, `gave_up`, `internal`; else null.
    #[schema(required, example = "too_big")]
    pub error: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When a collector first took it up.
    #[schema(required)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[schema(required)]
    pub finished_at: Option<Timestamp>,
    /// When its file is removed.
    #[schema(required)]
    pub expires_at: Option<Timestamp>,
}

/// Whose an export is.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportOwner {
    /// His id.
    pub id: Uuid,
    /// His name.
    pub name: String,
}

impl From<job::Job> for ExportJob {
    fn from(mut job: job::Job) -> Self {
        let mut part = |name: &str| job.query.get_mut(name).map(Json::take).unwrap_or_default();
        Self {
            what: part("what"),
            format: part("format"),
            query: part("query"),
            id: job.id,
            user: ExportOwner {
                id: job.user,
                name: job.user_name,
            },
            state: job.state.into(),
            rows_done: number(job.rows_done),
            rows_total: job.rows_total.map(number),
            size_bytes: job.size_bytes.map(number),
            error: job.error,
            created_at: job.created_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
            expires_at: job.expires_at,
        }
    }
}

/// Which exports.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct ExportListParams {
    /// Number of the page, from 1.
    #[param(minimum = 1, maximum = 100_000, default = 1)]
    page: u32,
    /// Most items a page.
    #[param(minimum = 1, maximum = 500, default = 50)]
    page_size: u32,
    /// Everybody's, which needs `export.manage`; otherwise the caller's own.
    all: bool,
}

impl Default for ExportListParams {
    fn default() -> Self {
        Self {
            page: 1,
            page_size: page::DEFAULT_SIZE,
            all: false,
        }
    }
}

/// Exports, the newest first, a page at a time.
#[utoipa::path(get, path = "/exports", tag = "exports", params(ExportListParams),
    responses((status = 200, description = "One page", body = Envelope<Page<ExportJob>>)))]
pub(crate) async fn list_exports(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<ExportListParams>,
) -> Result<Envelope<Page<ExportJob>>, ApiError> {
    let paging = page::check(params.page, params.page_size)?;
    if params.all {
        caller.require(MANAGE, &Subject::installation())?;
    }
    let user = (!params.all).then(|| caller.user());
    Ok(Envelope::ok(page::of(
        job::list(&app.store, user, paging).await?,
        paging,
    )))
}

/// An export to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewExport {
    /// What is exported.
    what: Exported,
    /// Kind of file; CSV when not given.
    #[serde(default)]
    format: ExportFormat,
    /// The parameters of the list (`/vms`, `/hosts`, `/gaps`), or the body of `/history/export` without its format.
    #[serde(default)]
    #[schema(value_type = Option<Object>, example = json!({"state": "running"}))]
    query: Option<Map<String, Json>>,
}

/// Has a file made, by a collector. Its rows are what the caller may see when it is made.
#[utoipa::path(post, path = "/exports", tag = "exports", request_body = NewExport,
    responses((status = 200, description = "The export", body = Envelope<ExportJob>),
        (status = 404, description = "40400 there is no such entity", body = Problem),
        (status = 429, description = "42900 too many requests, 42902 too many unfinished exports", body = Problem),
        (status = 503, description = "50300 database unavailable, 50302 no place for files", body = Problem)))]
pub(crate) async fn create_export(
    State(app): State<App>,
    caller: Caller,
    Params(Nothing {}): Params<Nothing>,
    Body(new): Body<NewExport>,
) -> Result<Envelope<ExportJob>, ApiError> {
    if app.storage.is_none() {
        return Err(ApiError::NoStorage);
    }
    let query = Json::Object(new.query.unwrap_or_default());
    let list = checked(new.what, query.clone(), &caller)?;
    // What could not be opened for him now is refused now.
    list.clone().open(&app.store, caller.rights()).await?;
    let spec = Spec {
        format: new.format.into(),
        list,
    };
    let spec = serde_json::to_value(spec).map_err(|error| {
        tracing::error!(%error, "an export can't be written down");
        ApiError::Internal
    })?;
    let wanted = NewJob {
        user: caller.user(),
        permissions: caller.rights().limit(),
        spec: &spec,
        query: &json!({ "what": new.what, "format": new.format, "query": query }),
    };
    let made = job::create(&app.store, &caller.context(), &wanted).await?;
    Ok(Envelope::ok(made.ok_or(ApiError::TooManyExports)?.into()))
}

/// The list that is meant, once it is known to make sense.
fn checked(what: Exported, query: Json, caller: &Caller) -> Result<List, ApiError> {
    Ok(match what {
        Exported::Vms => List::Vms(vm_list::filter(&extract::part("query", query)?, caller)?),
        Exported::Hosts => List::Hosts(host::filter(&extract::part("query", query)?, caller)?),
        Exported::Gaps => List::Gaps(gap::filter(extract::part("query", query)?, caller)?),
        // The format is said beside the query, once.
        Exported::History if query.get("format").is_some() => {
            return Err(ApiError::field("query.format", Fault::Unknown));
        }
        Exported::History => List::History(history(query)?),
    })
}

fn history(query: Json) -> Result<HistoryQuery, ApiError> {
    let wanted: HistoryExport = extract::part("query", query)?;
    wanted.check().map_err(|error| extract::within("query", error))
}

/// An export that the caller may see: his own, or any with `export.manage`.
async fn visible(app: &App, caller: &Caller, id: Uuid) -> Result<job::Job, ApiError> {
    let job = job::get(&app.store, id).await?.ok_or(ApiError::NotFound)?;
    if job.user != caller.user() {
        caller
            .require(MANAGE, &Subject::installation())
            .map_err(|_| ApiError::NotFound)?;
    }
    Ok(job)
}

/// One export.
#[utoipa::path(get, path = "/exports/{id}", tag = "exports", params(("id" = Uuid, Path, description = "The export")),
    responses((status = 200, description = "The export", body = Envelope<ExportJob>)))]
pub(crate) async fn get_export(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<Uuid>,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Envelope<ExportJob>, ApiError> {
    Ok(Envelope::ok(visible(&app, &caller, id).await?.into()))
}

/// Cancels an export, or removes its file.
#[utoipa::path(delete, path = "/exports/{id}", tag = "exports", params(("id" = Uuid, Path, description = "The export")),
    responses((status = 200, description = "What has become of it", body = Envelope<ExportJob>)))]
pub(crate) async fn remove_export(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<Uuid>,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Envelope<ExportJob>, ApiError> {
    visible(&app, &caller, id).await?;
    job::remove(&app.store, &caller.context(), id).await?;
    Ok(Envelope::ok(visible(&app, &caller, id).await?.into()))
}

/// The file of an export, for who asked for it and nobody else.
#[utoipa::path(get, path = "/exports/{id}/file", tag = "exports", params(("id" = Uuid, Path, description = "The export")),
    responses((status = 200, description = "The file", content((String = "text/csv"), (String = "application/jsonl"), (String = "application/vnd.apache.parquet"))),
        (status = 404, description = "40400 there is no such export, or no file of it", body = Problem),
        (status = 503, description = "50300 database unavailable, 50302 no place for files", body = Problem)))]
pub(crate) async fn get_export_file(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<Uuid>,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Response, ApiError> {
    let job = visible(&app, &caller, id).await?;
    if job.user != caller.user() {
        return Err(ApiError::NotFound);
    }
    let storage = app.storage.as_ref().ok_or(ApiError::NoStorage)?;
    let key = job.file.filter(|_| job.state == JobState::Done);
    let response = download::file(
        storage,
        &key.ok_or(ApiError::NotFound)?,
        &job.query,
        job.created_at,
    )
    .await?;
    let entry = audit::Entry::done("export.download").on("export", id, "");
    audit::record(&app.store, &caller.context(), &entry).await?;
    Ok(response)
}
