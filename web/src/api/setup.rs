//! The first user of an installation.

use crate::api::Envelope;
use crate::api::account::{self, UserReference};
use crate::api::extract::{Body, Nothing, Params};
use crate::auth::{Visitor, secret};
use crate::error::{ApiError, Fault, Fields, Problem};
use crate::state::App;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vmscope_store::setup;
use vmscope_store::user::NewUser;

/// Whether there is anything to set up.
#[derive(Debug, Serialize, ToSchema)]
pub struct Setup {
    /// True until the first user is there.
    pub needed: bool,
}

/// The first user, who may do everything.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetupRequest {
    /// The code that vmscope printed when it started for the first time.
    #[schema(min_length = 1, max_length = 64)]
    code: String,
    /// Name to log in with.
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = "^[^@\\x00-\\x1f\\x7f-\\x9f]+$",
        example = "ada"
    )]
    name: String,
    /// E-mail address, to log in with as well.
    #[schema(max_length = 254, example = "ada@example.com")]
    #[serde(default)]
    email: Option<String>,
    /// What the user wants to be called.
    #[schema(max_length = 128)]
    #[serde(default)]
    display_name: Option<String>,
    /// Password.
    #[schema(min_length = 12, max_length = 256, format = "password")]
    password: String,
}

/// Whether the installation waits for its first user.
#[utoipa::path(get, path = "/setup", tag = "setup",
    responses((status = 200, description = "Whether it does", body = Envelope<Setup>)))]
pub(crate) async fn get_setup(
    State(app): State<App>,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Envelope<Setup>, ApiError> {
    let needed = setup::is_needed(&app.store).await?;
    Ok(Envelope::ok(Setup { needed }))
}

/// Makes the first user, who may do everything. Possible once, with the code that vmscope printed when it started.
#[utoipa::path(post, path = "/setup", tag = "setup", request_body = SetupRequest,
    responses((status = 200, description = "The user", body = Envelope<UserReference>),
        (status = 401, description = "40101 wrong code", body = Problem),
        (status = 403, description = "40300 request of another site, 40303 set-up is done", body = Problem)))]
pub(crate) async fn set_up(
    State(app): State<App>,
    visitor: Visitor,
    Params(Nothing {}): Params<Nothing>,
    Body(request): Body<SetupRequest>,
) -> Result<Envelope<UserReference>, ApiError> {
    app.auth.limits.login(visitor.address)?;
    if !setup::is_needed(&app.store).await? {
        return Err(ApiError::SetUp);
    }
    let mut fields = Fields::default();
    let email = account::email(&mut fields, request.email.as_deref());
    let display_name = request.display_name.as_deref().unwrap_or_default().trim();
    account::check_name(&mut fields, &request.name);
    fields.text("display_name", display_name, 0, account::MAX_DISPLAY_NAME);
    fields.require(!request.code.trim().is_empty(), "code", Fault::TooShort(1));
    account::check_password(&mut fields, "password", &request.password, &request.name);
    fields.check()?;
    let new = NewUser {
        name: request.name.trim().to_owned(),
        email: email.flatten(),
        display_name: display_name.to_owned(),
        language: account::Tongue::default().tag().to_owned(),
        password_hash: app.auth.hasher.hash(request.password).await?,
        must_change_password: false,
    };
    let context = visitor.context(&new.name);
    let code = secret::sha256(&secret::plain_code(&request.code));
    let made = setup::complete(&app.store, &context, &code, &new).await?;
    let user = made.ok_or_else(|| {
        app.auth.limits.login_failed(visitor.address);
        ApiError::WrongCredentials
    })?;
    Ok(Envelope::ok(UserReference {
        id: user.id,
        name: user.name,
    }))
}
