//! What all changes of people and their rights have in common.
//!
//! Each is one transaction under one lock, so that what it looked at (who is an administrator, which role inherits from
//! which) is still so when it commits; its audit entry is the last thing in it. Refusals change nothing.

use crate::audit::{self, Actor, Context};
use crate::{Error, grant, role};
use deadpool_postgres::{Object, Transaction};
use tokio_postgres::GenericClient;
use tokio_postgres::error::SqlState;
use uuid::Uuid;
use vmscope_model::access::{Effective, Permission};

/// Key of the advisory lock for changes of people and rights: "vmaccess" in ASCII.
const ACCESS_LOCK: i64 = 0x76_6d61_6363_6573;

/// By what right a change is made: nobody gives or takes what he does not hold himself.
#[derive(Debug, Clone, Copy)]
pub enum Authority<'a> {
    /// Somebody at the command line, who has the database anyway.
    System,
    /// A person about himself, where the API lets him.
    Own,
    /// A person with these rights.
    Of(&'a Effective),
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such thing.
    #[error("there is no such {0}")]
    Unknown(&'static str),
    /// Somebody has the name.
    #[error("the name is taken")]
    NameTaken,
    /// Somebody has the e-mail address.
    #[error("the e-mail address is taken")]
    EmailTaken,
    /// The person has this role in this scope.
    #[error("the role is granted already")]
    AlreadyGranted,
    /// Something refers to it.
    #[error("it is in use")]
    InUse,
    /// An agent says how it is.
    #[error("an agent says how it is")]
    NotManual,
    /// Every installation has it as it is.
    #[error("it is built in")]
    BuiltIn,
    /// Nobody would be left who may do everything.
    #[error("nobody would be left who may do everything")]
    LastAdministrator,
    /// A role would inherit from itself, or a group be a part of itself.
    #[error("it would be a part of itself")]
    Cycle,
    /// It would give what the acting person does not hold.
    #[error("only somebody who has the permission {0} there may do this")]
    Escalation(Permission),
    /// Too many failures to log in; the lock fell while this attempt was under way.
    #[error("too many failures to log in")]
    Locked,
    /// No permission of this build.
    #[error("there is no permission {0}")]
    UnknownPermission(Permission),
    /// A value breaks a rule of its table; the constraint's name.
    #[error("a value is not allowed: {0}")]
    Malformed(String),
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It must not be made.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It could not be made.
    #[error(transparent)]
    Database(#[from] Error),
}

impl Failure {
    /// Makes the failure of a statement that writes what people have typed; for `map_err`.
    pub(crate) const fn statement(operation: &'static str) -> impl FnOnce(tokio_postgres::Error) -> Self {
        move |source| {
            refusal(&source).map_or_else(
                || Self::Database(Error::Statement { operation, source }),
                Self::Refused,
            )
        }
    }
}

fn refusal(error: &tokio_postgres::Error) -> Option<Refusal> {
    let error = error.as_db_error()?;
    let constraint = error.constraint().unwrap_or_default();
    match *error.code() {
        SqlState::UNIQUE_VIOLATION => match constraint {
            "user_account_name" | "role_name" | "vm_group_name" => Some(Refusal::NameTaken),
            "user_account_email" => Some(Refusal::EmailTaken),
            "access_grant_once" => Some(Refusal::AlreadyGranted),
            _ => None,
        },
        SqlState::CHECK_VIOLATION => Some(Refusal::Malformed(constraint.to_owned())),
        // A NUL, for which PostgreSQL's text has no place.
        SqlState::CHARACTER_NOT_IN_REPERTOIRE => Some(Refusal::Malformed("text".to_owned())),
        _ => None,
    }
}

/// A change under way.
pub(crate) struct Change<'a> {
    pub(crate) transaction: Transaction<'a>,
    context: &'a Context,
    had_administrator: bool,
}

impl<'a> Change<'a> {
    /// Begins one, when no other is under way.
    pub(crate) async fn begin(client: &'a mut Object, context: &'a Context) -> Result<Self, Error> {
        const LOCK_ACCESS: &str = "\
-- lock_access
SELECT pg_advisory_xact_lock($1)";
        let transaction = client
            .transaction()
            .await
            .map_err(Error::statement("lock_access"))?;
        transaction
            .execute(LOCK_ACCESS, &[&ACCESS_LOCK])
            .await
            .map_err(Error::statement("lock_access"))?;
        Ok(Self {
            transaction,
            context,
            had_administrator: false,
        })
    }

    /// Begins one that must not leave the installation without somebody who may do everything, if there is one.
    pub(crate) async fn begin_keeping_administrator(
        client: &'a mut Object,
        context: &'a Context,
    ) -> Result<Self, Error> {
        let mut change = Self::begin(client, context).await?;
        change.had_administrator = grant::has_administrator(&*change.transaction).await?;
        Ok(change)
    }

    /// Notes what was done and commits both.
    pub(crate) async fn commit(self, entry: &audit::Entry) -> Result<(), Failure> {
        if self.had_administrator && !grant::has_administrator(&*self.transaction).await? {
            return Err(Refusal::LastAdministrator.into());
        }
        audit::append(&*self.transaction, self.context, entry).await?;
        let committed = self.transaction.commit().await;
        Ok(committed.map_err(Error::statement("commit_access"))?)
    }
}

impl Authority<'_> {
    /// Refuses to touch a person who has more than the acting one: a password that somebody else sets opens everything that
    /// it protects.
    pub(crate) async fn over_user(self, client: &impl GenericClient, user: Uuid) -> Result<(), Failure> {
        let Self::Of(holder) = self else {
            return Ok(());
        };
        let roles = role::load(client).await?;
        let target = Effective::of(&grant::of_user(client, user).await?, &roles);
        require(holder.lacks(&target))
    }
}

/// Refuses when something is lacking.
pub(crate) fn require(lacking: Option<Permission>) -> Result<(), Failure> {
    lacking.map_or(Ok(()), |permission| Err(Refusal::Escalation(permission).into()))
}

/// What the acting one is called.
pub(crate) fn actor_name(context: &Context) -> &str {
    match &context.actor {
        Actor::Anonymous { claimed: name }
        | Actor::User { name, .. }
        | Actor::Token { name, .. }
        | Actor::System { name } => name,
    }
}

/// Whether the virtual machine whose id is `vm` is within a reach, whose groups are the parameters number `allowed` and `denied`: see
/// [`Reach::allowed`](vmscope_model::access::Reach::allowed). For a reach of everything nothing is left of it when it is planned.
pub(crate) fn vm_within(vm: &str, allowed: u8, denied: u8) -> String {
    format!(
        "(${allowed}::uuid[] IS NULL
        OR EXISTS (SELECT FROM vm_group_member m WHERE m.vm_id = {vm} AND m.group_id = ANY (${allowed})))
    AND (${denied}::uuid[] = '{{}}'
        OR NOT EXISTS (SELECT FROM vm_group_member m WHERE m.vm_id = {vm} AND m.group_id = ANY (${denied})))"
    )
}

/// Whether the host whose id is `host` is within a reach: one of its virtual machines is in an allowed group, and none in a denied one.
pub(crate) fn host_within(host: &str, allowed: u8, denied: u8) -> String {
    let member = |groups: u8| {
        format!(
            "EXISTS (SELECT FROM vm JOIN vm_group_member m ON m.vm_id = vm.id
            WHERE vm.host_id = {host} AND m.group_id = ANY (${groups}))"
        )
    };
    format!(
        "(${allowed}::uuid[] IS NULL OR {}) AND (${denied}::uuid[] = '{{}}' OR NOT {})",
        member(allowed),
        member(denied)
    )
}
