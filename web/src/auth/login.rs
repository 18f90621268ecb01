//! How a session begins, goes on and ends.
//!
//! Whether a name exists is told by nothing: wrong names, wrong passwords and wrong second factors have one answer, a name that
//! nobody has is hashed against and counted like any other, and a lock answers before anything is looked at.

use super::keys::ACCESS_S;
use super::{Caller, Visitor, jwt::Claims, secret, totp};
use crate::error::{ApiError, Fault};
use crate::state::App;
use jiff::Timestamp;
use uuid::Uuid;
use vmscope_store::access::{Failure, Refusal};
use vmscope_store::audit::{self, Actor, Context};
use vmscope_store::lockout::{self, Key};
use vmscope_store::login::{self, Credentials, NewSession, Refreshed};
use vmscope_store::second_factor;
use vmscope_store::user::User;

/// How long a session lasts unless it is refreshed, in seconds: two weeks.
const SESSION_S: i64 = 14 * 86_400;
/// What the secrets of second factors are sealed as.
pub(crate) const TOTP_PURPOSE: &str = "totp";

/// Somebody wants in.
pub(crate) struct Attempt {
    /// Name or address.
    pub(crate) login: String,
    /// Password.
    pub(crate) password: String,
    /// Code of the second factor.
    pub(crate) second_factor: Option<String>,
    /// With what program.
    pub(crate) user_agent: String,
}

/// A session, with what it is continued with.
pub(crate) struct Granted {
    /// Whose.
    pub(crate) user: Uuid,
    /// Its id.
    pub(crate) session: Uuid,
    /// Access token.
    pub(crate) access: String,
    /// How long it is good, in seconds.
    pub(crate) access_s: u64,
    /// Refresh token.
    pub(crate) refresh: String,
    /// How long it is good, in seconds.
    pub(crate) refresh_s: u64,
}

/// Begins a session.
///
/// # Errors
/// [`ApiError::WrongCredentials`], [`ApiError::SecondFactorNeeded`], [`ApiError::Locked`], or the database's failures.
pub(crate) async fn log_in(app: &App, visitor: &Visitor, attempt: Attempt) -> Result<Granted, ApiError> {
    let found = login::credentials(&app.store, &attempt.login).await?;
    let gate = Gate::new(app, visitor, &attempt.login, found.as_ref());
    gate.refuse_locked().await?;
    let hash = found.as_ref().map(|found| found.password_hash.clone());
    let is_right = app.auth.hasher.verify(attempt.password, hash).await?;
    let user = found
        .map(|found| found.user)
        .filter(|user| is_right && user.disabled_at.is_none());
    let Some(user) = user else {
        return Err(gate.fail().await?);
    };
    // Others may have failed while this one was hashed.
    gate.refuse_locked().await?;
    let context = visitor.acting(Actor::User {
        id: user.id,
        name: user.name.clone(),
    });
    if user.two_factor {
        let code = attempt.second_factor.ok_or(ApiError::SecondFactorNeeded)?;
        if !is_second_factor(app, &context, &user, &code).await? {
            return Err(gate.fail().await?);
        }
    }
    let refresh = secret::token()?;
    let new = NewSession {
        user: user.id,
        refresh_sha256: &secret::sha256(&refresh),
        lifetime_s: SESSION_S,
        remote: &context.remote,
        user_agent: &attempt.user_agent,
    };
    match login::begin(&app.store, &context, new).await {
        Ok(session) => grant(app, &session, refresh).await,
        Err(Failure::Refused(Refusal::Locked)) => Err(gate
            .refuse_locked()
            .await
            .err()
            .unwrap_or(ApiError::WrongCredentials)),
        Err(Failure::Refused(Refusal::Unknown(_))) => Err(ApiError::WrongCredentials),
        Err(failure) => Err(failure.into()),
    }
}

/// Continues a session.
///
/// # Errors
/// [`ApiError::SessionOver`], or the database's failures.
pub(crate) async fn refresh(app: &App, visitor: &Visitor, old: &str) -> Result<Granted, ApiError> {
    // A token that is used up without another one in its place would end the session.
    app.auth.keys.ready().await?;
    let new = secret::token()?;
    let context = visitor.context("");
    let (old, sum) = (secret::sha256(old), secret::sha256(&new));
    match login::refresh(&app.store, &context, &old, &sum, SESSION_S).await? {
        Refreshed::Done(session) => grant(app, &session, new).await,
        Refreshed::Reused(session) => {
            tracing::warn!(session.id = %session, "a refresh token was used twice: its session has ended");
            app.auth.sessions.forget();
            Err(ApiError::SessionOver)
        }
        Refreshed::Over | Refreshed::Unknown => Err(ApiError::SessionOver),
    }
}

/// Ends the caller's session.
///
/// # Errors
/// [`ApiError::InPerson`], or the database's failures.
pub(crate) async fn log_out(app: &App, caller: &Caller) -> Result<(), ApiError> {
    let session = caller.in_person()?;
    match login::end(&app.store, &caller.context(), caller.user(), session).await {
        // Somebody else has ended it a moment ago.
        Ok(()) | Err(Failure::Refused(Refusal::Unknown(_))) => Ok(()),
        Err(failure) => Err(failure.into()),
    }
}

/// Nothing, if the caller knows his password: a session that was left open is not enough for everything. Failures count as those
/// to log in.
///
/// # Errors
/// [`ApiError::Fields`] about `field`, [`ApiError::Locked`], or the database's failures.
pub(crate) async fn prove(app: &App, caller: &Caller, field: &str, password: String) -> Result<(), ApiError> {
    caller.in_person()?;
    app.auth.limits.login(caller.visitor().address)?;
    let found = login::credentials_of(&app.store, caller.user()).await?;
    let gate = Gate::new(app, caller.visitor(), caller.name(), found.as_ref());
    gate.refuse_locked().await?;
    let hash = found.map(|found| found.password_hash);
    if app.auth.hasher.verify(password, hash).await? {
        return Ok(());
    }
    gate.fail().await?;
    Err(ApiError::field(field, Fault::Wrong))
}

async fn grant(app: &App, session: &login::Session, refresh: String) -> Result<Granted, ApiError> {
    let claims = Claims::new(session.user, session.id, ACCESS_S);
    Ok(Granted {
        user: session.user,
        session: session.id,
        access: app.auth.keys.sign(&claims).await?,
        access_s: ACCESS_S,
        refresh,
        refresh_s: SESSION_S.unsigned_abs(),
    })
}

/// Whether the code is of the user's authenticator and was not used before, or one of his recovery codes.
async fn is_second_factor(app: &App, context: &Context, user: &User, code: &str) -> Result<bool, ApiError> {
    let kept = second_factor::get(&app.store, user.id).await?;
    let Some(kept) = kept.filter(|kept| kept.confirmed) else {
        return Ok(false);
    };
    let sealed = app
        .auth
        .vault
        .get(kept.secret, TOTP_PURPOSE, &user.id.to_string())
        .await?;
    if let Some(step) = totp::step(&sealed, code, Timestamp::now())? {
        return Ok(second_factor::use_step(&app.store, user.id, step).await?);
    }
    let sum = secret::sha256(&secret::plain_code(code));
    Ok(second_factor::use_recovery_code(&app.store, context, user.id, &sum).await?)
}

/// Where the failures of one name are counted.
struct Gate<'a> {
    app: &'a App,
    visitor: &'a Visitor,
    context: Context,
    key: Key,
    user: Option<(Uuid, String)>,
}

impl<'a> Gate<'a> {
    fn new(app: &'a App, visitor: &'a Visitor, login: &str, found: Option<&Credentials>) -> Self {
        Self {
            app,
            visitor,
            context: visitor.context(login),
            key: found.map_or_else(|| Key::of_stranger(login), |found| Key::of_user(found.user.id)),
            user: found.map(|found| (found.user.id, found.user.name.clone())),
        }
    }

    /// Refuses while the name is locked.
    async fn refuse_locked(&self) -> Result<(), ApiError> {
        let Some(until) = lockout::locked_until(&self.app.store, &self.key).await? else {
            return Ok(());
        };
        self.app.auth.limits.login_failed(self.visitor.address);
        let error = ApiError::Locked {
            retry_after_s: seconds_until(until),
        };
        let mut entry = audit::Entry::failed("login.failure", error.code());
        if let Some((id, name)) = &self.user {
            entry = entry.on("user", id, name);
        }
        audit::record(&self.app.store, &self.context, &entry).await?;
        Err(error)
    }

    /// Counts a failure.
    async fn fail(&self) -> Result<ApiError, ApiError> {
        self.app.auth.limits.login_failed(self.visitor.address);
        let error = ApiError::WrongCredentials;
        let user = self.user.as_ref().map(|(id, name)| (*id, name.as_str()));
        lockout::fail(&self.app.store, &self.context, &self.key, user, error.code()).await?;
        Ok(error)
    }
}

fn seconds_until(moment: Timestamp) -> u64 {
    let left = moment.duration_since(Timestamp::now()).as_secs();
    u64::try_from(left).unwrap_or_default().max(1)
}
