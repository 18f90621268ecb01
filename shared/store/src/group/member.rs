//! Which virtual machines are in a group.

use super::existing;
use crate::access::{Authority, Change, Failure};
use crate::audit::{self, Context};
use crate::inventory::guard::Guard;
use crate::inventory::plan::Moves;
use crate::inventory::{Graph, Placed, Source, Which, load, refresh};
use crate::{Error, Page, Paging, Store};
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use tokio_postgres::{GenericClient, Row};
use uuid::Uuid;
use vmscope_model::access::Reach;
use vmscope_model::rule::Rule;
use vmscope_model::{HostId, VmId};

/// A virtual machine in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its UUID.
    pub vm: VmId,
    /// Its name.
    pub name: String,
    /// Where it is, and that host's name; a manual one may be nowhere.
    pub host: Option<(HostId, String)>,
    /// Code of its last known state.
    pub state: Option<i16>,
    /// Why it is in the group.
    pub sources: Vec<Source>,
}

/// The virtual machines of a group by name, a page at a time.
///
/// # Errors
/// The database's failures.
pub async fn members(store: &Store, id: Uuid, paging: Paging) -> Result<Page<Member>, Error> {
    const LIST_MEMBERS: &str = "\
-- list_members
SELECT v.uuid, v.name, h.uuid AS host, h.name AS host_name, v.state, m.sources
FROM (SELECT vm_id, array_agg(source ORDER BY source) AS sources FROM vm_group_member WHERE group_id = $1 GROUP BY vm_id) m
JOIN vm v ON v.id = m.vm_id LEFT JOIN host h ON h.id = v.host_id
ORDER BY lower(v.name), v.id LIMIT $2 OFFSET $3";
    const COUNT_MEMBERS: &str = "\
-- count_members
SELECT count(DISTINCT vm_id) FROM vm_group_member WHERE group_id = $1";
    let client = store.get().await?;
    let rows = client
        .query(LIST_MEMBERS, &[&id, &paging.limit(), &paging.offset()])
        .await
        .map_err(Error::statement("list_members"))?;
    let total = client
        .query_one(COUNT_MEMBERS, &[&id])
        .await
        .map_err(Error::statement("count_members"))?;
    let member = |row: &Row| Member {
        vm: VmId(row.get(0)),
        name: row.get(1),
        host: row.get::<_, Option<Uuid>>(2).map(|id| (HostId(id), row.get(3))),
        state: row.get(4),
        sources: row
            .get::<_, Vec<&str>>(5)
            .into_iter()
            .map(Source::named)
            .collect(),
    };
    Ok(Page {
        items: rows.iter().map(member).collect(),
        total: total.get(0),
    })
}

/// A group that a virtual machine is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Why the machine is in it.
    pub sources: Vec<Source>,
}

/// The groups of a virtual machine, by name.
///
/// # Errors
/// The database's failures.
pub async fn of_vm(store: &Store, vm_id: i32) -> Result<Vec<Membership>, Error> {
    const GROUPS_OF_VM: &str = "\
-- groups_of_vm
SELECT g.id, g.name, array_agg(m.source ORDER BY m.source)
FROM vm_group_member m JOIN vm_group g ON g.id = m.group_id WHERE m.vm_id = $1 GROUP BY g.id ORDER BY lower(g.name)";
    let client = store.get().await?;
    let rows = client
        .query(GROUPS_OF_VM, &[&vm_id])
        .await
        .map_err(Error::statement("groups_of_vm"))?;
    let membership = |row: &Row| Membership {
        id: row.get(0),
        name: row.get(1),
        sources: row
            .get::<_, Vec<&str>>(2)
            .into_iter()
            .map(Source::named)
            .collect(),
    };
    Ok(rows.iter().map(membership).collect())
}

/// What a rule comes to now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// How many machines are as it says.
    pub matching: u64,
    /// The first of them by name, with their names.
    pub sample: Vec<(VmId, String)>,
}

/// Tries a rule on the machines within a reach; nothing is kept.
///
/// # Errors
/// The database's failures.
pub async fn preview(store: &Store, rule: &Rule, reach: &Reach) -> Result<Preview, Error> {
    const SAMPLE: usize = 20;
    let client = store.get().await?;
    let vms = load(&**client, Which::All).await?.into_iter();
    let mut matching: Vec<(VmId, String)> = vms
        .filter(|vm| rule.matches(&vm.facts) && reach.includes(&vm.subject()))
        .map(|vm| (vm.id, vm.facts.name))
        .collect();
    matching.sort_by_cached_key(|(id, name)| (name.to_lowercase(), *id));
    let count = matching.len() as u64;
    matching.truncate(SAMPLE);
    Ok(Preview {
        matching: count,
        sample: matching,
    })
}

/// What is to go into a group and out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// To be put in.
    pub add: Vec<VmId>,
    /// To be taken out.
    pub remove: Vec<VmId>,
    /// The virtual machines that the acting one may see: others are unknown to him.
    pub reach: Reach,
}

/// What became of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberChange {
    /// It is in now.
    Added,
    /// Somebody had put it in before.
    AlreadyIn,
    /// It is out now, unless something else keeps it in.
    Removed,
    /// Nobody had put it in.
    NotIn,
    /// There is none that the acting one may see.
    Unknown,
    /// It would give somebody more than the acting one may do himself with it.
    Denied,
}

/// Puts virtual machines in and takes others out; says what became of each.
///
/// Whoever has a role for the group, or for one that it is a part of, gets it for what is put in, and loses what it denies for what
/// is taken out. So nobody puts in what he may not himself do all that with, whether or not he may do it with the group's other
/// members; and nobody takes out what such a role denies him.
///
/// # Errors
/// [`Refusal::Unknown`](crate::access::Refusal::Unknown) for the group, or the database's failures.
pub async fn change_members(
    store: &Store,
    context: &Context,
    by: Authority<'_>,
    id: Uuid,
    wanted: &Wanted,
) -> Result<Vec<(VmId, MemberChange)>, Failure> {
    let mut client = store.get().await?;
    let change = Change::begin(&mut client, context).await?;
    let client = &*change.transaction;
    refresh::lock(client).await?;
    let group = existing(client, id).await?;
    let mut members = Members {
        group: id,
        graph: Graph::load(client).await?,
        guard: Guard::of(client, by).await?,
        vms: visible(client, wanted).await?,
    };
    let added = wanted
        .add
        .iter()
        .map(|vm| (*vm, members.change(*vm, true)))
        .collect::<Vec<_>>();
    let removed = wanted
        .remove
        .iter()
        .map(|vm| (*vm, members.change(*vm, false)))
        .collect::<Vec<_>>();
    let results = [added, removed].concat();
    let mut moves = Moves::default();
    for (before, after) in members.vms.values() {
        moves.add(before, &after.members);
    }
    if moves.write(client).await? > 0 {
        let entry = audit::Entry::done("group.members").on("group", id, &group.name);
        change
            .commit(&entry.changing(None, Some(describe_changes(&results))))
            .await?;
    }
    Ok(results)
}

fn describe_changes(results: &[(VmId, MemberChange)]) -> Json {
    let of = |wanted: MemberChange| -> Vec<String> {
        let changed = results.iter().filter(|(_, change)| *change == wanted);
        changed.map(|(vm, _)| vm.to_string()).collect()
    };
    json!({ "added": of(MemberChange::Added), "removed": of(MemberChange::Removed) })
}

/// Machines as they were and as they are to be.
struct Members<'a> {
    group: Uuid,
    graph: Graph,
    guard: Guard<'a>,
    vms: HashMap<VmId, (Placed, Placed)>,
}

impl Members<'_> {
    /// Puts a machine in or takes it out.
    fn change(&mut self, vm: VmId, into: bool) -> MemberChange {
        let Some((_, now)) = self.vms.get_mut(&vm) else {
            return MemberChange::Unknown;
        };
        let mut direct = now.direct();
        let changes = if into {
            direct.insert(self.group)
        } else {
            direct.remove(&self.group)
        };
        if !changes {
            return if into {
                MemberChange::AlreadyIn
            } else {
                MemberChange::NotIn
            };
        }
        match now.changed(&self.graph, &self.guard, now.facts.labels.clone(), &direct) {
            Ok(after) => *now = after,
            Err(_) => return MemberChange::Denied,
        }
        if into {
            MemberChange::Added
        } else {
            MemberChange::Removed
        }
    }
}

/// Those virtual machines that exist and that the acting one may see.
async fn visible(
    client: &impl GenericClient,
    wanted: &Wanted,
) -> Result<HashMap<VmId, (Placed, Placed)>, Error> {
    let ids: Vec<Uuid> = wanted.add.iter().chain(&wanted.remove).map(|vm| vm.0).collect();
    let vms = load(client, Which::Ids(&ids)).await?.into_iter();
    let seen = vms.filter(|vm| wanted.reach.includes(&vm.subject()));
    Ok(seen.map(|vm| (vm.id, (vm.clone(), vm))).collect())
}
