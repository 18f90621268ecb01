//! What somebody who begins to watch sees before the first live sample comes: the last values, and who is in a group.

use crate::entity::Reference;
use crate::schema::layout;
use crate::{Error, Store};
use jiff::Timestamp;
use std::collections::HashMap;
use std::fmt::Write as _;
use tokio_postgres::Row;
use uuid::Uuid;
use vmscope_model::metric::Behaviour;
use vmscope_model::{HostId, Kind, Metric, Unit, Value, VmId, catalogue, rate};

/// Newest rows of each thing that are looked at: what is sampled rarely is in every fifth of them or so.
const ROWS: u32 = 16;
/// Nothing older is shown as the last value of anything.
const REACH: &str = "1 day";

/// The last values of a host or virtual machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Last {
    /// Whose.
    pub entity: Reference,
    /// Columns of the catalogue, each with the time of its sample in microseconds since the Unix epoch and its API value.
    pub values: Vec<(usize, i64, f64)>,
}

/// The last values of these hosts and virtual machines; those without any are left out.
///
/// # Errors
/// The database's failures.
pub async fn last(store: &Store, entities: &[Reference]) -> Result<Vec<Last>, Error> {
    let (mut hosts, mut vms) = (Vec::new(), Vec::new());
    for entity in entities {
        match entity {
            Reference::Host(id) => hosts.push(id.0),
            Reference::Vm(id) => vms.push(id.0),
            Reference::Device { .. } => {}
        }
    }
    let mut found = of_kind(store, Kind::Host, &hosts, |id| Reference::Host(HostId(id))).await?;
    found.extend(of_kind(store, Kind::Vm, &vms, |id| Reference::Vm(VmId(id))).await?);
    Ok(found)
}

/// The virtual machines of those of these groups that exist, by UUID.
///
/// # Errors
/// The database's failures.
pub async fn members(store: &Store, groups: &[Uuid]) -> Result<HashMap<Uuid, Vec<VmId>>, Error> {
    const LIVE_MEMBERS: &str = "\
-- live_members
SELECT g.id, array_remove(array_agg(DISTINCT v.uuid), NULL) FROM vm_group g
LEFT JOIN vm_group_member m ON m.group_id = g.id LEFT JOIN vm v ON v.id = m.vm_id
WHERE g.id = ANY ($1) GROUP BY g.id";
    let rows = store
        .get()
        .await?
        .query(LIVE_MEMBERS, &[&groups])
        .await
        .map_err(Error::statement("live_members"))?;
    let members = |row: &Row| row.get::<_, Vec<Uuid>>(1).into_iter().map(VmId).collect();
    Ok(rows.iter().map(|row| (row.get(0), members(row))).collect())
}

async fn of_kind(
    store: &Store,
    kind: Kind,
    ids: &[Uuid],
    reference: impl Fn(Uuid) -> Reference,
) -> Result<Vec<Last>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = store
        .get()
        .await?
        .query(&statement(kind), &[&ids])
        .await
        .map_err(Error::statement("last_values"))?;
    let of_one = |rows: &[Row]| {
        let entity = reference(rows[0].get(0));
        let columns = catalogue::metrics(kind).iter().enumerate();
        let values = columns
            .filter_map(|(column, metric)| {
                value(rows, column, metric).map(|(time_us, value)| (column, time_us, value))
            })
            .collect();
        Last { entity, values }
    };
    let same = |one: &Row, next: &Row| one.get::<_, Uuid>(0) == next.get::<_, Uuid>(0);
    Ok(rows.chunk_by(same).map(of_one).collect())
}

/// Rows of (UUID, time, the metrics as integers or, where a scale has been divided out, as floats), newest first for each.
fn statement(kind: Kind) -> String {
    let (owner, samples) = (
        if kind == Kind::Host { "host" } else { "vm" },
        layout::table(kind),
    );
    let mut columns = String::new();
    for metric in catalogue::metrics(kind) {
        // Writing into a string can't fail.
        let _ = match metric.behaviour {
            Behaviour::Counter => write!(columns, ", s.{}::int8", metric.name),
            Behaviour::Gauge | Behaviour::State(_) => write!(columns, ", s.{}::float8", metric.name),
        };
    }
    format!(
        "-- last_values\n\
         SELECT e.uuid, s.time{columns} FROM {owner} e, LATERAL (\n\
         SELECT * FROM {samples} WHERE entity_id = e.id AND time > now() - interval '{REACH}'\n\
         ORDER BY time DESC LIMIT {ROWS}) s\n\
         WHERE e.uuid = ANY ($1) ORDER BY e.id, s.time DESC"
    )
}

/// The newest value of a column, and when it was taken.
fn value(rows: &[Row], column: usize, metric: &Metric) -> Option<(i64, f64)> {
    match metric.behaviour {
        Behaviour::Counter => {
            let mut samples = rows.iter().filter_map(|row| {
                let value: i64 = row.get::<_, Option<i64>>(2 + column)?;
                Some((time_us(row), Value::new(value)))
            });
            let (newest, before) = (samples.next()?, samples.next()?);
            let is_near = newest.0.saturating_sub(before.0) <= rate::reach_us(None);
            let rate = rate::rate(before, newest).filter(|_| is_near)?;
            Some((newest.0, rate / metric.divisor()))
        }
        Behaviour::Gauge | Behaviour::State(_) => {
            let divisor = if metric.unit == Unit::Nanoseconds {
                1e9
            } else {
                1.0
            };
            let mut samples = rows.iter();
            samples.find_map(|row| {
                let value = row.get::<_, Option<f64>>(2 + column)?;
                Some((time_us(row), value / divisor))
            })
        }
    }
}

fn time_us(row: &Row) -> i64 {
    row.get::<_, Timestamp>(1).as_microsecond()
}
