//! The audit trail: who did what, from where, to what, with what result.
//!
//! Entries are only ever added, by a function of the database that has its owner's rights: the web's role can't change
//! or remove one. Each carries the hash of the one before ([`chain`]), and collectors sign the newest hash every minute
//! ([`checkpoint()`]), so that [`verify()`] finds what somebody with more rights has changed.
//!
//! Invariants: numbers have no gaps, also when a transaction is rolled back; a change and its entry commit together
//! ([`append`]). No secret, password, hash of one or token may be in `before` or `after`: that is the callers' duty.

mod chain;
mod checkpoint;
mod list;
mod verify;

pub use checkpoint::{Check, Checkpoint, Mark, Signed, checkpoint, signing_keys};
pub use list::{Filter, Recorded, list};
pub use verify::{Finding, Report, Since, UNSIGNED_S, verify};

use crate::{Error, Store};
use serde_json::Value as Json;
use tokio_postgres::GenericClient;
use uuid::Uuid;

/// The longest text of an entry, in characters: what is longer was sent by somebody who wants to fill the disk.
const LONGEST_TEXT: usize = 500;

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// Nobody that is known.
    Anonymous {
        /// Who he says he is.
        claimed: String,
    },
    /// A user with a session.
    User {
        /// Its id.
        id: Uuid,
        /// Its name.
        name: String,
    },
    /// A program with a user's API token.
    Token {
        /// The token's id.
        id: Uuid,
        /// The token's name.
        name: String,
        /// Whose token it is.
        user: Uuid,
    },
    /// A program of vmscope, or somebody at its command line.
    System {
        /// Which.
        name: String,
    },
}

impl Actor {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Anonymous { .. } => "anonymous",
            Self::User { .. } => "user",
            Self::Token { .. } => "token",
            Self::System { .. } => "system",
        }
    }

    const fn id(&self) -> Option<Uuid> {
        match self {
            Self::User { id, .. } | Self::Token { id, .. } => Some(*id),
            Self::Anonymous { .. } | Self::System { .. } => None,
        }
    }

    const fn user(&self) -> Option<Uuid> {
        match self {
            Self::User { id, .. } => Some(*id),
            Self::Token { user, .. } => Some(*user),
            Self::Anonymous { .. } | Self::System { .. } => None,
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Anonymous { claimed: name }
            | Self::User { name, .. }
            | Self::Token { name, .. }
            | Self::System { name } => name,
        }
    }
}

/// Who acts, from where, in which request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// Who.
    pub actor: Actor,
    /// From which address; empty for a program's own doing.
    pub remote: String,
    /// In which request; empty when there is none.
    pub request_id: String,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was done.
    Done,
    /// He may not do it.
    Denied,
    /// It was tried and not done.
    Failed,
}

impl Outcome {
    /// Its name in the database and in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Denied => "denied",
            Self::Failed => "failed",
        }
    }

    /// The outcome of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Done, Self::Denied, Self::Failed]
            .into_iter()
            .find(|outcome| outcome.name() == name)
    }
}

/// What was acted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What it is: `user`, `role`, `group`.
    pub kind: &'static str,
    /// Its id, as the API writes it.
    pub id: String,
    /// What people call it.
    pub name: String,
}

/// One thing that somebody did.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What: `user.create`, `login.failure`.
    pub action: &'static str,
    /// To what.
    pub target: Option<Target>,
    /// What came of it.
    pub result: Outcome,
    /// The code of the API's answer, 0 for success.
    pub code: u32,
    /// What was before, without secrets.
    pub before: Option<Json>,
    /// What is now, without secrets.
    pub after: Option<Json>,
}

impl Entry {
    /// Something that was done.
    pub fn done(action: &'static str) -> Self {
        Self {
            action,
            target: None,
            result: Outcome::Done,
            code: 0,
            before: None,
            after: None,
        }
    }

    /// Something that he may not do.
    pub fn denied(action: &'static str, code: u32) -> Self {
        Self {
            result: Outcome::Denied,
            code,
            ..Self::done(action)
        }
    }

    /// Something that was tried and not done.
    pub fn failed(action: &'static str, code: u32) -> Self {
        Self {
            result: Outcome::Failed,
            code,
            ..Self::done(action)
        }
    }

    /// To what it was done.
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "ids are small and are given as they are"
    )]
    pub fn on(mut self, kind: &'static str, id: impl ToString, name: impl Into<String>) -> Self {
        self.target = Some(Target {
            kind,
            id: id.to_string(),
            name: name.into(),
        });
        self
    }

    /// What was before and what is now.
    #[must_use]
    pub fn changing(mut self, before: Option<Json>, after: Option<Json>) -> Self {
        (self.before, self.after) = (before, after);
        self
    }
}

/// Adds an entry within the transaction of a change, and gives its number. Call it last: from here to the end of the
/// transaction every other entry waits, and a lock that is taken afterwards may meet somebody who waits for this one.
///
/// # Errors
/// The database's failures.
pub(crate) async fn append(
    client: &impl GenericClient,
    context: &Context,
    entry: &Entry,
) -> Result<i64, Error> {
    const AUDIT_APPEND: &str = "\
-- audit_append
SELECT audit_append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13::text::json, $14::text::json)";
    let code = i32::try_from(entry.code).map_err(|_| Error::Range {
        what: "code of an audit entry",
        number: entry.code.into(),
    })?;
    let target = entry.target.as_ref();
    let row = client
        .query_one(
            AUDIT_APPEND,
            &[
                &context.actor.kind(),
                &context.actor.id(),
                &context.actor.user(),
                &text(context.actor.name()),
                &text(&context.remote),
                &text(&context.request_id),
                &entry.action,
                &target.map(|target| target.kind),
                &target.map(|target| text(&target.id)),
                &target.map(|target| text(&target.name)),
                &entry.result.name(),
                &code,
                &entry.before.as_ref().map(Json::to_string),
                &entry.after.as_ref().map(Json::to_string),
            ],
        )
        .await
        .map_err(Error::statement("audit_append"))?;
    Ok(row.get(0))
}

/// Adds an entry that belongs to no change: a denied attempt, a login. Gives its number.
///
/// # Errors
/// The database's failures.
pub async fn record(store: &Store, context: &Context, entry: &Entry) -> Result<i64, Error> {
    append(&**store.get().await?, context, entry).await
}

/// A text that PostgreSQL takes (it has no place for NUL) and that is not too long.
fn text(text: &str) -> String {
    text.chars().filter(|&c| c != '\0').take(LONGEST_TEXT).collect()
}
