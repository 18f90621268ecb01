//! Who asks.

use crate::error::ApiError;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use std::net::IpAddr;
use std::sync::Arc;
use uuid::Uuid;
use vmscope_model::access::{Effective, Permission, Reach, Subject};
use vmscope_store::access::Authority;
use vmscope_store::audit::{Actor, Context};

/// From where a request comes; in every request.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    /// The address of whoever asks, or of the proxy before him.
    pub(crate) address: IpAddr,
    /// The id of the request.
    pub(crate) request_id: String,
    /// Method and path.
    pub(crate) what: String,
}

impl Visitor {
    /// For the audit trail: somebody who is not logged in and says that he is `claimed`.
    pub(crate) fn context(&self, claimed: &str) -> Context {
        self.acting(Actor::Anonymous {
            claimed: claimed.to_owned(),
        })
    }

    /// For the audit trail: `actor`, from there.
    pub(crate) fn acting(&self, actor: Actor) -> Context {
        Context {
            actor,
            remote: self.address.to_string(),
            request_id: self.request_id.clone(),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get().cloned().ok_or(ApiError::Internal)
    }
}

/// A person, and what he may do.
#[derive(Debug)]
pub(crate) struct Holder {
    /// His id.
    pub(crate) user: Uuid,
    /// His name.
    pub(crate) name: String,
    /// Nothing else is possible before he has changed his password.
    pub(crate) must_change_password: bool,
    /// His rights; those of a token are cut down to it.
    pub(crate) rights: Effective,
    /// How he proves himself.
    pub(crate) proof: Proof,
}

/// How somebody proves himself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proof {
    /// By a session: he has logged in.
    Session(Uuid),
    /// By an API token.
    Token {
        /// Its id.
        id: Uuid,
        /// Its name.
        name: String,
    },
}

/// Whoever is logged in: in every request of a route that is not public.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    holder: Arc<Holder>,
    visitor: Visitor,
}

impl Caller {
    /// `holder`, from there.
    pub(super) const fn new(holder: Arc<Holder>, visitor: Visitor) -> Self {
        Self { holder, visitor }
    }

    /// His id.
    pub(crate) fn user(&self) -> Uuid {
        self.holder.user
    }

    /// His name.
    pub(crate) fn name(&self) -> &str {
        &self.holder.name
    }

    /// From where he asks.
    pub(crate) const fn visitor(&self) -> &Visitor {
        &self.visitor
    }

    /// How he proves himself.
    pub(super) fn proof(&self) -> &Proof {
        &self.holder.proof
    }

    /// His session; none for an API token.
    pub(crate) fn session(&self) -> Option<Uuid> {
        match self.holder.proof {
            Proof::Session(id) => Some(id),
            Proof::Token { .. } => None,
        }
    }

    /// His session, for what an API token must not do: it would outlive itself.
    ///
    /// # Errors
    /// [`ApiError::InPerson`].
    pub(crate) fn in_person(&self) -> Result<Uuid, ApiError> {
        self.session().ok_or(ApiError::InPerson)
    }

    /// His rights.
    pub(crate) fn rights(&self) -> &Effective {
        &self.holder.rights
    }

    /// By what right he changes things.
    pub(crate) fn authority(&self) -> Authority<'_> {
        Authority::Of(&self.holder.rights)
    }

    /// For what he has the permission.
    ///
    /// # Errors
    /// [`ApiError::Forbidden`] when there is nothing.
    pub(crate) fn reach(&self, permission: &str) -> Result<Reach, ApiError> {
        let reach = self.rights().reach(&known(permission)?);
        if reach.is_nothing() {
            return Err(ApiError::forbidden(permission));
        }
        Ok(reach)
    }

    /// For what he has the permission, which may be nothing.
    ///
    /// # Errors
    /// [`ApiError::Internal`] when there is no such permission.
    pub(crate) fn reach_or_nothing(&self, permission: &str) -> Result<Reach, ApiError> {
        Ok(self.rights().reach(&known(permission)?))
    }

    /// Nothing, if `subject` is within his reach: what is out of it does not exist for him, unless he has no such permission at all.
    ///
    /// # Errors
    /// [`ApiError::Forbidden`] or [`ApiError::NotFound`].
    pub(crate) fn find(&self, permission: &str, subject: &Subject) -> Result<(), ApiError> {
        if self.reach(permission)?.includes(subject) {
            Ok(())
        } else {
            Err(ApiError::NotFound)
        }
    }

    /// Nothing, if he has the permission for `subject`.
    ///
    /// # Errors
    /// [`ApiError::Forbidden`].
    pub(crate) fn require(&self, permission: &str, subject: &Subject) -> Result<(), ApiError> {
        if self.rights().allows(&known(permission)?, subject) {
            Ok(())
        } else {
            Err(ApiError::forbidden(permission))
        }
    }

    /// For the audit trail.
    pub(crate) fn context(&self) -> Context {
        let name = self.holder.name.clone();
        self.visitor.acting(match &self.holder.proof {
            Proof::Session(_) => Actor::User {
                id: self.holder.user,
                name,
            },
            Proof::Token { id, name: token } => Actor::Token {
                id: *id,
                name: format!("{name}/{token}"),
                user: self.holder.user,
            },
        })
    }

    /// Whether he must change his password before anything else. A token's owner need not: the token can do less.
    pub(super) fn must_change_password(&self) -> bool {
        self.holder.must_change_password && self.session().is_some()
    }
}

fn known(permission: &str) -> Result<Permission, ApiError> {
    Permission::known(permission).ok_or_else(|| {
        tracing::error!(permission, "a route needs a permission that does not exist");
        ApiError::Internal
    })
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        // A public route that asks who calls is a mistake of ours, not of the caller.
        parts.extensions.get().cloned().ok_or(ApiError::Internal)
    }
}
