//! What follows from grants: for one user, for all, and whether somebody is left who may do everything.

use super::held;
use crate::{Error, Store, role};
use std::collections::HashMap;
use tokio_postgres::GenericClient;
use uuid::Uuid;
use vmscope_model::access::{
    self, Decision, Effect, Effective, Permission, Roles, SUPER_ADMIN, Scope, Subject,
};

/// Somebody who has a permission, or would have it if it were not denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Who.
    pub user: Uuid,
    /// The user's name.
    pub name: String,
    /// Whether he has it, and why.
    pub decision: Decision,
}

/// What a user may do now. An unknown user may do nothing; whether he is disabled is not asked here.
///
/// # Errors
/// The database's failures.
pub async fn effective(store: &Store, user: Uuid) -> Result<Effective, Error> {
    const ROLES_OF_USER: &str = "\
-- roles_of_user
WITH RECURSIVE lineage AS (
    SELECT role_id FROM access_grant WHERE user_id = $1 AND (expires_at IS NULL OR expires_at > now())
    UNION SELECT p.parent_id FROM role_parent p JOIN lineage l ON l.role_id = p.role_id
)
SELECT r.id, r.name,
    ARRAY(SELECT permission FROM role_entry e WHERE e.role_id = r.id ORDER BY permission, effect),
    ARRAY(SELECT effect FROM role_entry e WHERE e.role_id = r.id ORDER BY permission, effect),
    ARRAY(SELECT parent_id FROM role_parent p WHERE p.role_id = r.id)
FROM lineage l JOIN role r ON r.id = l.role_id";
    let client = store.get().await?;
    // Asked for with each request: both at once, and planned once.
    let (grants, roles) = futures_util::future::try_join(
        async {
            client
                .query(&client.prepare_cached(GRANTS_OF_USER).await?, &[&user])
                .await
        },
        async {
            client
                .query(&client.prepare_cached(ROLES_OF_USER).await?, &[&user])
                .await
        },
    )
    .await
    .map_err(Error::statement("roles_of_user"))?;
    let roles = Roles::new(roles.iter().map(|row| access::Role {
        id: row.get(0),
        name: row.get(1),
        entries: role::entries(&row.get::<_, Vec<String>>(2), &row.get::<_, Vec<String>>(3)),
        parents: row.get(4),
    }));
    let grants: Vec<access::Grant> = grants.iter().filter_map(held).collect();
    Ok(Effective::of(&grants, &roles))
}

/// Every enabled user whose rules say something about the permission for the subject: those who have it first, by name.
///
/// # Errors
/// The database's failures.
pub async fn holders(
    store: &Store,
    permission: &Permission,
    subject: &Subject,
) -> Result<Vec<Holder>, Error> {
    const GRANTS_OF_ALL: &str = "\
-- grants_of_all
SELECT g.id, g.role_id, g.scope_kind, g.scope_id, u.id AS user_id, u.name
FROM access_grant g JOIN user_account u ON u.id = g.user_id
WHERE u.disabled_at IS NULL AND (g.expires_at IS NULL OR g.expires_at > now())
ORDER BY lower(u.name)";
    let client = store.get().await?;
    let roles = role::load(&**client).await?;
    let rows = client
        .query(GRANTS_OF_ALL, &[])
        .await
        .map_err(Error::statement("grants_of_all"))?;
    let mut users: Vec<(Uuid, String, Vec<access::Grant>)> = Vec::new();
    for row in &rows {
        let user: Uuid = row.get("user_id");
        if users.last().is_none_or(|(last, ..)| *last != user) {
            users.push((user, row.get("name"), Vec::new()));
        }
        if let Some((_, _, grants)) = users.last_mut() {
            grants.extend(held(row));
        }
    }
    let mut holders: Vec<Holder> = users
        .into_iter()
        .map(|(user, name, grants)| Holder {
            user,
            name,
            decision: Effective::of(&grants, &roles).decide(permission, subject),
        })
        .filter(|holder| !holder.decision.reasons.is_empty())
        .collect();
    holders.sort_by_key(|holder| !holder.decision.allowed);
    Ok(holders)
}

/// The grants of a user that hold now.
const GRANTS_OF_USER: &str = "\
-- grants_of_user
SELECT id, role_id, scope_kind, scope_id FROM access_grant
WHERE user_id = $1 AND (expires_at IS NULL OR expires_at > now()) ORDER BY created_at, id";

pub(crate) async fn of_user(client: &impl GenericClient, user: Uuid) -> Result<Vec<access::Grant>, Error> {
    let rows = client
        .query(GRANTS_OF_USER, &[&user])
        .await
        .map_err(Error::statement("grants_of_user"))?;
    Ok(rows.iter().filter_map(held).collect())
}

/// The grants that hold now within one group, of whomever, each role once.
pub(crate) async fn within_group(
    client: &impl GenericClient,
    group: Uuid,
) -> Result<Vec<access::Grant>, Error> {
    const GRANTS_WITHIN_GROUP: &str = "\
-- grants_within_group
SELECT DISTINCT ON (role_id) id, role_id, scope_kind, scope_id FROM access_grant
WHERE scope_kind = 'group' AND scope_id = $1 AND (expires_at IS NULL OR expires_at > now()) ORDER BY role_id";
    let rows = client
        .query(GRANTS_WITHIN_GROUP, &[&group])
        .await
        .map_err(Error::statement("grants_within_group"))?;
    Ok(rows.iter().filter_map(held).collect())
}

/// The grants that hold now within each group, of whomever, each role once.
pub(crate) async fn within_groups(
    client: &impl GenericClient,
) -> Result<HashMap<Uuid, Vec<access::Grant>>, Error> {
    const GRANTS_WITHIN_GROUPS: &str = "\
-- grants_within_groups
SELECT DISTINCT ON (scope_id, role_id) id, role_id, scope_kind, scope_id FROM access_grant
WHERE scope_kind = 'group' AND (expires_at IS NULL OR expires_at > now()) ORDER BY scope_id, role_id";
    let rows = client
        .query(GRANTS_WITHIN_GROUPS, &[])
        .await
        .map_err(Error::statement("grants_within_groups"))?;
    let mut within: HashMap<Uuid, Vec<access::Grant>> = HashMap::new();
    for grant in rows.iter().filter_map(held) {
        if let Scope::Group(group) = grant.scope {
            within.entry(group).or_default().push(grant);
        }
    }
    Ok(within)
}

/// Whether somebody enabled may do everything, and for ever: by grants that do not expire, whatever others deny now.
///
/// Before there is any user nobody does, and nothing is refused for that: no change leads back there.
pub(crate) async fn has_administrator(client: &impl GenericClient) -> Result<bool, Error> {
    const LASTING_GRANTS: &str = "\
-- lasting_grants
SELECT g.id, g.role_id, g.scope_kind, g.scope_id, g.user_id, g.expires_at IS NOT NULL AS ends
FROM access_grant g JOIN user_account u ON u.id = g.user_id
WHERE u.disabled_at IS NULL AND (g.expires_at IS NULL OR g.expires_at > now()) AND g.user_id IN (
    SELECT user_id FROM access_grant WHERE role_id = ANY ($1) AND scope_kind = 'all' AND expires_at IS NULL
)";
    let roles = role::load(client).await?;
    let gives_all = |id: Uuid| {
        let lineage = roles.lineage(id);
        let mut entries = lineage.iter().flat_map(|(_, role)| &role.entries);
        entries.any(|entry| entry.permission == Permission::ALL && entry.effect == Effect::Allow)
    };
    let candidates: Vec<Uuid> = roles
        .iter()
        .map(|role| role.id)
        .filter(|id| gives_all(*id))
        .collect();
    let rows = client
        .query(LASTING_GRANTS, &[&candidates])
        .await
        .map_err(Error::statement("lasting_grants"))?;
    let mut users: HashMap<Uuid, (Vec<access::Grant>, Vec<access::Grant>)> = HashMap::new();
    for row in &rows {
        let (lasting, all) = users.entry(row.get("user_id")).or_default();
        all.extend(held(row));
        if !row.get::<_, bool>("ends") {
            lasting.extend(held(row));
        }
    }
    let everything = access::Grant {
        id: Uuid::nil(),
        role: SUPER_ADMIN,
        scope: Scope::All,
    };
    let everything = Effective::of(&[everything], &roles);
    let complete = |grants: &[access::Grant]| Effective::of(grants, &roles).lacks(&everything).is_none();
    Ok(users
        .values()
        .any(|(lasting, all)| complete(lasting) && complete(all)))
}
