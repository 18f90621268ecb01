//! What is stored of machines that rules and rights look at.

use super::{Graph, Source};
use crate::Error;
use std::collections::{BTreeSet, HashMap};
use tokio_postgres::GenericClient;
use uuid::Uuid;
use vmscope_model::VmId;
use vmscope_model::access::Subject;
use vmscope_model::rule::Facts;

/// A machine with its facts, and the groups that it is in.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    /// Its database id.
    pub(crate) number: i32,
    /// Its UUID.
    pub(crate) id: VmId,
    /// What rules know of it.
    pub(crate) facts: Facts,
    /// Where it is, and why.
    pub(crate) members: BTreeSet<(Uuid, Source)>,
}

/// Which machines.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which<'a> {
    /// All.
    All,
    /// Those with these database ids.
    Numbers(&'a [i32]),
    /// Those with these UUIDs.
    Ids(&'a [Uuid]),
    /// Those on these hosts, by database id.
    OnHosts(&'a [i32]),
    /// Those in one of these groups.
    In(&'a [Uuid]),
}

impl Placed {
    /// The groups that it is in.
    pub(crate) fn groups(&self) -> BTreeSet<Uuid> {
        groups(&self.members)
    }

    /// The groups that somebody has put it into.
    pub(crate) fn direct(&self) -> BTreeSet<Uuid> {
        let direct = self
            .members
            .iter()
            .filter(|(_, source)| *source == Source::Direct);
        direct.map(|(group, _)| *group).collect()
    }

    /// As rights see it.
    pub(crate) fn subject(&self) -> Subject {
        Subject::within(self.groups())
    }

    /// Where it should be.
    pub(crate) fn placed_by(&self, graph: &Graph) -> BTreeSet<(Uuid, Source)> {
        graph.place(&self.facts, &self.direct())
    }
}

pub(crate) fn groups(members: &BTreeSet<(Uuid, Source)>) -> BTreeSet<Uuid> {
    members.iter().map(|(group, _)| *group).collect()
}

/// Those of these machines that exist, by database id.
///
/// # Errors
/// The database's failures.
pub(crate) async fn load(client: &impl GenericClient, which: Which<'_>) -> Result<Vec<Placed>, Error> {
    const PLACED_VMS: &str = "\
-- placed_vms
SELECT v.id, v.uuid, v.name, h.id AS host_id, h.name AS host
FROM vm v LEFT JOIN host h ON h.id = v.host_id
WHERE ($1::int4[] IS NULL OR v.id = ANY ($1)) AND ($2::uuid[] IS NULL OR v.uuid = ANY ($2))
    AND ($3::int4[] IS NULL OR v.host_id = ANY ($3))
    AND ($4::uuid[] IS NULL OR v.id IN (SELECT vm_id FROM vm_group_member WHERE group_id = ANY ($4)))
ORDER BY v.id";
    let (mut numbers, mut ids, mut hosts, mut members) = (None, None, None, None);
    match which {
        Which::All => {}
        Which::Numbers(wanted) => numbers = Some(wanted),
        Which::Ids(wanted) => ids = Some(wanted),
        Which::OnHosts(wanted) => hosts = Some(wanted),
        Which::In(wanted) => members = Some(wanted),
    }
    let rows = client
        .query(PLACED_VMS, &[&numbers, &ids, &hosts, &members])
        .await
        .map_err(Error::statement("placed_vms"))?;
    let mut positions: HashMap<i32, usize> = HashMap::with_capacity(rows.len());
    let mut of_host: HashMap<i32, Vec<usize>> = HashMap::new();
    let mut placed = Vec::with_capacity(rows.len());
    for (position, row) in rows.iter().enumerate() {
        positions.insert(row.get(0), position);
        if let Some(host) = row.get::<_, Option<i32>>(3) {
            of_host.entry(host).or_default().push(position);
        }
        placed.push(Placed {
            number: row.get(0),
            id: VmId(row.get(1)),
            facts: Facts {
                name: row.get(2),
                id: row.get::<_, Uuid>(1).to_string(),
                host: row.get(4),
                ..Facts::default()
            },
            members: BTreeSet::new(),
        });
    }
    let all = matches!(which, Which::All);
    add_labels(client, &mut placed, &positions, all).await?;
    add_host_labels(client, &mut placed, &of_host).await?;
    add_members(client, &mut placed, &positions, all).await?;
    Ok(placed)
}

/// The database ids, unless it is all of them.
fn chosen(positions: &HashMap<i32, usize>, all: bool) -> Option<Vec<i32>> {
    (!all).then(|| positions.keys().copied().collect())
}

async fn add_labels(
    client: &impl GenericClient,
    placed: &mut [Placed],
    positions: &HashMap<i32, usize>,
    all: bool,
) -> Result<(), Error> {
    const PLACED_LABELS: &str = "\
-- placed_labels
SELECT vm_id, key, value FROM vm_label WHERE $1::int4[] IS NULL OR vm_id = ANY ($1)";
    let rows = client
        .query(PLACED_LABELS, &[&chosen(positions, all)])
        .await
        .map_err(Error::statement("placed_labels"))?;
    for row in &rows {
        if let Some(position) = positions.get(&row.get(0)) {
            placed[*position].facts.labels.insert(row.get(1), row.get(2));
        }
    }
    Ok(())
}

async fn add_host_labels(
    client: &impl GenericClient,
    placed: &mut [Placed],
    of_host: &HashMap<i32, Vec<usize>>,
) -> Result<(), Error> {
    const PLACED_HOST_LABELS: &str = "\
-- placed_host_labels
SELECT host_id, key, value FROM host_label WHERE host_id = ANY ($1)";
    let hosts: Vec<i32> = of_host.keys().copied().collect();
    let rows = client
        .query(PLACED_HOST_LABELS, &[&hosts])
        .await
        .map_err(Error::statement("placed_host_labels"))?;
    for row in &rows {
        for position in of_host.get(&row.get(0)).into_iter().flatten() {
            let labels = &mut placed[*position].facts.host_labels;
            labels.insert(row.get(1), row.get(2));
        }
    }
    Ok(())
}

async fn add_members(
    client: &impl GenericClient,
    placed: &mut [Placed],
    positions: &HashMap<i32, usize>,
    all: bool,
) -> Result<(), Error> {
    const PLACED_MEMBERS: &str = "\
-- placed_members
SELECT vm_id, group_id, source FROM vm_group_member WHERE $1::int4[] IS NULL OR vm_id = ANY ($1)";
    let rows = client
        .query(PLACED_MEMBERS, &[&chosen(positions, all)])
        .await
        .map_err(Error::statement("placed_members"))?;
    for row in &rows {
        if let Some(position) = positions.get(&row.get(0)) {
            let member = (row.get(1), Source::named(row.get(2)));
            placed[*position].members.insert(member);
        }
    }
    Ok(())
}
