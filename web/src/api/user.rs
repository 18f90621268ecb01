//! Users, for those who manage them.

use crate::api::account::{MAX_DISPLAY_NAME, Tongue, check_name, check_password, email};
use crate::api::extract::{Body, Id, Nothing, Params};
use crate::api::page::{self, Page};
use crate::api::{Empty, Envelope};
use crate::auth::Caller;
use crate::error::{ApiError, Fields};
use crate::state::App;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use vmscope_store::{Order, lockout, second_factor, user};

/// A user.
#[derive(Debug, Serialize, ToSchema)]
pub struct User {
    /// Its id.
    pub id: String,
    /// The name to log in with.
    #[schema(example = "lin")]
    pub name: String,
    /// The address to log in with; null when there is none.
    #[schema(required)]
    pub email: Option<String>,
    /// What the user wants to be called; may be empty.
    pub display_name: String,
    /// Language of the dashboard.
    #[schema(example = "en")]
    pub language: String,
    /// A second factor is asked for at the login.
    pub two_factor: bool,
    /// The password must be changed before anything else.
    pub must_change_password: bool,
    /// Since when the user can't log in; null when he can.
    #[schema(required)]
    pub disabled_at: Option<Timestamp>,
    /// Until when the user can't log in because of wrong passwords; null when he can.
    #[schema(required)]
    pub locked_until: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the user last logged in; null before the first time.
    #[schema(required)]
    pub last_login_at: Option<Timestamp>,
}

impl From<user::User> for User {
    fn from(user: user::User) -> Self {
        Self {
            id: user.id.to_string(),
            name: user.name,
            email: user.email,
            display_name: user.display_name,
            language: user.language,
            two_factor: user.two_factor,
            must_change_password: user.must_change_password,
            disabled_at: user.disabled_at,
            locked_until: user.locked_until,
            created_at: user.created_at,
            last_login_at: user.last_login_at,
        }
    }
}

/// Orders of the list of users; `-` is descending.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
pub enum UserSort {
    /// By name.
    #[default]
    #[serde(rename = "name")]
    Name,
    /// By name, backwards.
    #[serde(rename = "-name")]
    NameDescending,
    /// Oldest first.
    #[serde(rename = "created_at")]
    CreatedAt,
    /// Newest first.
    #[serde(rename = "-created_at")]
    CreatedAtDescending,
    /// Longest without a login first.
    #[serde(rename = "last_login_at")]
    LastLogin,
    /// Latest login first.
    #[serde(rename = "-last_login_at")]
    LastLoginDescending,
}

impl UserSort {
    const fn order(self) -> Order<user::Sort> {
        let (by, descending) = match self {
            Self::Name => (user::Sort::Name, false),
            Self::NameDescending => (user::Sort::Name, true),
            Self::CreatedAt => (user::Sort::CreatedAt, false),
            Self::CreatedAtDescending => (user::Sort::CreatedAt, true),
            Self::LastLogin => (user::Sort::LastLoginAt, false),
            Self::LastLoginDescending => (user::Sort::LastLoginAt, true),
        };
        Order { by, descending }
    }
}

/// Which users.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct UserParams {
    /// Number of the page, from 1.
    #[param(minimum = 1, maximum = 100_000, default = 1)]
    page: u32,
    /// Most items a page.
    #[param(minimum = 1, maximum = 500, default = 50)]
    page_size: u32,
    /// Only users whose name, address or display name contains this, in any case, or whose id begins with it.
    q: String,
    /// Order; by name when not given.
    #[param(inline)]
    sort: UserSort,
    /// Only those that are disabled, or only those that are not.
    disabled: Option<bool>,
}

impl Default for UserParams {
    fn default() -> Self {
        Self {
            page: 1,
            page_size: page::DEFAULT_SIZE,
            q: String::new(),
            sort: UserSort::default(),
            disabled: None,
        }
    }
}

/// Users, a page at a time.
#[utoipa::path(get, path = "/users", tag = "users", params(UserParams),
    responses((status = 200, description = "One page", body = Envelope<Page<User>>)))]
pub(crate) async fn list_users(
    State(app): State<App>,
    Params(params): Params<UserParams>,
) -> Result<Envelope<Page<User>>, ApiError> {
    let paging = page::check(params.page, params.page_size)?;
    let filter = user::Filter {
        search: params.q,
        disabled: params.disabled,
        order: params.sort.order(),
        paging,
    };
    Ok(Envelope::ok(page::of(
        user::list(&app.store, &filter).await?,
        paging,
    )))
}

/// One user.
#[utoipa::path(get, path = "/users/{id}", tag = "users", params(("id" = Uuid, Path, description = "The user")),
    responses((status = 200, description = "The user", body = Envelope<User>)))]
pub(crate) async fn get_user(
    State(app): State<App>,
    Id(id): Id<Uuid>,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Envelope<User>, ApiError> {
    Ok(Envelope::ok(find(&app, id).await?.into()))
}

/// The user, or the answer that there is none.
///
/// # Errors
/// [`ApiError::NotFound`].
pub(super) async fn find(app: &App, id: Uuid) -> Result<user::User, ApiError> {
    user::get(&app.store, id).await?.ok_or(ApiError::NotFound)
}

/// A user to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// The name to log in with: letters of any script, digits, `.`, `_`, `-`; no `@`.
    #[schema(min_length = 1, max_length = 64)]
    name: String,
    /// The address to log in with.
    #[schema(format = "email", max_length = 254)]
    email: Option<String>,
    /// What the user wants to be called.
    #[serde(default)]
    #[schema(max_length = 128)]
    display_name: String,
    /// Language of the dashboard; English when not given.
    #[serde(default)]
    language: Option<Tongue>,
    /// The first password; it must be changed at the first login.
    #[schema(format = "password", min_length = 12, max_length = 256)]
    password: String,
}

/// Makes a user, who may do nothing yet.
#[utoipa::path(post, path = "/users", tag = "users", request_body = NewUser, responses(
    (status = 200, description = "The user", body = Envelope<User>),
    (status = 409, description = "40900 name or address taken", body = crate::error::Problem)))]
pub(crate) async fn create_user(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<NewUser>,
) -> Result<Envelope<User>, ApiError> {
    let mut fields = Fields::default();
    let email = email(&mut fields, new.email.as_deref()).flatten();
    check_name(&mut fields, &new.name);
    fields.text("display_name", &new.display_name, 0, MAX_DISPLAY_NAME);
    check_password(&mut fields, "password", &new.password, &new.name);
    fields.check()?;
    let password_hash = app.auth.hasher.hash(new.password).await?;
    let made = user::NewUser {
        name: new.name.trim().to_owned(),
        email,
        display_name: new.display_name.trim().to_owned(),
        language: new.language.unwrap_or_default().tag().to_owned(),
        password_hash,
        must_change_password: true,
    };
    Ok(Envelope::ok(
        user::create(&app.store, &caller.context(), &made).await?.into(),
    ))
}

/// What is to be different; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::option_option, reason = "left alone, taken away, or set")]
pub struct UserChange {
    /// The name to log in with.
    #[schema(min_length = 1, max_length = 64)]
    name: Option<String>,
    /// The address to log in with; null takes it away.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, format = "email", max_length = 254)]
    email: Option<Option<String>>,
    /// What the user wants to be called.
    #[schema(max_length = 128)]
    display_name: Option<String>,
    /// Language of the dashboard.
    language: Option<Tongue>,
    /// Whether the user can't log in; his sessions end.
    disabled: Option<bool>,
}

/// Tells null from what is left out.
#[expect(clippy::option_option, reason = "left alone, taken away, or set")]
pub(crate) fn present<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Changes a user.
#[utoipa::path(patch, path = "/users/{id}", tag = "users", request_body = UserChange,
    params(("id" = Uuid, Path, description = "The user")), responses(
    (status = 200, description = "The user", body = Envelope<User>),
    (status = 409, description = "40900 name or address taken, 40903 last administrator", body = crate::error::Problem)))]
pub(crate) async fn change_user(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<Uuid>,
    Body(change): Body<UserChange>,
) -> Result<Envelope<User>, ApiError> {
    let mut fields = Fields::default();
    // Null takes it away, as an empty one does.
    let email = email(
        &mut fields,
        change
            .email
            .as_ref()
            .map(|email| email.as_deref().unwrap_or_default()),
    );
    if let Some(name) = &change.name {
        check_name(&mut fields, name);
    }
    fields.text(
        "display_name",
        change.display_name.as_deref().unwrap_or_default(),
        0,
        MAX_DISPLAY_NAME,
    );
    fields.check()?;
    let changes = user::Changes {
        name: change.name.map(|name| name.trim().to_owned()),
        email,
        display_name: change.display_name.map(|name| name.trim().to_owned()),
        language: change.language.map(|language| language.tag().to_owned()),
        disabled: change.disabled,
    };
    let user = user::update(&app.store, &caller.context(), caller.authority(), id, &changes).await?;
    Ok(Envelope::ok(user.into()))
}

/// Deletes a user with his grants, sessions and tokens.
#[utoipa::path(delete, path = "/users/{id}", tag = "users", params(("id" = Uuid, Path, description = "The user")), responses(
    (status = 200, description = "Deleted", body = Envelope<Empty>),
    (status = 409, description = "40903 last administrator", body = crate::error::Problem)))]
pub(crate) async fn delete_user(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<Uuid>,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Envelope<Empty>, ApiError> {
    let secret = user::delete(&app.store, &caller.context(), caller.authority(), id).await?;
    app.auth.forget_secret(secret).await;
    Ok(Envelope::ok(Empty))
}

/// A password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordReset {
    /// The password until the next login, where it must be changed.
    #[schema(format = "password", min_length = 12, max_length = 256)]
    password: String,
}

/// Gives a user another password, which he must change at his next login; his sessions end.
#[utoipa::path(post, path = "/users/{id}/password", tag = "users", request_body = PasswordReset,
    params(("id" = Uuid, Path, description = "The user")),
    responses((status = 200, description = "Changed", body = Envelope<Empty>)))]
pub(crate) async fn reset_password(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<Uuid>,
    Body(reset): Body<PasswordReset>,
) -> Result<Envelope<Empty>, ApiError> {
    let user = find(&app, id).await?;
    let mut fields = Fields::default();
    check_password(&mut fields, "password", &reset.password, &user.name);
    fields.check()?;
    let hash = app.auth.hasher.hash(reset.password).await?;
    let new = user::NewPassword {
        hash: &hash,
        must_change: true,
        keep_session: None,
    };
    user::set_password(&app.store, &caller.context(), caller.authority(), id, new).await?;
    Ok(Envelope::ok(Empty))
}

/// Lets a user log in again who had too many wrong passwords.
#[utoipa::path(post, path = "/users/{id}/unlock", tag = "users", params(("id" = Uuid, Path, description = "The user")),
    responses((status = 200, description = "Unlocked", body = Envelope<Empty>)))]
pub(crate) async fn unlock_user(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<Uuid>,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Envelope<Empty>, ApiError> {
    lockout::unlock(&app.store, &caller.context(), caller.authority(), id).await?;
    Ok(Envelope::ok(Empty))
}

/// Takes a user's second factor away, for somebody who has lost it.
#[utoipa::path(post, path = "/users/{id}/two-factor/reset", tag = "users", params(("id" = Uuid, Path, description = "The user")),
    responses((status = 200, description = "Taken away", body = Envelope<Empty>)))]
pub(crate) async fn reset_two_factor(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<Uuid>,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Envelope<Empty>, ApiError> {
    let secret = second_factor::disable(&app.store, &caller.context(), caller.authority(), id).await?;
    app.auth.forget_secret(secret).await;
    Ok(Envelope::ok(Empty))
}
