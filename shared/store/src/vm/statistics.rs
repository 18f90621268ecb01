//! What the machines of a filter come to.

use super::Filter;
use super::list::FROM;
use crate::listing::Selection;
use crate::{Error, REPORTING_S, Store};
use tokio_postgres::{GenericClient, Row};
use uuid::Uuid;
use vmscope_model::HostId;

/// Most hosts, groups and labels that are told, those with most machines.
const MOST: i64 = 100;

/// Machines, counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statistics {
    /// All of them.
    pub total: i64,
    /// By what they do: (libvirt code, how many); no code for those without a state in the last [`REPORTING_S`].
    pub by_state: Vec<(Option<i16>, i64)>,
    /// By host, the largest first.
    pub hosts: Vec<HostCount>,
    /// By group, the largest first. A machine may be in several.
    pub groups: Vec<GroupCount>,
    /// By label, the most frequent first.
    pub labels: Vec<LabelCount>,
}

/// The machines of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostCount {
    /// The host.
    pub id: HostId,
    /// Its name.
    pub name: String,
    /// How many of the machines are on it.
    pub count: i64,
}

/// The machines of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupCount {
    /// The group.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// How many of the machines are in it.
    pub count: i64,
}

/// The machines with a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelCount {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
    /// How many of the machines have it.
    pub count: i64,
}

/// Counts the machines of a filter; its order and page do not matter.
///
/// # Errors
/// The database's failures.
pub async fn statistics(store: &Store, filter: &Filter) -> Result<Statistics, Error> {
    let chosen = |counted: &str| -> Selection {
        let conditions = filter.conditions();
        let chosen = format!(
            "WITH chosen AS (SELECT v.id, v.host_id, h.uuid, h.name,
    CASE WHEN v.last_seen_at >= now() - interval '{REPORTING_S} s' THEN v.state END AS state{FROM}{})",
            conditions.clause()
        );
        conditions.select(format!("-- vm_statistics\n{chosen}\n{counted}"))
    };
    let client = store.get().await?;
    let count = async |counted: &str| query(&**client, &chosen(counted)).await;
    let states = count("SELECT state, count(*) FROM chosen GROUP BY state ORDER BY state").await?;
    let by_state: Vec<(Option<i16>, i64)> = states.iter().map(|row| (row.get(0), row.get(1))).collect();
    let hosts = format!(
        "SELECT uuid, name, count(*) FROM chosen WHERE uuid IS NOT NULL GROUP BY uuid, name ORDER BY 3 DESC, name LIMIT {MOST}"
    );
    let groups = format!(
        "SELECT g.id, g.name, count(DISTINCT m.vm_id) FROM chosen c JOIN vm_group_member m ON m.vm_id = c.id
JOIN vm_group g ON g.id = m.group_id GROUP BY g.id ORDER BY 3 DESC, g.name LIMIT {MOST}"
    );
    let labels = format!(
        "SELECT l.key, l.value, count(*) FROM chosen c JOIN vm_label l ON l.vm_id = c.id
GROUP BY l.key, l.value ORDER BY 3 DESC, l.key, l.value LIMIT {MOST}"
    );
    let host = |row: &Row| HostCount {
        id: HostId(row.get(0)),
        name: row.get(1),
        count: row.get(2),
    };
    let group = |row: &Row| GroupCount {
        id: row.get(0),
        name: row.get(1),
        count: row.get(2),
    };
    let label = |row: &Row| LabelCount {
        key: row.get(0),
        value: row.get(1),
        count: row.get(2),
    };
    Ok(Statistics {
        total: by_state.iter().map(|(_, count)| count).sum(),
        by_state,
        hosts: count(&hosts).await?.iter().map(host).collect(),
        groups: count(&groups).await?.iter().map(group).collect(),
        labels: count(&labels).await?.iter().map(label).collect(),
    })
}

async fn query(client: &impl GenericClient, selection: &Selection) -> Result<Vec<Row>, Error> {
    client
        .query(&selection.statement, &selection.parameters())
        .await
        .map_err(Error::statement("vm_statistics"))
}
