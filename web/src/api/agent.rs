//! Agents: one a host, as its newest session tells.

use crate::api::Envelope;
use crate::api::extract::Params;
use crate::api::page::{self, Page};
use crate::api::vm::HostReference;
use crate::error::ApiError;
use crate::state::App;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use vmscope_model::HostId;
use vmscope_store::system::{Admission, SKEWED_US};
use vmscope_store::{Order, REPORTING_S, session, system};

/// An agent.
#[derive(Debug, Serialize, ToSchema)]
pub struct Agent {
    /// The host that it reports.
    pub host: HostReference,
    /// Its version, as it says.
    pub version: String,
    /// The collector that holds its session, or held the last one.
    pub collector: String,
    /// From where it speaks.
    #[schema(example = "192.0.2.7:51820")]
    pub remote: String,
    /// How it is.
    pub state: AgentState,
    /// When its newest session began.
    pub connected_at: Timestamp,
    /// When that ended; null while it lasts, and when its collector died before it could say so.
    #[schema(required)]
    pub disconnected_at: Option<Timestamp>,
    /// How far the host's clock was ahead of the collector's when the session began, in seconds.
    pub clock_offset_s: f64,
    /// The clock is off by more than 5 s.
    pub skewed: bool,
    /// When its newest stored sample was taken, by the host's clock; null before the first.
    #[schema(required)]
    pub last_sample_at: Option<Timestamp>,
    /// How old that sample is by the collector's clock, in seconds; null before the first.
    #[schema(required)]
    pub lag_s: Option<f64>,
    /// When its newest recorded certificate expires; null when none is recorded, as for one that was made by hand.
    #[schema(required)]
    pub certificate_expires_at: Option<Timestamp>,
    /// The certificate should have been renewed: it is past five sixths of its life, or over it.
    pub expiring: bool,
}

/// How an agent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AgentState {
    /// Its session lasts, at a collector that lives, and its samples are stored as they are taken.
    Connected,
    /// It is connected, and its newest stored sample is older than 15 s or there is none: it catches up.
    Behind,
    /// It has no session.
    Disconnected,
    /// It has no session because its host is revoked: it is not let in.
    Revoked,
}

/// Orders of the list of agents; `-` is descending.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
pub enum AgentSort {
    /// Longest without a sample first.
    #[default]
    #[serde(rename = "last_sample_at")]
    LastSample,
    /// Latest sample first.
    #[serde(rename = "-last_sample_at")]
    LastSampleDescending,
    /// By name of the host.
    #[serde(rename = "host")]
    Host,
    /// By name of the host, backwards.
    #[serde(rename = "-host")]
    HostDescending,
    /// Best clock first.
    #[serde(rename = "clock_offset")]
    ClockOffset,
    /// Worst clock first, whichever way it is off.
    #[serde(rename = "-clock_offset")]
    ClockOffsetDescending,
    /// Longest session first.
    #[serde(rename = "connected_at")]
    ConnectedAt,
    /// Newest session first.
    #[serde(rename = "-connected_at")]
    ConnectedAtDescending,
}

impl AgentSort {
    const fn order(self) -> Order<session::Sort> {
        let (by, descending) = match self {
            Self::LastSample => (session::Sort::LastSampleAt, false),
            Self::LastSampleDescending => (session::Sort::LastSampleAt, true),
            Self::Host => (session::Sort::Host, false),
            Self::HostDescending => (session::Sort::Host, true),
            Self::ClockOffset => (session::Sort::ClockOffset, false),
            Self::ClockOffsetDescending => (session::Sort::ClockOffset, true),
            Self::ConnectedAt => (session::Sort::ConnectedAt, false),
            Self::ConnectedAtDescending => (session::Sort::ConnectedAt, true),
        };
        Order { by, descending }
    }
}

/// Which agents.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct AgentParams {
    /// Number of the page, from 1.
    #[param(minimum = 1, maximum = 100_000, default = 1)]
    page: u32,
    /// Most items a page.
    #[param(minimum = 1, maximum = 500, default = 50)]
    page_size: u32,
    /// Only agents of hosts whose name contains this, in any case, or whose UUID begins with it.
    q: String,
    /// Order; the longest without a sample first when not given.
    #[param(inline)]
    sort: AgentSort,
    /// Only those of this collector, by name.
    collector: Option<String>,
    /// Only those that are connected, or only those that are not.
    connected: Option<bool>,
}

impl Default for AgentParams {
    fn default() -> Self {
        Self {
            page: 1,
            page_size: page::DEFAULT_SIZE,
            q: String::new(),
            sort: AgentSort::default(),
            collector: None,
            connected: None,
        }
    }
}

/// Microseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "an age for people")]
fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

/// How old a sample of the host's time `at` is by the collector's clock, in microseconds.
fn lag_us(now: Timestamp, at: Timestamp, clock_offset_us: i64) -> i64 {
    (now.as_microsecond() - at.as_microsecond())
        .saturating_add(clock_offset_us)
        .max(0)
}

impl AgentState {
    fn of(connected: bool, lag_s: Option<f64>, revoked: bool) -> Self {
        match (connected, revoked) {
            (true, _) if lag_s.is_some_and(|lag_s| lag_s <= seconds(REPORTING_S * 1_000_000)) => {
                Self::Connected
            }
            (true, _) => Self::Behind,
            (false, true) => Self::Revoked,
            (false, false) => Self::Disconnected,
        }
    }
}

impl Agent {
    fn at(now: Timestamp, session: session::Session, admission: Admission) -> Self {
        let lag = session
            .last_sample_at
            .map(|at| seconds(lag_us(now, at, session.clock_offset_us)));
        Self {
            host: HostReference {
                id: session.host.to_string(),
                name: session.host_name,
            },
            version: session.agent_version,
            collector: session.collector,
            remote: session.remote,
            state: AgentState::of(session.connected, lag, admission.revoked),
            connected_at: session.connected_at,
            disconnected_at: session.disconnected_at,
            clock_offset_s: seconds(session.clock_offset_us),
            skewed: session.clock_offset_us.saturating_abs() > SKEWED_US,
            last_sample_at: session.last_sample_at,
            lag_s: lag,
            certificate_expires_at: admission.expires_at,
            expiring: admission.expiring && !admission.revoked,
        }
    }
}

/// The agents, a page at a time.
#[utoipa::path(get, path = "/agents", tag = "system", params(AgentParams),
    responses((status = 200, description = "One page", body = Envelope<Page<Agent>>)))]
pub(crate) async fn list_agents(
    State(app): State<App>,
    Params(params): Params<AgentParams>,
) -> Result<Envelope<Page<Agent>>, ApiError> {
    let paging = page::check(params.page, params.page_size)?;
    let filter = session::Filter {
        search: params.q,
        collector: params.collector.filter(|name| !name.is_empty()),
        connected: params.connected,
        order: params.sort.order(),
        paging,
    };
    let found = session::list(&app.store, &filter).await?;
    let hosts: Vec<HostId> = found.items.iter().map(|session| session.host).collect();
    let admissions = system::admissions(&app.store, &hosts).await?;
    let now = Timestamp::now();
    let items = found
        .items
        .into_iter()
        .zip(admissions)
        .map(|(session, admission)| Agent::at(now, session, admission))
        .collect();
    let page = vmscope_store::Page {
        items,
        total: found.total,
    };
    Ok(Envelope::ok(page::of(page, paging)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_is_connected_may_still_catch_up() {
        assert_eq!(AgentState::of(true, Some(1.0), false), AgentState::Connected);
        assert_eq!(AgentState::of(true, Some(15.1), false), AgentState::Behind);
        assert_eq!(AgentState::of(true, None, false), AgentState::Behind);
        assert_eq!(AgentState::of(false, Some(1.0), false), AgentState::Disconnected);
        assert_eq!(AgentState::of(false, Some(1.0), true), AgentState::Revoked);
    }

    #[test]
    fn the_age_of_a_sample_is_by_the_collectors_clock() {
        let now = Timestamp::from_second(1_000_000).expect("a time");
        let at = |ago_s: i64| Timestamp::from_second(1_000_000 - ago_s).expect("a time");
        assert_eq!(lag_us(now, at(20), 0), 20_000_000);
        // A clock that is an hour late makes a fresh sample look old, one that is ahead an old one fresh.
        assert_eq!(lag_us(now, at(3600), -3_600_000_000), 0);
        assert_eq!(lag_us(now, at(-10), 30_000_000), 20_000_000);
        assert_eq!(lag_us(now, at(-10), 0), 0);
    }
}
