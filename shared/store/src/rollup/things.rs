//! The things of a host whose buckets a rollup makes, and when the clocks were set that their samples are dated by.

use super::bucket::LOOKBACK_US;
use super::fold::ClockStep;
use crate::{Error, instant};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::{Client, Transaction};
use vmscope_model::{Cause, Kind};

/// Spans in which clocks were set, by host.
pub(super) type ClockSteps = BTreeMap<i32, Vec<ClockStep>>;

/// The things that a host samples or has sampled.
#[derive(Debug, Default)]
pub(super) struct Things {
    pub(super) ids: BTreeMap<Kind, Vec<i32>>,
    /// The hosts that they are on now: their clocks are meant.
    hosts: BTreeMap<(Kind, i32), i32>,
}

impl Things {
    pub(super) async fn of(client: &Client, host_id: i32) -> Result<Self, Error> {
        const THINGS_OF_HOST: &str = "\
-- things_of_host
SELECT 0::int2 AS kind, $1::int4 AS id, $1::int4 AS host_id
UNION ALL SELECT 1::int2, v.id, coalesce(v.host_id, s.host_id) FROM vm_source s JOIN vm v ON v.id = s.vm_id WHERE s.host_id = $1
UNION ALL SELECT d.kind, d.id, coalesce(v.host_id, s.host_id) FROM vm_source s JOIN vm v ON v.id = s.vm_id JOIN device d ON d.vm_id = v.id
    WHERE s.host_id = $1
UNION ALL SELECT kind, id, host_id FROM device WHERE host_id = $1 AND vm_id IS NULL
ORDER BY kind, id";
        let rows = client
            .query(THINGS_OF_HOST, &[&host_id])
            .await
            .map_err(Error::statement("things_of_host"))?;
        let mut things = Self::default();
        for row in rows {
            let code = usize::try_from(row.get::<_, i16>("kind")).unwrap_or(usize::MAX);
            let Some(&kind) = Kind::ALL.get(code) else {
                continue;
            };
            things.ids.entry(kind).or_default().push(row.get("id"));
            things.hosts.insert((kind, row.get("id")), row.get("host_id"));
        }
        Ok(things)
    }

    /// The things of a kind by the host whose clock was set; `None` for those whose was not, which are nearly all.
    pub(super) fn by_clock(
        &self,
        kind: Kind,
        ids: &[i32],
        steps: &ClockSteps,
    ) -> BTreeMap<Option<i32>, Vec<i32>> {
        let mut groups: BTreeMap<Option<i32>, Vec<i32>> = BTreeMap::new();
        for id in ids {
            let host = self
                .hosts
                .get(&(kind, *id))
                .copied()
                .filter(|host| steps.contains_key(host));
            groups.entry(host).or_default().push(*id);
        }
        groups
    }

    /// The spans in which the clocks of the things' hosts were set, of those that touch intervals of these hours.
    pub(super) async fn clock_steps(
        &self,
        transaction: &Transaction<'_>,
        from_us: i64,
        to_us: i64,
    ) -> Result<ClockSteps, Error> {
        const CLOCK_STEPS: &str = "\
-- rollup_clock_steps
SELECT host_id, from_at, to_at FROM gap
WHERE host_id = ANY ($1) AND cause = $2 AND to_at >= $3 AND from_at < $4";
        let hosts: Vec<i32> = self
            .hosts
            .values()
            .copied()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        let (from, to) = (
            instant::timestamp(from_us - LOOKBACK_US)?,
            instant::timestamp(to_us)?,
        );
        let rows = transaction
            .query(CLOCK_STEPS, &[&hosts, &Cause::ClockStep.name(), &from, &to])
            .await
            .map_err(Error::statement("rollup_clock_steps"))?;
        let mut steps = ClockSteps::new();
        for row in rows {
            let [from_us, to_us] =
                ["from_at", "to_at"].map(|end| row.get::<_, Timestamp>(end).as_microsecond());
            steps
                .entry(row.get("host_id"))
                .or_default()
                .push((from_us, to_us));
        }
        Ok(steps)
    }
}
