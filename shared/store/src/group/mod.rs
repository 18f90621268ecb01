//! Groups of virtual machines.

mod define;
mod member;

pub use member::{
    Member, MemberChange, Membership, Preview, Wanted, change_members, members, of_vm, preview,
};

use crate::access::{Authority, Change, Failure, Refusal};
use crate::audit::{self, Context};
use crate::page::patterns;
use crate::{Error, Page, Paging, Store, grant};
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use tokio_postgres::{GenericClient, Row};
use uuid::Uuid;
use vmscope_model::access::Reach;

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
    /// The text of the rule that puts machines into it.
    pub rule: Option<String>,
    /// The groups whose machines are in it, too.
    pub children: Vec<Uuid>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A group as it is to be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The text of its rule, empty for none; `None` leaves it as it is.
    pub rule: Option<String>,
    /// The groups whose machines are to be in it, too; `None` leaves them as they are.
    pub children: Option<Vec<Uuid>>,
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
SELECT g.*, (SELECT count(DISTINCT m.vm_id) FROM vm_group_member m WHERE m.group_id = g.id) AS members,
    ARRAY(SELECT c.child_id FROM vm_group_child c WHERE c.parent_id = g.id ORDER BY c.child_id) AS children
FROM vm_group g";

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

/// Makes a group, with what its rule and its parts put into it.
///
/// # Errors
/// [`Refusal::NameTaken`], [`Refusal::Malformed`], [`Refusal::Unknown`] for a `part`, [`Refusal::Cycle`], or the database's failures.
pub async fn create(
    store: &Store,
    context: &Context,
    by: Authority<'_>,
    definition: &Definition,
) -> Result<Group, Failure> {
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
    define::define(&*change.transaction, by, id, definition).await?;
    let group = existing(&*change.transaction, id).await?;
    let entry = audit::Entry::done("group.create").on("group", id, &group.name);
    change
        .commit(&entry.changing(None, Some(describe(&group))))
        .await?;
    Ok(group)
}

/// Gives a group another name, description, rule and parts.
///
/// # Errors
/// [`Refusal::Unknown`] (also for a part), [`Refusal::NameTaken`], [`Refusal::Malformed`], [`Refusal::Cycle`], [`Refusal::Escalation`]
/// when machines come and go by themselves under roles that say more than the acting one holds everywhere, or the database's failures.
pub async fn update(
    store: &Store,
    context: &Context,
    by: Authority<'_>,
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
    define::define(&*change.transaction, by, id, definition).await?;
    let group = existing(&*change.transaction, id).await?;
    let entry = audit::Entry::done("group.update").on("group", id, &group.name);
    let entry = entry.changing(Some(describe(&before)), Some(describe(&group)));
    change.commit(&entry).await?;
    Ok(group)
}

/// Deletes a group, with grants of it that have expired; its virtual machines stay, and leave the groups that it was a part of.
///
/// # Errors
/// [`Refusal::Unknown`], [`Refusal::InUse`] while a grant is scoped to it, [`Refusal::Escalation`] when a machine would leave a group
/// that denies the acting one something, or the database's failures.
pub async fn delete(store: &Store, context: &Context, by: Authority<'_>, id: Uuid) -> Result<(), Failure> {
    const DELETE_GROUP: &str = "\
-- delete_group
WITH expired AS (DELETE FROM access_grant WHERE scope_kind = 'group' AND scope_id = $1)
DELETE FROM vm_group WHERE id = $1";
    let mut client = store.get().await?;
    let change = Change::begin(&mut client, context).await?;
    let group = existing(&*change.transaction, id).await?;
    if !grant::within_group(&*change.transaction, id).await?.is_empty() {
        return Err(Refusal::InUse.into());
    }
    define::empty(&*change.transaction, by, id).await?;
    change
        .transaction
        .execute(DELETE_GROUP, &[&id])
        .await
        .map_err(Error::statement("delete_group"))?;
    let entry = audit::Entry::done("group.delete").on("group", id, &group.name);
    change.commit(&entry.changing(Some(describe(&group)), None)).await
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
        rule: row.get("rule"),
        children: row.get("children"),
        created_at: row.get("created_at"),
    }
}

fn describe(group: &Group) -> Json {
    json!({
        "name": group.name, "description": group.description, "rule": group.rule, "children": group.children,
    })
}
