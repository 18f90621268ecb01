//! Groups of virtual machines.

use crate::access::{Authority, Change, Failure, Refusal, require};
use crate::audit::{self, Context};
use crate::page::patterns;
use crate::{Error, Page, Paging, Store, grant, role};
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use std::collections::{HashMap, HashSet};
use tokio_postgres::{GenericClient, Row};
use uuid::Uuid;
use vmscope_model::access::{Effective, Reach};
use vmscope_model::{HostId, VmId};

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// How many virtual machines are in it.
    pub members: i64,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A group as it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
}

/// Which groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Part of the name in any case; empty for all.
    pub search: String,
    /// Which the asking one may see.
    pub reach: Reach,
    /// Page.
    pub paging: Paging,
}

const GROUPS: &str = "
SELECT g.*, (SELECT count(*) FROM vm_group_member m WHERE m.group_id = g.id) AS members FROM vm_group g";

/// Groups by name, a page at a time.
///
/// # Errors
/// The database's failures.
pub async fn list(store: &Store, filter: &Filter) -> Result<Page<Group>, Error> {
    const CHOSEN: &str = "
WHERE g.name ILIKE $1 AND ($2::uuid[] IS NULL OR g.id = ANY ($2)) AND NOT g.id = ANY ($3)";
    let statement = format!("-- list_groups{GROUPS}{CHOSEN} ORDER BY lower(g.name), g.id LIMIT $4 OFFSET $5");
    let count = format!("-- count_groups\nSELECT count(*) FROM vm_group g{CHOSEN}");
    let (pattern, _) = patterns(&filter.search);
    let (allowed, denied) = (filter.reach.allowed(), filter.reach.denied());
    let client = store.get().await?;
    let rows = client
        .query(
            &statement,
            &[
                &pattern,
                &allowed,
                &denied,
                &filter.paging.limit(),
                &filter.paging.offset(),
            ],
        )
        .await
        .map_err(Error::statement("list_groups"))?;
    let total = client
        .query_one(&count, &[&pattern, &allowed, &denied])
        .await
        .map_err(Error::statement("count_groups"))?;
    Ok(Page {
        items: rows.iter().map(group).collect(),
        total: total.get(0),
    })
}

/// One group.
///
/// # Errors
/// The database's failures.
pub async fn get(store: &Store, id: Uuid) -> Result<Option<Group>, Error> {
    find(&**store.get().await?, id).await
}

/// The names of those of these groups that exist.
///
/// # Errors
/// The database's failures.
pub async fn names(store: &Store, groups: &[Uuid]) -> Result<HashMap<Uuid, String>, Error> {
    const GROUP_NAMES: &str = "\
-- group_names
SELECT id, name FROM vm_group WHERE id = ANY ($1)";
    let rows = store
        .get()
        .await?
        .query(GROUP_NAMES, &[&groups])
        .await
        .map_err(Error::statement("group_names"))?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Makes an empty group.
///
/// # Errors
/// [`Refusal::NameTaken`], [`Refusal::Malformed`], or the database's failures.
pub async fn create(store: &Store, context: &Context, definition: &Definition) -> Result<Group, Failure> {
    const CREATE_GROUP: &str = "\
-- create_group
INSERT INTO vm_group (id, name, description) VALUES ($1, $2, $3)";
    let mut client = store.get().await?;
    let change = Change::begin(&mut client, context).await?;
    let id = Uuid::new_v4();
    change
        .transaction
        .execute(CREATE_GROUP, &[&id, &definition.name, &definition.description])
        .await
        .map_err(Failure::statement("create_group"))?;
    let group = existing(&*change.transaction, id).await?;
    let entry = audit::Entry::done("group.create").on("group", id, &group.name);
    change
        .commit(&entry.changing(None, Some(describe(&group))))
        .await?;
    Ok(group)
}

/// Gives a group another name and description.
///
/// # Errors
/// [`Refusal::Unknown`], [`Refusal::NameTaken`], [`Refusal::Malformed`], or the database's failures.
pub async fn update(
    store: &Store,
    context: &Context,
    id: Uuid,
    definition: &Definition,
) -> Result<Group, Failure> {
    const UPDATE_GROUP: &str = "\
-- update_group
UPDATE vm_group SET name = $2, description = $3 WHERE id = $1";
    let mut client = store.get().await?;
    let change = Change::begin(&mut client, context).await?;
    let before = existing(&*change.transaction, id).await?;
    change
        .transaction
        .execute(UPDATE_GROUP, &[&id, &definition.name, &definition.description])
        .await
        .map_err(Failure::statement("update_group"))?;
    let group = existing(&*change.transaction, id).await?;
    let entry = audit::Entry::done("group.update").on("group", id, &group.name);
    let entry = entry.changing(Some(describe(&before)), Some(describe(&group)));
    change.commit(&entry).await?;
    Ok(group)
}

/// Deletes a group; its virtual machines stay.
///
/// # Errors
/// [`Refusal::Unknown`], [`Refusal::InUse`] while a grant is scoped to it, or the database's failures.
pub async fn delete(store: &Store, context: &Context, id: Uuid) -> Result<(), Failure> {
    const DELETE_GROUP: &str = "\
-- delete_group
DELETE FROM vm_group WHERE id = $1";
    let mut client = store.get().await?;
    let change = Change::begin(&mut client, context).await?;
    let group = existing(&*change.transaction, id).await?;
    if !grant::within_group(&*change.transaction, id).await?.is_empty() {
        return Err(Refusal::InUse.into());
    }
    change
        .transaction
        .execute(DELETE_GROUP, &[&id])
        .await
        .map_err(Error::statement("delete_group"))?;
    let entry = audit::Entry::done("group.delete").on("group", id, &group.name);
    change.commit(&entry.changing(Some(describe(&group)), None)).await
}

/// A virtual machine in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its UUID.
    pub vm: VmId,
    /// Its name.
    pub name: String,
    /// Where it is.
    pub host: HostId,
    /// That host's name.
    pub host_name: String,
    /// Code of its last known state.
    pub state: Option<i16>,
}

/// The virtual machines of a group by name, a page at a time.
///
/// # Errors
/// The database's failures.
pub async fn members(store: &Store, id: Uuid, paging: Paging) -> Result<Page<Member>, Error> {
    const LIST_MEMBERS: &str = "\
-- list_members
SELECT v.uuid, v.name, h.uuid AS host, h.name AS host_name, v.state
FROM vm_group_member m JOIN vm v ON v.id = m.vm_id JOIN host h ON h.id = v.host_id
WHERE m.group_id = $1 ORDER BY lower(v.name), v.id LIMIT $2 OFFSET $3";
    const COUNT_MEMBERS: &str = "\
-- count_members
SELECT count(*) FROM vm_group_member WHERE group_id = $1";
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
        host: HostId(row.get(2)),
        host_name: row.get(3),
        state: row.get(4),
    };
    Ok(Page {
        items: rows.iter().map(member).collect(),
        total: total.get(0),
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
    /// It was in before.
    AlreadyIn,
    /// It is out now.
    Removed,
    /// It was not in.
    NotIn,
    /// There is none that the acting one may see.
    Unknown,
}

/// Puts virtual machines in and takes others out; says what became of each.
///
/// Whoever has a role for the group gets it for what is put in, and loses what denies for what is taken out: so nobody does this
/// who lacks what those roles give.
///
/// # Errors
/// [`Refusal::Unknown`] for the group, [`Refusal::Escalation`], or the database's failures.
pub async fn change_members(
    store: &Store,
    context: &Context,
    by: Authority<'_>,
    id: Uuid,
    wanted: &Wanted,
) -> Result<Vec<(VmId, MemberChange)>, Failure> {
    let mut client = store.get().await?;
    let change = Change::begin(&mut client, context).await?;
    let group = existing(&*change.transaction, id).await?;
    if let Authority::Of(holder) = by {
        let roles = role::load(&*change.transaction).await?;
        let given = Effective::of(&grant::within_group(&*change.transaction, id).await?, &roles);
        require(holder.lacks(&given).or_else(|| holder.lacks_denied(&given)))?;
    }
    let known = visible(&*change.transaction, wanted).await?;
    let added = put_in(&*change.transaction, id, &chosen(&wanted.add, &known)).await?;
    let removed = take_out(&*change.transaction, id, &chosen(&wanted.remove, &known)).await?;
    let outcome = |vm: &VmId, done: &HashSet<i32>, yes, no| {
        let change = match known.get(vm) {
            None => MemberChange::Unknown,
            Some(number) if done.contains(number) => yes,
            Some(_) => no,
        };
        (*vm, change)
    };
    let ins = wanted
        .add
        .iter()
        .map(|vm| outcome(vm, &added, MemberChange::Added, MemberChange::AlreadyIn));
    let outs = wanted
        .remove
        .iter()
        .map(|vm| outcome(vm, &removed, MemberChange::Removed, MemberChange::NotIn));
    let results: Vec<(VmId, MemberChange)> = ins.chain(outs).collect();
    if added.is_empty() && removed.is_empty() {
        return Ok(results);
    }
    let names = |wanted: MemberChange| -> Vec<String> {
        let changed = results.iter().filter(|(_, change)| *change == wanted);
        changed.map(|(vm, _)| vm.to_string()).collect()
    };
    let after = json!({ "added": names(MemberChange::Added), "removed": names(MemberChange::Removed) });
    let entry = audit::Entry::done("group.members").on("group", id, &group.name);
    change.commit(&entry.changing(None, Some(after))).await?;
    Ok(results)
}

/// The database's numbers of those virtual machines that exist and that the acting one may see.
async fn visible(client: &impl GenericClient, wanted: &Wanted) -> Result<HashMap<VmId, i32>, Error> {
    const VISIBLE_VMS: &str = "\
-- visible_vms
SELECT v.uuid, v.id FROM vm v
WHERE v.uuid = ANY ($1)
  AND ($2::uuid[] IS NULL OR EXISTS (SELECT FROM vm_group_member m WHERE m.vm_id = v.id AND m.group_id = ANY ($2)))
  AND NOT EXISTS (SELECT FROM vm_group_member m WHERE m.vm_id = v.id AND m.group_id = ANY ($3))";
    let vms: Vec<Uuid> = wanted.add.iter().chain(&wanted.remove).map(|vm| vm.0).collect();
    let rows = client
        .query(
            VISIBLE_VMS,
            &[&vms, &wanted.reach.allowed(), &wanted.reach.denied()],
        )
        .await
        .map_err(Error::statement("visible_vms"))?;
    Ok(rows.iter().map(|row| (VmId(row.get(0)), row.get(1))).collect())
}

fn chosen(wanted: &[VmId], known: &HashMap<VmId, i32>) -> Vec<i32> {
    wanted.iter().filter_map(|vm| known.get(vm).copied()).collect()
}

async fn put_in(client: &impl GenericClient, group: Uuid, vms: &[i32]) -> Result<HashSet<i32>, Error> {
    const PUT_IN: &str = "\
-- put_in
INSERT INTO vm_group_member (group_id, vm_id) SELECT DISTINCT $1::uuid, unnest($2::int4[]) ON CONFLICT DO NOTHING
RETURNING vm_id";
    let rows = client
        .query(PUT_IN, &[&group, &vms])
        .await
        .map_err(Error::statement("put_in"))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

async fn take_out(client: &impl GenericClient, group: Uuid, vms: &[i32]) -> Result<HashSet<i32>, Error> {
    const TAKE_OUT: &str = "\
-- take_out
DELETE FROM vm_group_member WHERE group_id = $1 AND vm_id = ANY ($2) RETURNING vm_id";
    let rows = client
        .query(TAKE_OUT, &[&group, &vms])
        .await
        .map_err(Error::statement("take_out"))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

async fn find(client: &impl GenericClient, id: Uuid) -> Result<Option<Group>, Error> {
    let statement = format!("-- get_group{GROUPS} WHERE g.id = $1");
    let row = client
        .query_opt(&statement, &[&id])
        .await
        .map_err(Error::statement("get_group"))?;
    Ok(row.as_ref().map(group))
}

async fn existing(client: &impl GenericClient, id: Uuid) -> Result<Group, Failure> {
    find(client, id)
        .await?
        .ok_or_else(|| Refusal::Unknown("group").into())
}

fn group(row: &Row) -> Group {
    Group {
        id: row.get("id"),
        name: row.get("name"),
        description: row.get("description"),
        members: row.get("members"),
        created_at: row.get("created_at"),
    }
}

fn describe(group: &Group) -> Json {
    json!({ "name": group.name, "description": group.description })
}
