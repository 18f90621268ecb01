//! Metrics over time: a row for each thing and moment, thing by thing and a slice of time after the other.

use crate::spec::reach;
use crate::{Cell, Column, ColumnKind, Error};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use uuid::Uuid;
use vmscope_model::access::Effective;
use vmscope_model::{HostId, Kind, catalogue};
use vmscope_store::Store;
use vmscope_store::entity::Reference;
use vmscope_store::export::{self, Entity, Members};
use vmscope_store::series::{self, Function, Step};
use vmscope_store::subject::{self, Whose};

/// Steps that are read at once.
const SLICE_POINTS: i64 = 5_000;

/// Seconds of samples that are read at once: at one a second, some thousands.
const RAW_SLICE_S: i64 = 3_600;

/// More values than a slice can have: the smallest interval of an agent is a tenth of a second.
const SLICE_VALUES: usize = 4_000_000;

/// Which history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryQuery {
    /// Of what; all of one kind.
    pub entities: Entities,
    /// Its kind.
    pub kind: Kind,
    /// Names of metrics, each once.
    pub metrics: Vec<String>,
    /// Beginning, inclusive.
    pub from: Timestamp,
    /// End, exclusive.
    pub to: Timestamp,
    /// Seconds between rows; every sample when not given.
    pub step_s: Option<u32>,
    /// What becomes of the samples in a step.
    pub function: Function,
}

/// Whose history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Entities {
    /// Of these.
    Listed(Vec<Reference>),
    /// Of virtual machines.
    Members {
        /// Only of those in this group.
        group: Option<Uuid>,
        /// Only of those on these hosts.
        hosts: Option<Vec<HostId>>,
    },
}

pub(super) struct History {
    store: Store,
    query: HistoryQuery,
    /// Columns of the catalogue.
    metrics: Vec<usize>,
    /// Things that are known and yet to be read.
    ahead: VecDeque<Entity>,
    /// Where to look for more of them: above the last one's id.
    members: Option<(Members, i32)>,
    /// The thing that is being read, and from when on.
    current: Option<(Entity, Timestamp)>,
}

impl History {
    pub(super) async fn open(store: &Store, query: HistoryQuery, rights: &Effective) -> Result<Self, Error> {
        let column = |name: &String| {
            catalogue::find(query.kind, name).ok_or_else(|| Error::UnknownMetric(name.clone()))
        };
        let metrics = query.metrics.iter().map(column).collect::<Result<_, _>>()?;
        let (mut ahead, mut members) = (VecDeque::new(), None);
        match &query.entities {
            Entities::Listed(listed) => {
                for &reference in listed {
                    ahead.push_back(visible(store, reference, rights).await?);
                }
            }
            Entities::Members { group, hosts } => {
                let found = Members {
                    group: *group,
                    hosts: hosts.clone(),
                    reach: reach(rights, "vm.read")?,
                };
                members = Some((found, 0));
            }
        }
        Ok(Self {
            store: store.clone(),
            query,
            metrics,
            ahead,
            members,
            current: None,
        })
    }

    pub(super) fn columns(&self) -> Vec<Column> {
        let mut columns = vec![
            Column::new("entity", ColumnKind::Text),
            Column::new("name", ColumnKind::Text),
            Column::new("time", ColumnKind::Time),
        ];
        let metrics = self.query.metrics.iter();
        columns.extend(metrics.map(|name| Column::new(name, ColumnKind::Real)));
        columns
    }

    /// The rows of the next slice that has any; moments without a value are left out.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Vec<Cell>>>, Error> {
        loop {
            let Some((entity, from)) = self.thing().await? else {
                return Ok(None);
            };
            let to = self.end_of_slice(from);
            let series = self.read(&entity, from, to).await?;
            let rows = rows(&entity, &series);
            self.current = (to < self.query.to).then_some((entity, to));
            if !rows.is_empty() {
                return Ok(Some(rows));
            }
        }
    }

    /// What is read next, from when on.
    async fn thing(&mut self) -> Result<Option<(Entity, Timestamp)>, Error> {
        if let Some(current) = self.current.take() {
            return Ok(Some(current));
        }
        if self.ahead.is_empty()
            && let Some((members, after)) = &mut self.members
        {
            let (found, _) = export::members(&self.store, members, *after).await?;
            *after = found.last().map_or(*after, |last| last.id);
            self.ahead.extend(found);
        }
        Ok(self.ahead.pop_front().map(|entity| (entity, self.query.from)))
    }

    /// Where the slice that begins at `from` ends: at a whole step, so that no step is cut into two.
    fn end_of_slice(&self, from: Timestamp) -> Timestamp {
        let seconds = match self.query.step_s {
            None => RAW_SLICE_S,
            Some(step_s) => i64::from(step_s.max(1)) * SLICE_POINTS,
        };
        let whole = i64::from(self.query.step_s.unwrap_or(1).max(1));
        let end_s = (from.as_second().saturating_add(seconds)).div_euclid(whole) * whole;
        Timestamp::from_second(end_s).map_or(self.query.to, |end| end.min(self.query.to))
    }

    async fn read(&self, entity: &Entity, from: Timestamp, to: Timestamp) -> Result<series::Series, Error> {
        let query = series::Query {
            kind: self.query.kind,
            entity_id: entity.id,
            metrics: self.metrics.clone(),
            from,
            to,
            step: self.query.step_s.map_or(Step::Raw, Step::Seconds),
            function: self.query.function,
            max_values: SLICE_VALUES,
        };
        Ok(series::query(&self.store, &query).await?)
    }
}

/// A thing within somebody's reach; what is out of it does not exist for him.
async fn visible(store: &Store, reference: Reference, rights: &Effective) -> Result<Entity, Error> {
    let missing = || Error::NotFound(name(reference));
    let (whose, subject) = subject::of_entity(store, reference).await?.ok_or_else(missing)?;
    let permission = match whose {
        Whose::Host => "host.read",
        Whose::Vm => "vm.read",
    };
    if !reach(rights, permission)?.includes(&subject) {
        return Err(missing());
    }
    export::find(store, reference).await?.ok_or_else(missing)
}

/// As the API writes it.
fn name(reference: Reference) -> String {
    match reference {
        Reference::Host(id) => format!("host:{id}"),
        Reference::Vm(id) => format!("vm:{id}"),
        Reference::Device { kind, id } => format!("{kind}:{id}"),
    }
}

fn rows(entity: &Entity, series: &series::Series) -> Vec<Vec<Cell>> {
    let mut rows = Vec::new();
    for (point, &time_ms) in series.times_ms.iter().enumerate() {
        let values = series.values.iter().map(|values| values[point]);
        let Some(time) = Timestamp::from_millisecond(time_ms).ok() else {
            continue;
        };
        if values.clone().all(|value| value.is_none()) {
            continue;
        }
        let mut row = vec![
            name(entity.reference).into(),
            entity.name.as_str().into(),
            time.into(),
        ];
        row.extend(values.map(Cell::from));
        rows.push(row);
    }
    rows
}
