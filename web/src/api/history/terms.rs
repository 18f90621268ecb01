//! The words of a query.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vmscope_model::Kind;
use vmscope_store::Tier;
use vmscope_store::history;

/// Kinds of things that have a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum EntityKind {
    /// Hypervisor hosts.
    Host,
    /// Virtual machines.
    Vm,
    /// Virtual processors, and cores of hosts.
    Vcpu,
    /// Disks and file systems.
    Disk,
    /// Network interfaces.
    Nic,
}

impl From<EntityKind> for Kind {
    fn from(kind: EntityKind) -> Self {
        match kind {
            EntityKind::Host => Self::Host,
            EntityKind::Vm => Self::Vm,
            EntityKind::Vcpu => Self::Vcpu,
            EntityKind::Disk => Self::Disk,
            EntityKind::Nic => Self::Nic,
        }
    }
}

/// How far points are apart: seconds (1 to 2592000), `auto` (at most 600 points) or `raw` (the samples at their own times).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum StepWish {
    /// Seconds.
    Seconds(u32),
    /// A word.
    Word(StepWord),
}

/// Steps that have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StepWord {
    /// Chosen.
    Auto,
    /// The samples themselves.
    Raw,
}

impl Default for StepWish {
    fn default() -> Self {
        Self::Word(StepWord::Auto)
    }
}

/// How what lies within a step becomes one value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum HistoryFunction {
    /// Mean; the newest of states.
    #[default]
    Avg,
    /// Least.
    Min,
    /// Greatest.
    Max,
    /// Newest.
    Last,
    /// What 95 of 100 samples are not above; only samples know it.
    P95,
    /// What it rests on: samples of a gauge, seconds that are covered of a counter or state.
    Count,
    /// Seconds in one state, which `state` names; only states have it.
    #[serde(rename = "in_state")]
    InState,
}

impl HistoryFunction {
    /// With the code of the state, where there is one to be named.
    pub(in crate::api) fn with(self, code: Option<i16>) -> history::Function {
        match (self, code) {
            (Self::Avg, _) => history::Function::Avg,
            (Self::Min, _) => history::Function::Min,
            (Self::Max, _) => history::Function::Max,
            (Self::Last, _) => history::Function::Last,
            (Self::P95, _) => history::Function::P95,
            (Self::InState, Some(code)) => history::Function::InState(code),
            // A state that is not named is refused before.
            (Self::Count, _) | (Self::InState, None) => history::Function::Count,
        }
    }
}

/// From which tier.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TierWish {
    /// What says it best.
    #[default]
    Auto,
    /// Samples alone.
    Raw,
    /// Hours alone.
    Hour,
    /// Days (UTC) alone.
    Day,
}

impl TierWish {
    pub(super) const fn tier(self) -> Option<Tier> {
        match self {
            Self::Auto => None,
            Self::Raw => Some(Tier::Raw),
            Self::Hour => Some(Tier::Hour),
            Self::Day => Some(Tier::Day),
        }
    }
}

/// By which value of the whole range things are put in order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TopBy {
    /// Mean.
    #[default]
    Avg,
    /// Greatest.
    Max,
    /// Newest.
    Last,
}

impl From<TopBy> for history::Function {
    fn from(by: TopBy) -> Self {
        match by {
            TopBy::Avg => Self::Avg,
            TopBy::Max => Self::Max,
            TopBy::Last => Self::Last,
        }
    }
}

/// Which end comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The largest.
    #[default]
    Desc,
    /// The smallest.
    Asc,
}
