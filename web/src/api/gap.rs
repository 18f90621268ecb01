//! The loss ledger: what is missing, of whom, and why.

use crate::api::Envelope;
use crate::api::counts::number;
use crate::api::extract::Params;
use crate::api::page;
use crate::api::vm::HostReference;
use crate::auth::Caller;
use crate::error::ApiError;
use crate::state::App;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use vmscope_model::{Cause, Group, HostId, Position, VmId};
use vmscope_store::gap;

/// One page of the ledger, newest first, and what the whole of it comes to.
#[derive(Debug, Serialize, ToSchema)]
pub struct GapPage {
    /// What is on this page.
    pub items: Vec<Gap>,
    /// Number of this page, from 1.
    pub page: u32,
    /// Most items a page.
    pub page_size: u32,
    /// Entries on all pages.
    pub total: u64,
    /// The entries on all pages by cause, the most frequent first.
    pub causes: Vec<CauseTotal>,
}

/// An entry of the ledger: a span for which samples are missing.
#[derive(Debug, Serialize, ToSchema)]
pub struct Gap {
    /// Its number.
    #[schema(example = "4711")]
    pub id: String,
    /// Whose samples are missing.
    pub host: HostReference,
    /// The VM concerned; null when the whole host is.
    #[schema(required)]
    pub vm: Option<VmReference>,
    /// Why: `deadline`, `libvirt_down`, `busy`, `evicted_by_size`, `evicted_by_age`, `corruption`, `buffer_full`,
    /// `unexplained`, `agent_down`, `agent_stopped`, `agent_killed`, `host_down`, `clock_step` (nothing is missing: the clock was
    /// set, forward or back), `host_suspended`.
    #[schema(example = "deadline")]
    pub cause: String,
    /// Which part of sampling: `host`, `cheap`, `dear` or `all`.
    #[schema(example = "dear")]
    pub group: String,
    /// First missing moment.
    pub from: Timestamp,
    /// Last missing moment.
    pub to: Timestamp,
    /// Missing ticks, 0 for a step of the clock; null when that can't be known.
    #[schema(required)]
    pub ticks: Option<u64>,
    /// Which ticks were lost, by number; null for samples that were never taken.
    #[schema(required)]
    pub positions: Option<Positions>,
}

/// A range of ticks, both ends inclusive. An end with sequence 0 lies before the first tick of its epoch.
#[derive(Debug, Serialize, ToSchema)]
pub struct Positions {
    /// Epoch (one run of the agent) and sequence of the first.
    #[schema(example = "3.1024")]
    pub first: String,
    /// Epoch and sequence of the last.
    #[schema(example = "3.1060")]
    pub last: String,
}

/// The VM of an entry.
#[derive(Debug, Serialize, ToSchema)]
pub struct VmReference {
    /// UUID.
    #[schema(format = "uuid")]
    pub id: String,
    /// Name of its domain.
    pub name: String,
}

/// How much is missing for one cause.
#[derive(Debug, Serialize, ToSchema)]
pub struct CauseTotal {
    /// The cause.
    #[schema(example = "deadline")]
    pub cause: String,
    /// Entries.
    pub entries: u64,
    /// Missing ticks, as far as they are known.
    pub ticks: u64,
    /// Entries whose ticks can't be known.
    pub uncounted: u64,
}

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct GapParams {
    /// Number of the page, from 1.
    #[param(minimum = 1, maximum = 100_000, default = 1)]
    page: u32,
    /// Most items a page.
    #[param(minimum = 1, maximum = 500, default = 50)]
    page_size: u32,
    /// Only those of this host and its VMs, by UUID.
    #[param(value_type = Option<String>, format = "uuid")]
    host: Option<HostId>,
    /// Only those that concern this VM, by UUID: its own and those of its whole host.
    #[param(value_type = Option<String>, format = "uuid")]
    vm: Option<VmId>,
    /// Only those with this cause.
    #[param(example = "deadline")]
    cause: Option<String>,
    /// Only those of this part of sampling: `host`, `cheap`, `dear` or `all`.
    #[param(example = "dear")]
    group: Option<String>,
    /// Only those that end at this moment or later, RFC 3339.
    from: Option<Timestamp>,
    /// Only those that begin at this moment or earlier, RFC 3339.
    to: Option<Timestamp>,
}

impl Default for GapParams {
    fn default() -> Self {
        Self {
            page: 1,
            page_size: page::DEFAULT_SIZE,
            host: None,
            vm: None,
            cause: None,
            group: None,
            from: None,
            to: None,
        }
    }
}

impl From<gap::Entry> for Gap {
    fn from(entry: gap::Entry) -> Self {
        let name = |position: Position| format!("{}.{}", position.epoch, position.sequence);
        let counted = entry.gap.ticks > 0 || entry.gap.cause == Cause::ClockStep.name();
        let ticks = counted.then(|| number(entry.gap.ticks));
        Self {
            id: entry.id.to_string(),
            host: HostReference {
                id: entry.host.to_string(),
                name: entry.host_name,
            },
            vm: entry.vm.map(|(id, name)| VmReference {
                id: id.to_string(),
                name,
            }),
            cause: entry.gap.cause,
            group: entry.gap.group,
            from: entry.gap.from,
            to: entry.gap.to,
            ticks,
            positions: entry.positions.map(|(first, last)| Positions {
                first: name(first),
                last: name(last),
            }),
        }
    }
}

impl From<gap::CauseTotal> for CauseTotal {
    fn from(total: gap::CauseTotal) -> Self {
        Self {
            cause: total.cause,
            entries: number(total.entries),
            ticks: number(total.ticks),
            uncounted: number(total.uncounted),
        }
    }
}

/// What is asked for, once it is known to make sense, within the caller's reach.
pub(super) fn filter(params: GapParams, caller: &Caller) -> Result<gap::Filter, ApiError> {
    let paging = page::check(params.page, params.page_size)?;
    if params.from.zip(params.to).is_some_and(|(from, to)| from > to) {
        return Err(ApiError::parameter("from", "must not be after to"));
    }
    let causes = Cause::ALL.map(Cause::name);
    let groups = Group::ALL.map(Group::name);
    Ok(gap::Filter {
        host: params.host,
        vm: params.vm,
        cause: known("cause", params.cause, &causes)?,
        group: known("group", params.group, &groups)?,
        from: params.from,
        to: params.to,
        reach: caller.reach("ledger.read")?,
        paging,
    })
}

/// `value` if it is one of `names`; none when it is empty.
fn known(parameter: &str, value: Option<String>, names: &[&str]) -> Result<Option<String>, ApiError> {
    match value.filter(|value| !value.is_empty()) {
        Some(value) if !names.contains(&value.as_str()) => Err(ApiError::parameter(
            parameter,
            format_args!("{value:?} is none of {}", names.join(", ")),
        )),
        value => Ok(value),
    }
}

/// The loss ledger, a page at a time. Each tick that got a number is stored, or stands in exactly one entry.
#[utoipa::path(get, path = "/gaps", tag = "gaps", params(GapParams),
    responses((status = 200, description = "One page", body = Envelope<GapPage>)))]
pub(crate) async fn list_gaps(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<GapParams>,
) -> Result<Envelope<GapPage>, ApiError> {
    let filter = filter(params, &caller)?;
    let (found, totals) = gap::page(&app.store, &filter).await?;
    Ok(Envelope::ok(GapPage {
        items: found.items.into_iter().map(Gap::from).collect(),
        page: filter.paging.page,
        page_size: filter.paging.page_size,
        total: number(found.total),
        causes: totals.into_iter().map(CauseTotal::from).collect(),
    }))
}
