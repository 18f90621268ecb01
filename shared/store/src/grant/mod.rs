//! Grants: who has which role, and where; and what follows from that.

mod effective;

pub use effective::{Holder, effective, holders};
pub(crate) use effective::{has_administrator, of_user, within_group, within_groups};

use crate::access::{Authority, Change, Failure, Refusal, actor_name, require};
use crate::audit::{self, Context};
use crate::{Error, Store, role};
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use tokio_postgres::{GenericClient, Row};
use uuid::Uuid;
use vmscope_model::access::{self, Effective, SUPER_ADMIN, Scope};

/// A role that a user has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Its id.
    pub id: Uuid,
    /// Who has it.
    pub user: Uuid,
    /// The role.
    pub role: Uuid,
    /// The role's name.
    pub role_name: String,
    /// Where.
    pub scope: Scope,
    /// What the scope is called; empty for everywhere.
    pub scope_name: String,
    /// Until when; for ever without.
    pub expires_at: Option<Timestamp>,
    /// That is past.
    pub expired: bool,
    /// Since when.
    pub created_at: Timestamp,
    /// Who gave it.
    pub created_by: String,
}

/// A grant to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGrant {
    /// Who gets it.
    pub user: Uuid,
    /// The role.
    pub role: Uuid,
    /// Where.
    pub scope: Scope,
    /// Until when; for ever without.
    pub expires_at: Option<Timestamp>,
}

const GRANTS: &str = "
SELECT g.*, r.name AS role_name, coalesce(v.name, '') AS scope_name, coalesce(g.expires_at <= now(), false) AS expired
FROM access_grant g JOIN role r ON r.id = g.role_id LEFT JOIN vm_group v ON v.id = g.scope_id";

/// The grants of a user, expired ones too, the oldest first.
///
/// # Errors
/// The database's failures.
pub async fn list(store: &Store, user: Uuid) -> Result<Vec<Grant>, Error> {
    let statement = format!("-- list_grants{GRANTS} WHERE g.user_id = $1 ORDER BY g.created_at, g.id");
    let rows = store
        .get()
        .await?
        .query(&statement, &[&user])
        .await
        .map_err(Error::statement("list_grants"))?;
    Ok(rows.iter().map(grant).collect())
}

/// Gives a user a role. An expired grant of the same is replaced.
///
/// # Errors
/// [`Refusal::Unknown`] for a user, role or scope, [`Refusal::AlreadyGranted`], [`Refusal::Escalation`] (also when the role denies
/// something to a user who has more than the acting one), [`Refusal::LastAdministrator`] when it denies something to the last one who may do everything, or the database's failures.
pub async fn create(
    store: &Store,
    context: &Context,
    by: Authority<'_>,
    new: &NewGrant,
) -> Result<Grant, Failure> {
    const CREATE_GRANT: &str = "\
-- create_grant
INSERT INTO access_grant (id, user_id, role_id, scope_kind, scope_id, expires_at, created_by)
VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let mut client = store.get().await?;
    let change = Change::begin_keeping_administrator(&mut client, context).await?;
    let name = referred(&*change.transaction, new).await?;
    let id = Uuid::new_v4();
    if let Authority::Of(holder) = by {
        let roles = role::load(&*change.transaction).await?;
        let given = access::Grant {
            id,
            role: new.role,
            scope: new.scope,
        };
        let given = Effective::of(&[given], &roles);
        require(holder.lacks(&given))?;
        // To deny is to take away, and nobody takes from whom may do more than he.
        if given.rules().iter().any(|rule| !rule.allows()) {
            by.over_user(&*change.transaction, new.user).await?;
        }
    }
    replace_expired(&*change.transaction, new).await?;
    let (kind, scope) = columns(new.scope);
    change
        .transaction
        .execute(
            CREATE_GRANT,
            &[
                &id,
                &new.user,
                &new.role,
                &kind,
                &scope,
                &new.expires_at,
                &actor_name(context),
            ],
        )
        .await
        .map_err(Failure::statement("create_grant"))?;
    let grant = find(&*change.transaction, id)
        .await?
        .ok_or(Refusal::Unknown("grant"))?;
    let entry = audit::Entry::done("grant.create").on("user", new.user, name);
    let entry = entry.changing(None, Some(describe(&grant)));
    change.commit(&entry).await?;
    Ok(grant)
}

/// Takes a grant away. Who does it must be able to give it: it may deny something.
///
/// # Errors
/// [`Refusal::Unknown`], [`Refusal::Escalation`], [`Refusal::LastAdministrator`], or the database's failures.
pub async fn delete(
    store: &Store,
    context: &Context,
    by: Authority<'_>,
    user: Uuid,
    id: Uuid,
) -> Result<(), Failure> {
    const DELETE_GRANT: &str = "\
-- delete_grant
DELETE FROM access_grant WHERE id = $1";
    let mut client = store.get().await?;
    let change = Change::begin_keeping_administrator(&mut client, context).await?;
    let grant = find(&*change.transaction, id)
        .await?
        .filter(|grant| grant.user == user);
    let grant = grant.ok_or(Refusal::Unknown("grant"))?;
    if let Authority::Of(holder) = by {
        let roles = role::load(&*change.transaction).await?;
        let taken = access::Grant {
            id,
            role: grant.role,
            scope: grant.scope,
        };
        let taken = Effective::of(&[taken], &roles);
        require(holder.lacks(&taken).or_else(|| holder.lacks_denied(&taken)))?;
    }
    change
        .transaction
        .execute(DELETE_GRANT, &[&id])
        .await
        .map_err(Error::statement("delete_grant"))?;
    let name = user_name(&*change.transaction, user).await?.unwrap_or_default();
    let entry = audit::Entry::done("grant.delete").on("user", user, name);
    change.commit(&entry.changing(Some(describe(&grant)), None)).await
}

/// Gives a user the role of those who may do everything.
pub(crate) async fn make_administrator(
    client: &impl GenericClient,
    context: &Context,
    user: Uuid,
) -> Result<(), Error> {
    const MAKE_ADMINISTRATOR: &str = "\
-- make_administrator
INSERT INTO access_grant (id, user_id, role_id, scope_kind, created_by) VALUES ($1, $2, $3, 'all', $4)";
    client
        .execute(
            MAKE_ADMINISTRATOR,
            &[&Uuid::new_v4(), &user, &SUPER_ADMIN, &actor_name(context)],
        )
        .await
        .map_err(Error::statement("make_administrator"))?;
    Ok(())
}

async fn find(client: &impl GenericClient, id: Uuid) -> Result<Option<Grant>, Error> {
    let statement = format!("-- get_grant{GRANTS} WHERE g.id = $1");
    let row = client
        .query_opt(&statement, &[&id])
        .await
        .map_err(Error::statement("get_grant"))?;
    Ok(row.as_ref().map(grant))
}

/// The name of the user, if everything that the grant refers to exists.
async fn referred(client: &impl GenericClient, new: &NewGrant) -> Result<String, Failure> {
    const REFERRED: &str = "\
-- referred
SELECT EXISTS (SELECT FROM role WHERE id = $1), EXISTS (SELECT FROM vm_group WHERE id = $2)";
    let name = user_name(client, new.user)
        .await?
        .ok_or(Refusal::Unknown("user"))?;
    let (kind, scope) = columns(new.scope);
    let row = client
        .query_one(REFERRED, &[&new.role, &scope])
        .await
        .map_err(Error::statement("referred"))?;
    if !row.get::<_, bool>(0) {
        return Err(Refusal::Unknown("role").into());
    }
    // There are no clusters yet.
    let known = match new.scope {
        Scope::All => true,
        Scope::Group(_) => row.get(1),
        Scope::Cluster(_) => false,
    };
    if known {
        Ok(name)
    } else {
        Err(Refusal::Unknown(kind).into())
    }
}

async fn replace_expired(client: &impl GenericClient, new: &NewGrant) -> Result<(), Error> {
    const REPLACE_EXPIRED: &str = "\
-- replace_expired
DELETE FROM access_grant WHERE user_id = $1 AND role_id = $2 AND scope_kind = $3
AND scope_id IS NOT DISTINCT FROM $4 AND expires_at <= now()";
    let (kind, scope) = columns(new.scope);
    client
        .execute(REPLACE_EXPIRED, &[&new.user, &new.role, &kind, &scope])
        .await
        .map_err(Error::statement("replace_expired"))?;
    Ok(())
}

async fn user_name(client: &impl GenericClient, user: Uuid) -> Result<Option<String>, Error> {
    const USER_NAME: &str = "\
-- user_name
SELECT name FROM user_account WHERE id = $1";
    let row = client
        .query_opt(USER_NAME, &[&user])
        .await
        .map_err(Error::statement("user_name"))?;
    Ok(row.map(|row| row.get(0)))
}

const fn columns(scope: Scope) -> (&'static str, Option<Uuid>) {
    match scope {
        Scope::All => ("all", None),
        Scope::Group(id) => ("group", Some(id)),
        Scope::Cluster(id) => ("cluster", Some(id)),
    }
}

fn scope(row: &Row) -> Option<Scope> {
    let id: Option<Uuid> = row.get("scope_id");
    match row.get("scope_kind") {
        "all" => Some(Scope::All),
        "group" => id.map(Scope::Group),
        _ => id.map(Scope::Cluster),
    }
}

fn held(row: &Row) -> Option<access::Grant> {
    Some(access::Grant {
        id: row.get("id"),
        role: row.get("role_id"),
        scope: scope(row)?,
    })
}

fn grant(row: &Row) -> Grant {
    Grant {
        id: row.get("id"),
        user: row.get("user_id"),
        role: row.get("role_id"),
        role_name: row.get("role_name"),
        // The table's check constraint keeps a scope without id out.
        scope: scope(row).unwrap_or(Scope::Group(Uuid::nil())),
        scope_name: row.get("scope_name"),
        expires_at: row.get("expires_at"),
        expired: row.get("expired"),
        created_at: row.get("created_at"),
        created_by: row.get("created_by"),
    }
}

/// A grant as the audit trail shows it.
fn describe(grant: &Grant) -> Json {
    let (kind, id) = columns(grant.scope);
    json!({
        "id": grant.id, "role": grant.role_name, "scope": kind, "scope_id": id, "scope_name": grant.scope_name,
        "expires_at": grant.expires_at.map(|at| at.to_string()),
    })
}
