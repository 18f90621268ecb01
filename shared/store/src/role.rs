//! Roles: what they allow and deny, and from which others they inherit.

use crate::access::{Authority, Change, Failure, Refusal, require};
use crate::audit::{self, Context};
use crate::{Error, Store};
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use tokio_postgres::{GenericClient, Row};
use uuid::Uuid;
use vmscope_model::access::{self, Effect, Entry, Permission, Roles};

/// A role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Every installation has it as it is.
    pub built_in: bool,
    /// What it allows and denies itself, by permission.
    pub entries: Vec<Entry>,
    /// The roles that it inherits from.
    pub parents: Vec<Uuid>,
    /// How many grants give it.
    pub grants: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// What a role is to be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What it allows and denies.
    pub entries: Vec<Entry>,
    /// The roles that it inherits from.
    pub parents: Vec<Uuid>,
}

/// Roles with their entries and parents.
const ROLES: &str = "
SELECT r.*, (SELECT count(*) FROM access_grant g WHERE g.role_id = r.id) AS grants,
    ARRAY(SELECT permission FROM role_entry e WHERE e.role_id = r.id ORDER BY permission, effect) AS permissions,
    ARRAY(SELECT effect FROM role_entry e WHERE e.role_id = r.id ORDER BY permission, effect) AS effects,
    ARRAY(SELECT parent_id FROM role_parent p WHERE p.role_id = r.id ORDER BY parent_id) AS parents
FROM role r";

/// Every role: the built-in ones first, the others by name.
///
/// # Errors
/// The database's failures.
pub async fn list(store: &Store) -> Result<Vec<Role>, Error> {
    all(&**store.get().await?).await
}

/// One role.
///
/// # Errors
/// The database's failures.
pub async fn get(store: &Store, id: Uuid) -> Result<Option<Role>, Error> {
    find(&**store.get().await?, id).await
}

/// Every role as rights are reckoned from it.
///
/// # Errors
/// The database's failures.
pub async fn roles(store: &Store) -> Result<Roles, Error> {
    load(&**store.get().await?).await
}

/// Makes a role.
///
/// # Errors
/// [`Refusal::NameTaken`], [`Refusal::UnknownPermission`], [`Refusal::Unknown`] for a parent, [`Refusal::Escalation`], or the
/// database's failures.
pub async fn create(
    store: &Store,
    context: &Context,
    by: Authority<'_>,
    definition: &Definition,
) -> Result<Role, Failure> {
    const CREATE_ROLE: &str = "\
-- create_role
INSERT INTO role (id, name, description) VALUES ($1, $2, $3)";
    let mut client = store.get().await?;
    let change = Change::begin(&mut client, context).await?;
    let id = Uuid::new_v4();
    check(&change, by, id, definition).await?;
    change
        .transaction
        .execute(CREATE_ROLE, &[&id, &definition.name, &definition.description])
        .await
        .map_err(Failure::statement("create_role"))?;
    fill(&*change.transaction, id, definition).await?;
    let role = existing(&*change.transaction, id).await?;
    let entry = audit::Entry::done("role.create").on("role", id, &role.name);
    change
        .commit(&entry.changing(None, Some(describe(&role))))
        .await?;
    Ok(role)
}

/// Gives a role another definition.
///
/// # Errors
/// As [`create`], [`Refusal::BuiltIn`], [`Refusal::Cycle`], [`Refusal::LastAdministrator`] when it takes something from the last
/// one who may do everything.
pub async fn update(
    store: &Store,
    context: &Context,
    by: Authority<'_>,
    id: Uuid,
    definition: &Definition,
) -> Result<Role, Failure> {
    const UPDATE_ROLE: &str = "\
-- update_role
UPDATE role SET name = $2, description = $3, updated_at = now() WHERE id = $1";
    const EMPTY_ROLE: &str = "\
-- empty_role
WITH parents AS (DELETE FROM role_parent WHERE role_id = $1) DELETE FROM role_entry WHERE role_id = $1";
    let mut client = store.get().await?;
    let change = Change::begin_keeping_administrator(&mut client, context).await?;
    let before = changeable(&*change.transaction, id).await?;
    check(&change, by, id, definition).await?;
    let transaction = &change.transaction;
    transaction
        .execute(UPDATE_ROLE, &[&id, &definition.name, &definition.description])
        .await
        .map_err(Failure::statement("update_role"))?;
    transaction
        .execute(EMPTY_ROLE, &[&id])
        .await
        .map_err(Failure::statement("empty_role"))?;
    fill(&**transaction, id, definition).await?;
    let role = existing(&**transaction, id).await?;
    let entry = audit::Entry::done("role.update").on("role", id, &role.name);
    let entry = entry.changing(Some(describe(&before)), Some(describe(&role)));
    change.commit(&entry).await?;
    Ok(role)
}

/// Deletes a role that nobody has and none inherits from.
///
/// # Errors
/// [`Refusal::Unknown`], [`Refusal::BuiltIn`], [`Refusal::InUse`], or the database's failures.
pub async fn delete(store: &Store, context: &Context, id: Uuid) -> Result<(), Failure> {
    const IS_INHERITED: &str = "\
-- is_inherited
SELECT EXISTS (SELECT FROM role_parent WHERE parent_id = $1)";
    const DELETE_ROLE: &str = "\
-- delete_role
DELETE FROM role WHERE id = $1";
    let mut client = store.get().await?;
    let change = Change::begin(&mut client, context).await?;
    let role = changeable(&*change.transaction, id).await?;
    let inherited = change
        .transaction
        .query_one(IS_INHERITED, &[&id])
        .await
        .map_err(Error::statement("is_inherited"))?;
    if role.grants > 0 || inherited.get(0) {
        return Err(Refusal::InUse.into());
    }
    change
        .transaction
        .execute(DELETE_ROLE, &[&id])
        .await
        .map_err(Error::statement("delete_role"))?;
    let entry = audit::Entry::done("role.delete").on("role", id, &role.name);
    change.commit(&entry.changing(Some(describe(&role)), None)).await
}

/// Refuses a definition of the role `id` that means nothing, turns in a circle, or gives too much.
async fn check(
    change: &Change<'_>,
    by: Authority<'_>,
    id: Uuid,
    definition: &Definition,
) -> Result<(), Failure> {
    let unknown = definition
        .entries
        .iter()
        .find(|entry| !entry.permission.is_known());
    if let Some(entry) = unknown {
        return Err(Refusal::UnknownPermission(entry.permission.clone()).into());
    }
    let before = load(&*change.transaction).await?;
    if definition
        .parents
        .iter()
        .any(|parent| before.get(*parent).is_none())
    {
        return Err(Refusal::Unknown("parent").into());
    }
    if before.cycle(id, &definition.parents) {
        return Err(Refusal::Cycle.into());
    }
    let Authority::Of(holder) = by else {
        return Ok(());
    };
    let mut after = before.clone();
    after.insert(access::Role {
        id,
        name: definition.name.clone(),
        entries: definition.entries.clone(),
        parents: definition.parents.clone(),
    });
    require(holder.lacks_change(&before, &after))
}

async fn fill(client: &impl GenericClient, id: Uuid, definition: &Definition) -> Result<(), Failure> {
    const FILL_ROLE: &str = "\
-- fill_role
WITH parents AS (
    INSERT INTO role_parent (role_id, parent_id) SELECT $1, p FROM unnest($4::uuid[]) AS p ON CONFLICT DO NOTHING
)
INSERT INTO role_entry (role_id, permission, effect)
SELECT $1, permission, effect FROM unnest($2::text[], $3::text[]) AS e (permission, effect) ON CONFLICT DO NOTHING";
    let permissions: Vec<&str> = definition
        .entries
        .iter()
        .map(|entry| entry.permission.as_str())
        .collect();
    let effects: Vec<&str> = definition
        .entries
        .iter()
        .map(|entry| entry.effect.name())
        .collect();
    client
        .execute(FILL_ROLE, &[&id, &permissions, &effects, &definition.parents])
        .await
        .map_err(Failure::statement("fill_role"))?;
    Ok(())
}

async fn changeable(client: &impl GenericClient, id: Uuid) -> Result<Role, Failure> {
    let role = existing(client, id).await?;
    if role.built_in {
        return Err(Refusal::BuiltIn.into());
    }
    Ok(role)
}

async fn existing(client: &impl GenericClient, id: Uuid) -> Result<Role, Failure> {
    let found = find(client, id).await?;
    found.ok_or_else(|| Refusal::Unknown("role").into())
}

async fn find(client: &impl GenericClient, id: Uuid) -> Result<Option<Role>, Error> {
    let statement = format!("-- get_role{ROLES} WHERE r.id = $1");
    let row = client
        .query_opt(&statement, &[&id])
        .await
        .map_err(Error::statement("get_role"))?;
    Ok(row.as_ref().map(role))
}

async fn all(client: &impl GenericClient) -> Result<Vec<Role>, Error> {
    let statement = format!(
        "-- list_roles{ROLES} ORDER BY NOT r.built_in, CASE WHEN r.built_in THEN r.id::text ELSE lower(r.name) END"
    );
    let rows = client
        .query(&statement, &[])
        .await
        .map_err(Error::statement("list_roles"))?;
    Ok(rows.iter().map(role).collect())
}

/// Every role as rights are reckoned from it.
pub(crate) async fn load(client: &impl GenericClient) -> Result<Roles, Error> {
    let roles = all(client).await?.into_iter().map(|role| access::Role {
        id: role.id,
        name: role.name,
        entries: role.entries,
        parents: role.parents,
    });
    Ok(Roles::new(roles))
}

fn role(row: &Row) -> Role {
    Role {
        id: row.get("id"),
        name: row.get("name"),
        description: row.get("description"),
        built_in: row.get("built_in"),
        entries: entries(
            &row.get::<_, Vec<String>>("permissions"),
            &row.get::<_, Vec<String>>("effects"),
        ),
        parents: row.get("parents"),
        grants: row.get("grants"),
        created_at: row.get("created_at"),
        updated_at: row.get("updated_at"),
    }
}

/// Entries out of two columns. A permission that can't be read denies and allows nothing.
pub(crate) fn entries(permissions: &[String], effects: &[String]) -> Vec<Entry> {
    let entry = |(permission, effect): (&String, &String)| {
        let permission: Permission = permission.parse().ok()?;
        let effect = if effect == Effect::Allow.name() {
            Effect::Allow
        } else {
            Effect::Deny
        };
        Some(Entry { permission, effect })
    };
    permissions.iter().zip(effects).filter_map(entry).collect()
}

/// A role as the audit trail shows it.
fn describe(role: &Role) -> Json {
    let entries: Vec<String> = role
        .entries
        .iter()
        .map(|entry| format!("{} {}", entry.effect.name(), entry.permission))
        .collect();
    json!({ "name": role.name, "description": role.description, "entries": entries, "parents": role.parents })
}
