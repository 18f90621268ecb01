//! Series: one thing's metrics over time. What many have is [`crate::history`], which answers here too.

use crate::history::{self, MAX_SAMPLES, Served};
use crate::{Error, Store};
use jiff::Timestamp;
use vmscope_model::Kind;

pub(crate) use crate::history::LOOKBACK_S;
pub use crate::history::{Function, Step};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Kind of the thing.
    pub kind: Kind,
    /// Its database id ([`crate::entity::find`]).
    pub entity_id: i32,
    /// Columns of the catalogue.
    pub metrics: Vec<usize>,
    /// Beginning, inclusive; goes back to where its step begins.
    pub from: Timestamp,
    /// End, exclusive; goes on to where its step ends.
    pub to: Timestamp,
    /// Distance between values.
    pub step: Step,
    /// What becomes of the samples in a step.
    pub function: Function,
    /// Most values (points times metrics) that may be returned.
    pub max_values: usize,
}

/// Values by time.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    /// The step that was used, in seconds; 0 for samples.
    pub step_s: u32,
    /// Which tier says what.
    pub tiers: Vec<Served>,
    /// Milliseconds since the Unix epoch, ascending: the beginnings of all steps, or the times of the samples.
    pub times_ms: Vec<i64>,
    /// For each metric asked for, a value or nothing at each time.
    pub values: Vec<Vec<Option<f64>>>,
}

/// Reads series.
///
/// # Errors
/// Those of [`history::query`].
pub async fn query(store: &Store, query: &Query) -> Result<Series, Error> {
    let asked = history::Query {
        kind: query.kind,
        entities: vec![query.entity_id],
        metrics: query.metrics.clone(),
        from: query.from,
        to: query.to,
        step: query.step,
        function: query.function,
        tier: None,
        shift_s: None,
        max_values: query.max_values,
        max_samples: MAX_SAMPLES,
    };
    let answer = history::query(store, &asked).await?;
    Ok(Series {
        step_s: answer.step_s,
        tiers: answer.tiers,
        times_ms: answer.times_ms,
        values: answer.values.into_iter().next().unwrap_or_default(),
    })
}
