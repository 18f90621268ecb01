//! People who may log in.
//!
//! A name has no `@` and an e-mail address has one, and both are compared in lower case: what somebody types at the login
//! means one person at most. A person who is disabled or whose password changes loses his sessions in the same commit.

mod password;

pub(crate) use password::end_sessions;
pub use password::{NewPassword, set_password};

use crate::access::{Authority, Change, Failure, Refusal};
use crate::audit::{self, Context};
use crate::{Error, Order, Page, Paging, Store, page};
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use tokio_postgres::types::ToSql;
use tokio_postgres::{GenericClient, Row};
use uuid::Uuid;

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its e-mail address.
    pub email: Option<String>,
    /// What the user wants to be called.
    pub display_name: String,
    /// Language of the dashboard.
    pub language: String,
    /// The password must be changed before anything else.
    pub must_change_password: bool,
    /// When the password was last changed.
    pub password_changed_at: Timestamp,
    /// Since when the user can't log in.
    pub disabled_at: Option<Timestamp>,
    /// A second factor is asked for.
    pub two_factor: bool,
    /// Until when the user can't log in because of failures.
    pub locked_until: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the user last logged in.
    pub last_login_at: Option<Timestamp>,
}

/// A user to be made.
#[derive(Clone, PartialEq, Eq)]
pub struct NewUser {
    /// Its name.
    pub name: String,
    /// Its e-mail address.
    pub email: Option<String>,
    /// What the user wants to be called.
    pub display_name: String,
    /// Language of the dashboard.
    pub language: String,
    /// The hash of the password.
    pub password_hash: String,
    /// The password must be changed before anything else.
    pub must_change_password: bool,
}

impl std::fmt::Debug for NewUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewUser")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What is to be different; `None` leaves it as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Its name.
    pub name: Option<String>,
    /// Its e-mail address; `Some(None)` takes it away.
    pub email: Option<Option<String>>,
    /// What the user wants to be called.
    pub display_name: Option<String>,
    /// Language of the dashboard.
    pub language: Option<String>,
    /// Whether the user can't log in.
    pub disabled: Option<bool>,
}

/// By what users are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// Name.
    #[default]
    Name,
    /// When it was made.
    CreatedAt,
    /// Time of the last login.
    LastLoginAt,
}

/// Which users, in which order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Part of the name, the address or the display name in any case, or the beginning of the id; empty for all.
    pub search: String,
    /// Only those that are disabled, or only those that are not.
    pub disabled: Option<bool>,
    /// Order.
    pub order: Order<Sort>,
    /// Page.
    pub paging: Paging,
}

const USERS: &str = "
SELECT u.id, u.name, u.email, u.display_name, u.language, u.must_change_password, u.password_changed_at, u.disabled_at,
    u.totp_confirmed_at IS NOT NULL AS two_factor, u.created_at, u.last_login_at, f.locked_until
FROM user_account u
LEFT JOIN login_failure f ON f.key = 'user:' || u.id AND f.locked_until > now()";

const CHOSEN: &str = "
WHERE (u.name ILIKE $1 OR u.email ILIKE $1 OR u.display_name ILIKE $1 OR u.id::text LIKE $2)
  AND ($3::bool IS NULL OR $3 = (u.disabled_at IS NOT NULL))";

/// Users, a page at a time.
///
/// # Errors
/// The database's failures.
pub async fn list(store: &Store, filter: &Filter) -> Result<Page<User>, Error> {
    let column = match filter.order.by {
        Sort::Name => "lower(u.name)",
        Sort::CreatedAt => "u.created_at",
        Sort::LastLoginAt => "u.last_login_at",
    };
    let order = filter.order.clause(column, "u.id");
    let count = format!("-- count_users\nSELECT count(*) FROM user_account u{CHOSEN}");
    let statement = format!("-- list_users{USERS}{CHOSEN}\n{order} LIMIT $4 OFFSET $5");
    let (text, id) = page::patterns(&filter.search);
    let (limit, offset) = (filter.paging.limit(), filter.paging.offset());
    let chosen: [&(dyn ToSql + Sync); 3] = [&text, &id, &filter.disabled];
    let client = store.get().await?;
    let total = client
        .query_one(&count, &chosen)
        .await
        .map_err(Error::statement("count_users"))?;
    let rows = client
        .query(&statement, &[&chosen[..], &[&limit, &offset]].concat())
        .await
        .map_err(Error::statement("list_users"))?;
    Ok(Page {
        items: rows.iter().map(user).collect(),
        total: total.get(0),
    })
}

/// One user.
///
/// # Errors
/// The database's failures.
pub async fn get(store: &Store, id: Uuid) -> Result<Option<User>, Error> {
    find(&**store.get().await?, id).await
}

/// The user with this name or e-mail address.
///
/// # Errors
/// The database's failures.
pub async fn find_by_login(store: &Store, login: &str) -> Result<Option<User>, Error> {
    let statement =
        format!("-- find_user{USERS} WHERE lower(u.name) = lower($1) OR lower(u.email) = lower($1)");
    // Nobody is called by a text that the database can't hold.
    if login.contains('\0') {
        return Ok(None);
    }
    let row = store
        .get()
        .await?
        .query_opt(&statement, &[&login])
        .await
        .map_err(Error::statement("find_user"))?;
    Ok(row.as_ref().map(user))
}

/// Makes a user, who may do nothing yet.
///
/// # Errors
/// [`Refusal::NameTaken`], [`Refusal::EmailTaken`], [`Refusal::Malformed`], or the database's failures.
pub async fn create(store: &Store, context: &Context, new: &NewUser) -> Result<User, Failure> {
    let mut client = store.get().await?;
    let change = Change::begin(&mut client, context).await?;
    let user = insert(&*change.transaction, new).await?;
    let entry = audit::Entry::done("user.create").on("user", user.id, &user.name);
    change
        .commit(&entry.changing(None, Some(describe(&user))))
        .await?;
    Ok(user)
}

/// Changes a user. One that becomes disabled loses his sessions.
///
/// # Errors
/// [`Refusal::Unknown`], [`Refusal::NameTaken`], [`Refusal::EmailTaken`], [`Refusal::Malformed`], [`Refusal::Escalation`] for a
/// user who has more than the acting one, [`Refusal::LastAdministrator`], or the database's failures.
pub async fn update(
    store: &Store,
    context: &Context,
    by: Authority<'_>,
    id: Uuid,
    changes: &Changes,
) -> Result<User, Failure> {
    const UPDATE_USER: &str = "\
-- update_user
UPDATE user_account SET name = coalesce($2, name), email = CASE WHEN $3 THEN $4 ELSE email END,
    display_name = coalesce($5, display_name), language = coalesce($6, language),
    disabled_at = CASE WHEN $7::bool IS NULL THEN disabled_at WHEN $7 THEN coalesce(disabled_at, now()) END
WHERE id = $1";
    let mut client = store.get().await?;
    let change = Change::begin_keeping_administrator(&mut client, context).await?;
    let before = existing(&*change.transaction, id).await?;
    by.over_user(&*change.transaction, id).await?;
    let Changes {
        name,
        email,
        display_name,
        language,
        disabled,
    } = changes;
    let address = email.as_ref().and_then(Option::as_ref);
    change
        .transaction
        .execute(
            UPDATE_USER,
            &[
                &id,
                name,
                &email.is_some(),
                &address,
                display_name,
                language,
                disabled,
            ],
        )
        .await
        .map_err(Failure::statement("update_user"))?;
    let user = existing(&*change.transaction, id).await?;
    let action = match (before.disabled_at, user.disabled_at) {
        (None, Some(_)) => "user.disable",
        (Some(_), None) => "user.enable",
        _ => "user.update",
    };
    if user.disabled_at.is_some() {
        end_sessions(&*change.transaction, id, None).await?;
    }
    let entry = audit::Entry::done(action).on("user", id, &user.name);
    change
        .commit(&entry.changing(Some(describe(&before)), Some(describe(&user))))
        .await?;
    Ok(user)
}

/// Deletes a user with his grants, sessions and tokens; gives the id of the sealed second factor, which is to be removed.
///
/// # Errors
/// [`Refusal::Unknown`], [`Refusal::Escalation`] for a user who has more than the acting one, [`Refusal::LastAdministrator`], or
/// the database's failures.
pub async fn delete(
    store: &Store,
    context: &Context,
    by: Authority<'_>,
    id: Uuid,
) -> Result<Option<Uuid>, Failure> {
    const DELETE_USER: &str = "\
-- delete_user
DELETE FROM user_account WHERE id = $1 RETURNING totp_secret";
    const FORGET_FAILURES: &str = "\
-- forget_failures
DELETE FROM login_failure WHERE key = 'user:' || $1::uuid";
    let mut client = store.get().await?;
    let change = Change::begin_keeping_administrator(&mut client, context).await?;
    let user = existing(&*change.transaction, id).await?;
    by.over_user(&*change.transaction, id).await?;
    let deleted = change
        .transaction
        .query_one(DELETE_USER, &[&id])
        .await
        .map_err(Error::statement("delete_user"))?;
    change
        .transaction
        .execute(FORGET_FAILURES, &[&id])
        .await
        .map_err(Error::statement("forget_failures"))?;
    let entry = audit::Entry::done("user.delete").on("user", id, &user.name);
    change
        .commit(&entry.changing(Some(describe(&user)), None))
        .await?;
    Ok(deleted.get(0))
}

pub(crate) async fn insert(client: &impl GenericClient, new: &NewUser) -> Result<User, Failure> {
    const CREATE_USER: &str = "\
-- create_user
INSERT INTO user_account (id, name, email, display_name, language, password_hash, must_change_password)
VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let id = Uuid::new_v4();
    let NewUser {
        name,
        email,
        display_name,
        language,
        password_hash,
        must_change_password,
    } = new;
    client
        .execute(
            CREATE_USER,
            &[
                &id,
                name,
                email,
                display_name,
                language,
                password_hash,
                must_change_password,
            ],
        )
        .await
        .map_err(Failure::statement("create_user"))?;
    existing(client, id).await
}

pub(crate) async fn existing(client: &impl GenericClient, id: Uuid) -> Result<User, Failure> {
    let found = find(client, id).await?;
    found.ok_or_else(|| Refusal::Unknown("user").into())
}

async fn find(client: &impl GenericClient, id: Uuid) -> Result<Option<User>, Error> {
    let statement = format!("-- get_user{USERS} WHERE u.id = $1");
    let row = client
        .query_opt(&statement, &[&id])
        .await
        .map_err(Error::statement("get_user"))?;
    Ok(row.as_ref().map(user))
}

fn user(row: &Row) -> User {
    User {
        id: row.get("id"),
        name: row.get("name"),
        email: row.get("email"),
        display_name: row.get("display_name"),
        language: row.get("language"),
        must_change_password: row.get("must_change_password"),
        password_changed_at: row.get("password_changed_at"),
        disabled_at: row.get("disabled_at"),
        two_factor: row.get("two_factor"),
        locked_until: row.get("locked_until"),
        created_at: row.get("created_at"),
        last_login_at: row.get("last_login_at"),
    }
}

/// A user as the audit trail shows him.
pub(crate) fn describe(user: &User) -> Json {
    json!({
        "name": user.name, "email": user.email, "display_name": user.display_name, "language": user.language,
        "disabled": user.disabled_at.is_some(), "must_change_password": user.must_change_password,
    })
}

/// A user who may do everything, as the audit trail shows him.
pub(crate) fn administrator(user: &User) -> Json {
    let mut described = describe(user);
    described["role"] = "super_admin".into();
    described
}
