//! History: metrics of many things over time, on one axis, from the samples or from what they were rolled up to.
//!
//! Gauges and states are as they were stored. Counters become rates per second between neighbouring samples of the same
//! metric (nanoseconds become seconds per second). A rate belongs to the later of its two samples. There is none where
//! the counter went down (its source began anew) and none across a hole: more than three times the usual interval, more
//! than [`HOLE_S`](vmscope_model::rate::HOLE_S), and more than three times the interval before, of which
//! [`STRETCHED_S`](vmscope_model::rate::STRETCHED_S) count at most: an agent that has too much to do doubles its interval. Nor is there
//! one where the host's clock was set: forward, nobody knows how long the interval was, and in a span that was passed twice,
//! samples of two passes lie side by side.
//!
//! An answer is put together from **parts**: each tier answers for the spans in which it is the cheapest that says the same, and a
//! step that two of them have a share in gets what both say, weighted. So there is no seam. A tier is read by one statement
//! for all things. Nothing is interpolated: a step without a sample has no value.

pub mod among;
mod frame;
pub mod gaps;
mod held;
mod parts;
pub mod rank;
mod raw;
mod rolled;
mod values;

pub use crate::Tier;
pub use parts::Served;
pub(crate) use raw::LOOKBACK_S;

use crate::{Error, Store};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use vmscope_model::{Kind, Metric, catalogue};

/// How what lies in one step becomes one value. Of states all take the newest, but for [`Function::Count`] and
/// [`Function::InState`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Function {
    /// Mean; of rates: the whole increase over the whole time.
    #[default]
    Avg,
    /// Smallest.
    Min,
    /// Largest.
    Max,
    /// Newest.
    Last,
    /// What 95 of 100 samples are not above, between the two nearest. Only samples know it.
    P95,
    /// How much the others rest on: samples of a gauge; of a counter and a state the seconds that intervals between samples cover.
    Count,
    /// Seconds in the state of this code, of those that [`Function::Count`] tells: a sample's state lasts until the next one. What
    /// has no states has no value.
    InState(i16),
}

/// The distance between values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Every sample at its own time.
    Raw,
    /// Steps of so many seconds, at multiples of it since the Unix epoch. 0 counts as 1.
    Seconds(u32),
    /// One value for everything between beginning and end.
    Whole,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Kind of the things.
    pub kind: Kind,
    /// Their database ids, each once.
    pub entities: Vec<i32>,
    /// Columns of the catalogue.
    pub metrics: Vec<usize>,
    /// Beginning, inclusive; goes back to where its step begins.
    pub from: Timestamp,
    /// End, exclusive; goes on to where its step ends.
    pub to: Timestamp,
    /// Distance between values. It becomes longer where samples are no longer kept.
    pub step: Step,
    /// What becomes of the samples in a step.
    pub function: Function,
    /// Only this tier; `None` for whatever says it best.
    pub tier: Option<Tier>,
    /// The same once more, so many seconds before: a multiple of the step. Not with [`Step::Raw`].
    pub shift_s: Option<u32>,
    /// Most values (points times metrics times things) that may be returned.
    pub max_values: usize,
    /// Most samples that may have to be read, by how often they are taken at most.
    pub max_samples: u64,
}

/// The values of one thing: for each metric a value or nothing at each time.
pub type Values = Vec<Vec<Option<f64>>>;

/// What is known.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// The step that was used, in seconds; 0 for samples, and for one value for everything.
    pub step_s: u32,
    /// Which tier says what, the earliest first.
    pub tiers: Vec<Served>,
    /// Milliseconds since the Unix epoch, ascending: the beginnings of all steps, or the times of the samples.
    pub times_ms: Vec<i64>,
    /// Of each thing.
    pub values: Vec<Values>,
    /// Of each thing the values of the earlier period, at the times that are so much later; nothing when it was not asked for.
    pub compared: Option<Vec<Values>>,
}

/// Most samples that one query reads when nobody says otherwise: what a server's core reads in some ten seconds, within the time of a
/// statement.
pub const MAX_SAMPLES: u64 = 10_000_000;

/// Answers.
///
/// # Errors
/// [`Error::TooMuch`] beyond `max_values`, [`Error::TooManySamples`] beyond `max_samples`, [`Error::SamplesGone`] for a percentile of
/// a time from which there are no samples any more, [`Error::Misaligned`] for an earlier period whose steps would lie
/// elsewhere, [`Error::Range`] for a column that the catalogue lacks, or the database's failures.
pub async fn query(store: &Store, query: &Query) -> Result<Answer, Error> {
    for &column in &query.metrics {
        metric(query.kind, column)?;
    }
    let mut client = store.get().await?;
    // One view of everything: what is rolled up meanwhile is not seen half.
    let transaction = client
        .build_transaction()
        .isolation_level(tokio_postgres::IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await
        .map_err(Error::statement("history_begin"))?;
    let plan = parts::plan(&*transaction, query).await?;
    let mut answer = Answer {
        step_s: match plan.frame.step {
            Step::Seconds(seconds) => seconds,
            Step::Raw | Step::Whole => 0,
        },
        tiers: plan.served.clone(),
        ..Answer::default()
    };
    (answer.times_ms, answer.values) = values::read(&*transaction, query, &plan.frame, &plan.parts).await?;
    if let Some(earlier) = &plan.earlier {
        let (_, values) = values::read(&*transaction, query, &earlier.frame, &earlier.parts).await?;
        answer.compared = Some(values);
    }
    Ok(answer)
}

/// The metric of a column.
fn metric(kind: Kind, column: usize) -> Result<&'static Metric, Error> {
    catalogue::metrics(kind).get(column).ok_or(Error::Range {
        what: "metric",
        number: column as i128,
    })
}
