//! People by hand.

use uuid::Uuid;
use vmscope_model::access::{Effect, Effective, Entry, Permission, Scope};
use vmscope_store::Store;
use vmscope_store::access::{Authority, Failure, Refusal};
use vmscope_store::audit::{self, Actor, Context};
use vmscope_store::grant::{self, Grant, NewGrant};
use vmscope_store::group::{self, Definition, Group};
use vmscope_store::role::{self, Role};
use vmscope_store::user::{self, NewUser, User};

/// Somebody at the command line.
pub(crate) fn context() -> Context {
    Context {
        actor: Actor::System {
            name: "test".to_owned(),
        },
        remote: "192.0.2.7".to_owned(),
        request_id: "req-1".to_owned(),
    }
}

pub(crate) fn new_user(name: &str) -> NewUser {
    NewUser {
        name: name.to_owned(),
        email: Some(format!("{name}@example.com")),
        display_name: String::new(),
        language: "en".to_owned(),
        password_hash: "a hash".to_owned(),
        must_change_password: false,
    }
}

pub(crate) async fn person(store: &Store, name: &str) -> User {
    user::create(store, &context(), &new_user(name)).await.unwrap()
}

/// Gives somebody a role by nobody's rights.
pub(crate) async fn give(store: &Store, user: &User, role: Uuid, scope: Scope) -> Grant {
    let new = NewGrant {
        user: user.id,
        role,
        scope,
        expires_at: None,
    };
    grant::create(store, &context(), Authority::System, &new)
        .await
        .unwrap()
}

/// A person who has a role.
pub(crate) async fn person_with(store: &Store, name: &str, role: Uuid, scope: Scope) -> User {
    let user = person(store, name).await;
    give(store, &user, role, scope).await;
    user
}

/// A role of entries like `vm.read` and `!vm.read`, and of parents.
pub(crate) fn definition(name: &str, entries: &[&str], parents: &[Uuid]) -> role::Definition {
    let entry = |text: &&str| Entry {
        effect: if text.starts_with('!') {
            Effect::Deny
        } else {
            Effect::Allow
        },
        permission: permission(text.trim_start_matches('!')),
    };
    role::Definition {
        name: name.to_owned(),
        description: String::new(),
        entries: entries.iter().map(entry).collect(),
        parents: parents.to_vec(),
    }
}

pub(crate) async fn made_role(store: &Store, name: &str, entries: &[&str], parents: &[Uuid]) -> Role {
    role::create(
        store,
        &context(),
        Authority::System,
        &definition(name, entries, parents),
    )
    .await
    .unwrap()
}

pub(crate) async fn made_group(store: &Store, name: &str) -> Group {
    let definition = Definition {
        name: name.to_owned(),
        ..Definition::default()
    };
    group::create(store, &context(), Authority::System, &definition)
        .await
        .unwrap()
}

pub(crate) fn permission(name: &str) -> Permission {
    name.parse().unwrap()
}

pub(crate) async fn rights(store: &Store, user: &User) -> Effective {
    grant::effective(store, user.id).await.unwrap()
}

/// Why something was not done.
pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, Failure>) -> Refusal {
    match result.unwrap_err() {
        Failure::Refused(refusal) => refusal,
        Failure::Database(error) => panic!("{error:?}"),
    }
}

/// The newest actions in the audit trail, the newest first.
pub(crate) async fn actions(store: &Store, limit: u32) -> Vec<String> {
    let filter = audit::Filter {
        limit,
        ..audit::Filter::default()
    };
    let recorded = audit::list(store, &filter).await.unwrap();
    recorded.into_iter().map(|entry| entry.action).collect()
}
