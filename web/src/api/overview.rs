//! The whole installation at a glance.

use crate::api::Envelope;
use crate::api::counts::{by_name, number};
use crate::api::extract::{Nothing, Params};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::state::App;
use axum::extract::State;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// How many of what, and whether live samples arrive.
#[derive(Debug, Serialize, ToSchema)]
pub struct Overview {
    /// When this was counted.
    pub as_of: Timestamp,
    /// Hosts.
    pub hosts: HostCounts,
    /// Virtual machines.
    pub vms: VmCounts,
    /// The live feed.
    pub feed: FeedState,
}

/// Hosts by whether they report.
#[derive(Debug, Serialize, ToSchema)]
pub struct HostCounts {
    /// All known hosts.
    pub total: u64,
    /// Those with a sample in the last 15 s.
    pub reporting: u64,
    /// The others.
    pub silent: u64,
}

/// Virtual machines by state.
#[derive(Debug, Serialize, ToSchema)]
pub struct VmCounts {
    /// All known VMs.
    pub total: u64,
    /// How many are in which state; those without a sample in the last 15 s are `silent`, whatever they did before. The
    /// sum is `total`; states without a VM are left out.
    #[schema(example = json!({"running": 3, "paused": 1, "silent": 2}))]
    pub by_state: BTreeMap<String, u64>,
}

/// Whether samples arrive from the collectors as they are taken.
#[derive(Debug, Serialize, ToSchema)]
pub struct FeedState {
    /// True while at least one collector feeds this server.
    pub connected: bool,
}

/// Hosts, VMs and the live feed, counted.
#[utoipa::path(get, path = "/overview", tag = "overview",
    responses((status = 200, description = "The counts", body = Envelope<Overview>)))]
pub(crate) async fn get_overview(
    State(app): State<App>,
    caller: Caller,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Envelope<Overview>, ApiError> {
    let (hosts, vms) = (
        caller.reach_or_nothing("host.read")?,
        caller.reach_or_nothing("vm.read")?,
    );
    let counted = vmscope_store::overview::get(&app.store, &hosts, &vms).await?;
    let (total, reporting) = (number(counted.hosts_total), number(counted.hosts_reporting));
    let by_state = by_name(&counted.vms_by_state);
    Ok(Envelope::ok(Overview {
        as_of: counted.as_of,
        hosts: HostCounts {
            total,
            reporting,
            silent: total.saturating_sub(reporting),
        },
        vms: VmCounts {
            total: by_state.values().sum(),
            by_state,
        },
        feed: FeedState {
            connected: app.hub.is_fed(),
        },
    }))
}
