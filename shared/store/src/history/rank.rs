//! Top-N: the things in order of one value each.
//!
//! Of a short time, and of few things, the samples themselves are read. Of all the samples of a fleet nobody would wait for the
//! answer: then the order is that of whole hours that are rolled up, as many as the time is long.

use super::{Function, Query, Served, Step, Tier, query};
use crate::{Error, Store};
use jiff::{SignedDuration, Timestamp};
use std::cmp::Ordering;
use vmscope_model::Kind;

const HOUR_S: i64 = 3600;

/// How long after its end an hour of a whole fleet may still be in the making, in seconds.
const SETTLING_S: i64 = 600;

/// Most samples that are read for an order: about two seconds of a server's core.
const MAX_SAMPLES: u64 = 2_000_000;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranking {
    /// Kind of the things.
    pub kind: Kind,
    /// Their database ids.
    pub entities: Vec<i32>,
    /// Column of the catalogue.
    pub metric: usize,
    /// Beginning, inclusive.
    pub from: Timestamp,
    /// End, exclusive.
    pub to: Timestamp,
    /// Which value of each thing.
    pub by: Function,
    /// Only from this tier.
    pub tier: Option<Tier>,
    /// The largest come first.
    pub descending: bool,
    /// How many.
    pub count: usize,
}

/// Some things in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// Beginning of the time whose order it is.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
    /// Which tier said it.
    pub tiers: Vec<Served>,
    /// Things with a value, in order; the same value by id.
    pub items: Vec<(i32, f64)>,
}

/// Orders.
///
/// # Errors
/// Those of [`query`].
pub async fn rank(store: &Store, ranking: &Ranking) -> Result<Ranked, Error> {
    let asked = Query {
        kind: ranking.kind,
        entities: ranking.entities.clone(),
        metrics: vec![ranking.metric],
        from: ranking.from,
        to: ranking.to,
        step: Step::Whole,
        function: ranking.by,
        tier: ranking.tier,
        shift_s: None,
        max_values: usize::MAX,
        max_samples: MAX_SAMPLES,
    };
    match query(store, &asked).await {
        Err(Error::TooManySamples { .. }) if ranking.tier.is_none() && ranking.by != Function::P95 => {
            let (from, to) = whole_hours(ranking.from, ranking.to);
            let hours = Query {
                from,
                to,
                tier: Some(Tier::Hour),
                ..asked
            };
            let answer = query(store, &hours).await?;
            Ok(order(ranking, &hours, answer))
        }
        answer => Ok(order(ranking, &asked, answer?)),
    }
}

/// As many whole hours as the time is long, the last of them one that is over for some time.
fn whole_hours(from: Timestamp, to: Timestamp) -> (Timestamp, Timestamp) {
    let hour_s = HOUR_S;
    let end_s = (to.as_second() - SETTLING_S).div_euclid(hour_s) * hour_s;
    let length_s = to.duration_since(from).as_secs().max(1);
    let end = Timestamp::from_second(end_s).unwrap_or(to);
    let length = SignedDuration::from_secs((length_s + hour_s - 1).div_euclid(hour_s) * hour_s);
    (end.saturating_sub(length).unwrap_or(from), end)
}

fn order(ranking: &Ranking, asked: &Query, answer: super::Answer) -> Ranked {
    let value = |values: super::Values| values.into_iter().flatten().next().flatten();
    let valued = asked.entities.iter().zip(answer.values);
    let mut items: Vec<(i32, f64)> = valued
        .filter_map(|(&id, values)| Some((id, value(values)?)))
        .collect();
    items.sort_by(|one, other| {
        let order = one.1.partial_cmp(&other.1).unwrap_or(Ordering::Equal);
        let order = if ranking.descending {
            order.reverse()
        } else {
            order
        };
        order.then(one.0.cmp(&other.0))
    });
    items.truncate(ranking.count);
    Ranked {
        from: asked.from,
        to: asked.to,
        tiers: answer.tiers,
        items,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_end_with_the_last_whole_one() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        assert_eq!(whole_hours(at(3500), at(7900)), (at(0), at(7200)));
        assert_eq!(whole_hours(at(7000), at(7900)), (at(3600), at(7200)));
        // The hour that has just ended may not be known of everybody.
        assert_eq!(whole_hours(at(7000), at(7300)), (at(0), at(3600)));
    }
}
