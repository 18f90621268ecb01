//! Which tier says what: pure decisions over a few facts about what is kept.
//!
//! Samples can say everything, as long as they are kept. A rolled tier may speak for whole buckets that are complete, where the
//! step is a multiple of them; it is preferred there, because it is cheaper and says the same. What is not rolled up yet (the
//! open hour, hours that late samples belong to) comes from the samples. Where those are gone, the step becomes a multiple of the
//! finest bucket that still reaches back.

use super::frame::Frame;
use super::{Function, Query, Step, Tier, held};
use crate::Error;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use tokio_postgres::GenericClient;
use vmscope_model::Kind;

/// What a tier answered for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// The tier.
    pub tier: Tier,
    /// Beginning, inclusive.
    pub from: Timestamp,
    /// End, exclusive.
    pub to: Timestamp,
}

/// A thing whose history is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) entity_id: i32,
    pub(super) host_id: i32,
    /// Every hour before is rolled up.
    pub(super) rolled_until: Timestamp,
}

/// From when on there is something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    /// Samples.
    pub(super) raw_from: Timestamp,
    /// Hours.
    pub(super) hour_from: Timestamp,
}

/// What one statement reads: one tier, a span for each thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) tier: Tier,
    pub(super) spans: Vec<Span>,
}

/// What is read of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) entity_id: i32,
    pub(super) host_id: i32,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
}

/// How a query is answered.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) frame: Frame,
    /// By time: a later part of a thing lies after an earlier one.
    pub(super) parts: Vec<Part>,
    pub(super) served: Vec<Served>,
    pub(super) earlier: Option<Earlier>,
}

/// The period to compare with.
#[derive(Debug)]
pub(super) struct Earlier {
    pub(super) frame: Frame,
    pub(super) parts: Vec<Part>,
}

/// Decides.
pub(super) async fn plan(client: &impl GenericClient, query: &Query) -> Result<Plan, Error> {
    let subjects = held::subjects(client, query.kind, &query.entities).await?;
    let held = held::held(client).await?;
    let frame = Frame::new(query.from, query.to, step(client, query, held).await?);
    let series = query.metrics.len() * query.entities.len() * (1 + usize::from(query.shift_s.is_some()));
    if frame.points().saturating_mul(series.max(1)) > query.max_values {
        return Err(Error::TooMuch {
            limit: query.max_values,
        });
    }
    let divide = |frame: &Frame| parts(frame, &subjects, held, &tiers(query, frame.step));
    let divided = divide(&frame);
    let earlier = query.shift_s.map(|shift_s| frame.earlier(shift_s)).transpose()?;
    let earlier = earlier.map(|frame| Earlier {
        parts: divide(&frame),
        frame,
    });
    let all = divided
        .iter()
        .chain(earlier.iter().flat_map(|earlier| &earlier.parts));
    if samples(query.kind, all, query.metrics.len()) > query.max_samples {
        return Err(Error::TooManySamples {
            limit: query.max_samples,
        });
    }
    Ok(Plan {
        served: divided.iter().filter_map(served).collect(),
        frame,
        parts: divided,
        earlier,
    })
}

/// The step that can be answered: that which is asked for, unless samples are gone.
async fn step(client: &impl GenericClient, query: &Query, held: Held) -> Result<Step, Error> {
    let needed = match (query.tier, query.step) {
        (Some(tier), _) if query.function != Function::P95 => tier,
        (None, Step::Raw | Step::Whole) if query.function != Function::P95 => Tier::Raw,
        _ => reaching(client, query, held).await?,
    };
    if query.function == Function::P95 && needed != Tier::Raw {
        return Err(Error::SamplesGone { since: held.raw_from });
    }
    Ok(match (query.step, needed) {
        (Step::Seconds(seconds), Tier::Hour | Tier::Day) => {
            Step::Seconds(seconds.max(1).next_multiple_of(length_s(needed)))
        }
        (Step::Raw, Tier::Hour | Tier::Day) => Step::Seconds(length_s(needed)),
        (step, _) => step,
    })
}

/// The finest tier that reaches back to the beginning, as far as anything does.
async fn reaching(client: &impl GenericClient, query: &Query, held: Held) -> Result<Tier, Error> {
    let shift = SignedDuration::from_secs(query.shift_s.unwrap_or(0).into());
    let from = query.from.saturating_sub(shift).unwrap_or(Timestamp::MIN);
    for (tier, until) in [(Tier::Day, held.hour_from), (Tier::Hour, held.raw_from)] {
        let until = until.min(query.to);
        if from < until && held::has(client, query, tier, from, until).await? {
            return Ok(tier);
        }
    }
    Ok(Tier::Raw)
}

/// The rolled tiers that may speak, the coarsest first.
fn tiers(query: &Query, step: Step) -> Allowed {
    let fits = |tier: &Tier| match step {
        Step::Raw => false,
        Step::Whole => true,
        Step::Seconds(seconds) => seconds.is_multiple_of(length_s(*tier)),
    };
    match query.tier {
        Some(Tier::Raw) => Allowed::Among(Vec::new()),
        Some(tier) => Allowed::Only(tier),
        None if query.function == Function::P95 => Allowed::Among(Vec::new()),
        None => Allowed::Among([Tier::Day, Tier::Hour].into_iter().filter(fits).collect()),
    }
}

/// Who may speak.
enum Allowed {
    /// This rolled tier alone.
    Only(Tier),
    /// These rolled tiers, and the samples.
    Among(Vec<Tier>),
}

/// Where in time a part lies beside the others of the same thing: heads and tails of what a coarser tier speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    RawHead,
    HourHead,
    Day,
    HourTail,
    RawTail,
}

impl Slot {
    const fn of(tier: Tier, head: bool) -> Self {
        match (tier, head) {
            (Tier::Raw, true) => Self::RawHead,
            (Tier::Hour, true) => Self::HourHead,
            (Tier::Day, _) => Self::Day,
            (Tier::Hour, false) => Self::HourTail,
            (Tier::Raw, false) => Self::RawTail,
        }
    }
}

fn parts(frame: &Frame, subjects: &[Subject], held: Held, allowed: &Allowed) -> Vec<Part> {
    let mut slots: BTreeMap<Slot, Part> = BTreeMap::new();
    for subject in subjects {
        let mut pieces = Vec::new();
        match allowed {
            Allowed::Only(tier) => pieces.extend(
                whole(frame.from, frame.to, *tier)
                    .map(|(from, to)| (Slot::of(*tier, false), *tier, from, to)),
            ),
            Allowed::Among(tiers) => {
                // Samples that are gone can't be rolled up again: what there is, is all there will be.
                let rolled_until = subject.rolled_until.max(held.raw_from);
                cut((frame.from, frame.to), rolled_until, tiers, false, &mut pieces);
            }
        }
        for (slot, tier, from, to) in pieces {
            let from = from.max(if tier == Tier::Raw {
                held.raw_from
            } else {
                held::first()
            });
            if from >= to {
                continue;
            }
            let part = slots.entry(slot).or_insert_with(|| Part {
                tier,
                spans: Vec::new(),
            });
            part.spans.push(Span {
                entity_id: subject.entity_id,
                host_id: subject.host_id,
                from,
                to,
            });
        }
    }
    slots.into_values().collect()
}

/// Cuts a span into what the tiers speak for: whole complete buckets of the coarsest, and the rest by the finer ones.
fn cut(
    (from, to): (Timestamp, Timestamp),
    rolled_until: Timestamp,
    tiers: &[Tier],
    head: bool,
    pieces: &mut Vec<(Slot, Tier, Timestamp, Timestamp)>,
) {
    if from >= to {
        return;
    }
    let Some((&tier, finer)) = tiers.split_first() else {
        pieces.push((Slot::of(Tier::Raw, head), Tier::Raw, from, to));
        return;
    };
    match whole(from, to.min(rolled_until), tier) {
        Some((begin, end)) => {
            cut((from, begin), rolled_until, finer, true, pieces);
            pieces.push((Slot::of(tier, head), tier, begin, end));
            cut((end, to), rolled_until, finer, head, pieces);
        }
        None => cut((from, to), rolled_until, finer, head, pieces),
    }
}

/// How long a bucket is; a sample is none.
fn length_s(tier: Tier) -> u32 {
    tier.bucket_s().unwrap_or(1)
}

/// The whole buckets between two moments, if there are any.
fn whole(from: Timestamp, to: Timestamp, tier: Tier) -> Option<(Timestamp, Timestamp)> {
    let bucket = i64::from(length_s(tier));
    let begin = from.as_second().div_euclid(bucket) * bucket;
    let begin = Timestamp::from_second(begin)
        .ok()
        .filter(|begin| *begin >= from)
        .or_else(|| Timestamp::from_second(begin + bucket).ok())?;
    let end = Timestamp::from_second(to.as_second().div_euclid(bucket) * bucket).ok()?;
    (begin < end).then_some((begin, end))
}

/// The most samples that the parts may have to read.
fn samples<'a>(kind: Kind, parts: impl Iterator<Item = &'a Part>, metrics: usize) -> u64 {
    // How often a kind is sampled by default.
    let interval_s = match kind {
        Kind::Host | Kind::Vm => 1,
        Kind::Vcpu | Kind::Disk | Kind::Nic => 5,
    };
    let seconds: u64 = parts
        .filter(|part| part.tier == Tier::Raw)
        .flat_map(|part| &part.spans)
        .map(|span| {
            u64::try_from(span.to.min(Timestamp::now()).duration_since(span.from).as_secs()).unwrap_or(0)
        })
        .sum();
    (seconds / interval_s).saturating_mul(metrics as u64)
}

/// What a part answers for, over all things.
fn served(part: &Part) -> Option<Served> {
    Some(Served {
        tier: part.tier,
        from: part.spans.iter().map(|span| span.from).min()?,
        to: part.spans.iter().map(|span| span.to).max()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_S: i64 = 86_400;
    const HOUR_S: i64 = 3600;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn pieces(span: (i64, i64), rolled_until: i64, tiers: &[Tier]) -> Vec<(Slot, i64, i64)> {
        let mut pieces = Vec::new();
        cut(
            (at(span.0), at(span.1)),
            at(rolled_until),
            tiers,
            false,
            &mut pieces,
        );
        let seconds =
            |(slot, _, from, to): (_, _, Timestamp, Timestamp)| (slot, from.as_second(), to.as_second());
        pieces.into_iter().map(seconds).collect()
    }

    #[test]
    fn a_span_is_cut_into_days_hours_and_the_rest_without_a_seam() {
        let (from, to) = (DAY_S - 2 * HOUR_S - 60, 3 * DAY_S + 5 * HOUR_S + 70);
        let found = pieces((from, to), 3 * DAY_S + 4 * HOUR_S, &[Tier::Day, Tier::Hour]);
        let expected = [
            (Slot::RawHead, from, DAY_S - 2 * HOUR_S),
            (Slot::HourHead, DAY_S - 2 * HOUR_S, DAY_S),
            (Slot::Day, DAY_S, 3 * DAY_S),
            (Slot::HourTail, 3 * DAY_S, 3 * DAY_S + 4 * HOUR_S),
            (Slot::RawTail, 3 * DAY_S + 4 * HOUR_S, to),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_not_rolled_up_comes_from_samples() {
        let both = [Tier::Day, Tier::Hour];
        assert_eq!(pieces((0, DAY_S), 0, &both), [(Slot::RawTail, 0, DAY_S)]);
        // A day that is not complete comes from its hours.
        assert_eq!(
            pieces((0, DAY_S), DAY_S - HOUR_S, &both),
            [
                (Slot::HourTail, 0, DAY_S - HOUR_S),
                (Slot::RawTail, DAY_S - HOUR_S, DAY_S)
            ]
        );
        assert_eq!(pieces((0, DAY_S), DAY_S, &[]), [(Slot::RawTail, 0, DAY_S)]);
    }

    #[test]
    fn each_moment_is_in_one_piece() {
        for from in [0, 1, HOUR_S, DAY_S - 1, DAY_S + 90] {
            for length in [1, 59, HOUR_S, 5 * HOUR_S + 1, DAY_S, 3 * DAY_S + 17] {
                for rolled_until in [0, HOUR_S, 7 * HOUR_S, DAY_S, 2 * DAY_S + HOUR_S, 9 * DAY_S] {
                    let found = pieces((from, from + length), rolled_until, &[Tier::Day, Tier::Hour]);
                    let mut end = from;
                    for (slot, begin, until) in &found {
                        assert_eq!(*begin, end, "{found:?}");
                        assert!(*slot >= Slot::HourTail || *until <= rolled_until || *slot == Slot::RawHead);
                        end = *until;
                    }
                    assert_eq!(end, from + length);
                    assert!(found.is_sorted(), "{found:?}");
                }
            }
        }
    }
}
