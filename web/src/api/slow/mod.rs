//! Why a virtual machine is slow: where its time went, its disks, its host and the neighbours there, and what dominates.

mod code;
mod verdict;

use crate::api::Envelope;
use crate::api::extract::{Id, Params};
use crate::api::gap::VmReference;
use crate::api::history::TierSpan;
use crate::auth::Caller;
use crate::error::{ApiError, Problem};
use crate::language::Language;
use crate::state::App;
use axum::extract::State;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use utoipa::{IntoParams, ToSchema};
use vmscope_model::VmId;
use vmscope_model::catalogue::state;
use vmscope_store::slow::{self, Slow};
use vmscope_store::subject;

/// The span when the caller does not say it.
const DEFAULT_RANGE: SignedDuration = SignedDuration::from_mins(15);
/// The longest span.
const MAX_RANGE: SignedDuration = SignedDuration::from_hours(31 * 24);

/// Which span.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SlowParams {
    /// Start, RFC 3339; 15 minutes before the end when not given.
    from: Option<Timestamp>,
    /// End, RFC 3339, at most 31 days later; now when not given.
    to: Option<Timestamp>,
}

/// What a virtual machine did in a span, and what dominated. Null is what is not known.
#[derive(Debug, Serialize, ToSchema)]
pub struct WhySlow {
    /// The span.
    pub window: Window,
    /// Which tier said what.
    pub tiers: Vec<TierSpan>,
    /// Its newest state in the span.
    #[schema(required, example = "running")]
    pub state: Option<&'static str>,
    /// Virtual processors.
    #[schema(required)]
    pub vcpus: Option<f64>,
    /// Where its processors' time went.
    pub shares: TimeShares,
    /// What its memory cost.
    pub memory: MemoryPressure,
    /// Its disks.
    pub disks: Vec<DiskSpeed>,
    /// Its host; null when the caller may not see it.
    #[schema(required)]
    pub host: Option<HostLoad>,
    /// What dominates.
    pub verdict: SlowVerdict,
}

/// A span of time.
#[derive(Debug, Serialize, ToSchema)]
pub struct Window {
    /// Start, inclusive.
    pub from: Timestamp,
    /// End, exclusive.
    pub to: Timestamp,
}

/// Shares of the time of all virtual processors, from 0 to 1.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimeShares {
    /// They ran.
    #[schema(required)]
    pub run: Option<f64>,
    /// They were ready, and the host had no core free.
    #[schema(required)]
    pub ready: Option<f64>,
    /// They waited for I/O.
    #[schema(required)]
    pub io_wait: Option<f64>,
    /// The guest had halted them, because it had nothing to do.
    #[schema(required)]
    pub halted: Option<f64>,
    /// The rest.
    #[schema(required)]
    pub idle: Option<f64>,
}

/// What memory costs a virtual machine.
#[derive(Debug, Serialize, ToSchema)]
pub struct MemoryPressure {
    /// Page faults a second for which the host had to read the machine's memory from its swap.
    #[schema(required)]
    pub host_faults_per_s: Option<f64>,
    /// Bytes a second that the guest read from and wrote to its own swap.
    #[schema(required)]
    pub guest_swap_bytes_per_s: Option<f64>,
}

/// How fast a disk was.
#[derive(Debug, Serialize, ToSchema)]
pub struct DiskSpeed {
    /// Its id.
    #[schema(example = "17")]
    pub id: String,
    /// Its name.
    #[schema(example = "vda")]
    pub name: String,
    /// Seconds a read; null without any.
    #[schema(required)]
    pub read_latency_s: Option<f64>,
    /// Seconds a write; null without any.
    #[schema(required)]
    pub write_latency_s: Option<f64>,
    /// Requests a second.
    #[schema(required)]
    pub iops: Option<f64>,
}

/// How busy a host was.
#[derive(Debug, Serialize, ToSchema)]
pub struct HostLoad {
    /// Its UUID.
    #[schema(format = "uuid")]
    pub id: String,
    /// Its name.
    pub name: String,
    /// Share of its cores' time in which they did something.
    #[schema(required)]
    pub cpu_busy: Option<f64>,
    /// Share that a machine below took away.
    #[schema(required)]
    pub steal: Option<f64>,
    /// The other machines on it that used most of its processors.
    pub neighbours: Vec<Neighbour>,
}

/// Another machine on the same host.
#[derive(Debug, Serialize, ToSchema)]
pub struct Neighbour {
    /// Which; null when the caller may not see it.
    #[schema(required)]
    pub vm: Option<VmReference>,
    /// Share of the host's cores that it used.
    pub cpu_share: f64,
    /// Disk requests a second.
    #[schema(required)]
    pub iops: Option<f64>,
}

/// What dominates.
#[derive(Debug, Serialize, ToSchema)]
pub struct SlowVerdict {
    /// What: `no_data`, `not_running`, `cpu_contention`, `host_steal`, `host_memory`, `guest_memory`, `disk_latency`, `io_wait`,
    /// `cpu_bound`, `idle` or `nothing`.
    #[schema(example = "cpu_contention")]
    pub code: &'static str,
    /// The numbers that it rests on, by name.
    #[schema(example = json!({"ready": 0.12, "busy": 0.97, "share": 0.4}))]
    pub numbers: BTreeMap<&'static str, f64>,
    /// It in a sentence, in the caller's language.
    pub text: String,
}

/// Why a virtual machine is slow: where its time went in a span, beside its disks and its host, and what dominates.
#[utoipa::path(get, path = "/vms/{id}/slow", tag = "vms",
    params(("id" = String, Path, description = "UUID of the VM", format = "uuid"), SlowParams),
    responses((status = 200, description = "What is known", body = Envelope<WhySlow>),
        (status = 413, description = "41302 too many samples would have to be read", body = Problem)))]
pub(crate) async fn get_slow(
    State(app): State<App>,
    caller: Caller,
    language: Language,
    Id(id): Id<VmId>,
    Params(params): Params<SlowParams>,
) -> Result<Envelope<WhySlow>, ApiError> {
    let (from, to) = range(&params)?;
    let subject = subject::of_vm(&app.store, id).await?.ok_or(ApiError::NotFound)?;
    caller.find("vm.read", &subject)?;
    let mut slow = slow::look(&app.store, id, from, to)
        .await?
        .ok_or(ApiError::NotFound)?;
    let visible = visible(&app, &caller, &mut slow).await?;
    let busiest = slow.host.as_ref().and_then(|host| host.neighbours.first());
    let named = busiest.filter(|busiest| visible.contains(&busiest.id));
    let verdict = verdict::judge(&slow, named.map(|busiest| busiest.name.as_str()));
    let verdict = SlowVerdict {
        code: verdict.code.name(),
        text: verdict.text(language),
        numbers: verdict.numbers,
    };
    Ok(Envelope::ok(answer(Window { from, to }, slow, &visible, verdict)))
}

fn range(params: &SlowParams) -> Result<(Timestamp, Timestamp), ApiError> {
    let to = params.to.unwrap_or_else(Timestamp::now);
    let from = params
        .from
        .unwrap_or_else(|| to.saturating_sub(DEFAULT_RANGE).unwrap_or(to));
    if from >= to {
        return Err(ApiError::parameter("from", "must be before to"));
    }
    if to.duration_since(from) > MAX_RANGE {
        return Err(ApiError::parameter("from", "must be at most 31 days before to"));
    }
    Ok((from, to))
}

/// Takes away the host if the caller may not see it; says which of the neighbours he may.
async fn visible(app: &App, caller: &Caller, slow: &mut Slow) -> Result<HashSet<VmId>, ApiError> {
    let Some(host) = &slow.host else {
        return Ok(HashSet::new());
    };
    let hosts = subject::of_hosts(&app.store, &[host.id]).await?;
    let reach = caller.reach_or_nothing("host.read")?;
    if !hosts.get(&host.id).is_some_and(|subject| reach.includes(subject)) {
        slow.host = None;
        return Ok(HashSet::new());
    }
    let neighbours: Vec<VmId> = host.neighbours.iter().map(|neighbour| neighbour.id).collect();
    let reach = caller.reach_or_nothing("vm.read")?;
    let subjects = subject::of_vms(&app.store, &neighbours).await?;
    let seen = subjects
        .into_iter()
        .filter(|(_, subject)| reach.includes(subject));
    Ok(seen.map(|(id, _)| id).collect())
}

fn answer(window: Window, slow: Slow, visible: &HashSet<VmId>, verdict: SlowVerdict) -> WhySlow {
    let shares = TimeShares {
        idle: idle(&slow),
        run: slow.run,
        ready: slow.ready,
        io_wait: slow.io_wait,
        halted: slow.halted,
    };
    #[expect(clippy::cast_possible_truncation, reason = "a small whole number")]
    let state = slow.state.and_then(|code| state::name(state::VM, code as i64));
    WhySlow {
        window,
        tiers: slow.tiers.into_iter().map(TierSpan::from).collect(),
        state,
        vcpus: slow.vcpus,
        shares,
        memory: MemoryPressure {
            host_faults_per_s: slow.host_faults,
            guest_swap_bytes_per_s: slow.guest_swap,
        },
        disks: slow.disks.into_iter().map(DiskSpeed::from).collect(),
        host: slow.host.map(|host| load(host, visible)),
        verdict,
    }
}

/// What is left of the processors' time.
fn idle(slow: &Slow) -> Option<f64> {
    let rest = 1.0
        - slow.run?
        - slow.ready.unwrap_or(0.0)
        - slow.io_wait.unwrap_or(0.0)
        - slow.halted.unwrap_or(0.0);
    Some(rest.max(0.0))
}

impl From<slow::Disk> for DiskSpeed {
    fn from(disk: slow::Disk) -> Self {
        Self {
            id: disk.id.to_string(),
            name: disk.name,
            read_latency_s: disk.read_latency_s,
            write_latency_s: disk.write_latency_s,
            iops: disk.iops,
        }
    }
}

fn load(host: slow::Host, visible: &HashSet<VmId>) -> HostLoad {
    let neighbour = |neighbour: slow::Neighbour| Neighbour {
        vm: visible.contains(&neighbour.id).then(|| VmReference {
            id: neighbour.id.to_string(),
            name: neighbour.name,
        }),
        cpu_share: neighbour.cpu_share,
        iops: neighbour.iops,
    };
    HostLoad {
        id: host.id.to_string(),
        name: host.name,
        cpu_busy: host.cpu_busy,
        steal: host.steal,
        neighbours: host.neighbours.into_iter().map(neighbour).collect(),
    }
}
