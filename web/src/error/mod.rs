//! What the API answers when it can't answer what was asked: one enum, one JSON shape, three languages.
//!
//! A handler's error becomes an empty response that carries the [`ApiError`] as an extension; [`localise`], the outermost
//! layer of the API, writes its body in the caller's language. Causes of internal errors go to the log, never to the caller.

mod field;
mod from;
mod response;
mod text;

pub use field::{Fault, Field, Fields};
pub use response::{FieldProblem, Problem, ProblemData, localise};

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use std::fmt::Display;

/// Why a request was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// The request makes no sense as a whole.
    #[error("bad request")]
    BadRequest,
    /// A parameter is unknown, missing or wrong; the detail names it.
    #[error("bad parameter: {detail}")]
    Parameter {
        /// `name: what is wrong`.
        detail: String,
    },
    /// The body is no JSON.
    #[error("broken JSON: {detail}")]
    BrokenJson {
        /// Where, as the parser says.
        detail: String,
    },
    /// Fields of the body are unknown, missing or wrong.
    #[error("{} fields are wrong", .0.len())]
    Fields(Vec<Field>),
    /// Nobody is logged in, or not any more.
    #[error("not logged in")]
    NotLoggedIn,
    /// The name, the password or the second factor is wrong; which, nobody is told.
    #[error("wrong credentials")]
    WrongCredentials,
    /// The password is right, and the account has a second factor.
    #[error("second factor needed")]
    SecondFactorNeeded,
    /// The session can't be continued.
    #[error("session over")]
    SessionOver,
    /// The request comes from another site.
    #[error("request of another site")]
    Foreign,
    /// The caller lacks a permission.
    #[error("permission {permission} missing")]
    Forbidden {
        /// Its name.
        permission: String,
    },
    /// A request with cookies lacks the token that only the own pages can read.
    #[error("CSRF token missing or wrong")]
    Csrf,
    /// There is an administrator already.
    #[error("set-up is done")]
    SetUp,
    /// Nothing else is possible before the password is changed.
    #[error("password must be changed first")]
    MustChangePassword,
    /// An API token can't do it, whatever it may: it would outlive itself.
    #[error("an API token can't do this")]
    InPerson,
    /// There is no such thing, or the caller may not know of it.
    #[error("not found")]
    NotFound,
    /// The path exists, the method does not.
    #[error("method not allowed")]
    Method,
    /// The request took too long.
    #[error("timeout")]
    Timeout,
    /// Something else has this name.
    #[error("name taken")]
    NameTaken,
    /// Something else refers to it.
    #[error("in use")]
    InUse,
    /// What comes with vmscope can't be changed.
    #[error("built in")]
    BuiltIn,
    /// Nobody would be left who may do everything.
    #[error("last administrator")]
    LastAdministrator,
    /// A role would inherit from itself, or a group be a part of itself.
    #[error("cycle")]
    Cycle,
    /// An agent says how the virtual machine is, not people.
    #[error("not manual")]
    NotManual,
    /// The answer would be too big.
    #[error("more than {limit} values asked for")]
    TooMuch {
        /// Most values of one answer.
        limit: usize,
    },
    /// Too many samples would have to be read.
    #[error("more than {limit} samples would have to be read")]
    TooManySamples {
        /// Most samples that one query reads.
        limit: u64,
    },
    /// The body is too big.
    #[error("body of more than {limit} bytes")]
    BodyTooLarge {
        /// Most bytes of a body.
        limit: usize,
    },
    /// The body is not said to be JSON.
    #[error("content type is not JSON")]
    ContentType,
    /// The address asks too often.
    #[error("too many requests")]
    TooManyRequests {
        /// When it may ask again, in seconds.
        retry_after_s: u64,
    },
    /// Too many wrong passwords.
    #[error("locked")]
    Locked {
        /// For how long, in seconds.
        retry_after_s: u64,
    },
    /// Too many exports are under way: in this server, or of the caller.
    #[error("too many exports")]
    TooManyExports,
    /// Something that the caller can't mend; the log says what.
    #[error("internal error")]
    Internal,
    /// The database does not answer, or no collector has made its tables yet.
    #[error("database unavailable")]
    DatabaseUnavailable,
    /// No more live connections.
    #[error("too many live connections")]
    Full,
    /// Nobody has said where files are kept.
    #[error("no place for files")]
    NoStorage,
}

impl ApiError {
    /// A bad parameter `name`, with what is wrong about it.
    pub fn parameter(name: &str, problem: impl Display) -> Self {
        Self::Parameter {
            detail: format!("{name}: {problem}"),
        }
    }

    /// One wrong field of the body.
    pub fn field(name: &str, fault: Fault) -> Self {
        Self::Fields(vec![Field::new(name, fault)])
    }

    /// The permission that the caller lacks.
    pub fn forbidden(permission: impl Into<String>) -> Self {
        Self::Forbidden {
            permission: permission.into(),
        }
    }

    /// Stable application code.
    pub const fn code(&self) -> u32 {
        match self {
            Self::BadRequest => 40_000,
            Self::Parameter { .. } => 40_001,
            Self::BrokenJson { .. } => 40_002,
            Self::Fields(_) => 40_003,
            Self::NotLoggedIn => 40_100,
            Self::WrongCredentials => 40_101,
            Self::SecondFactorNeeded => 40_102,
            Self::SessionOver => 40_103,
            Self::Foreign => 40_300,
            Self::Forbidden { .. } => 40_301,
            Self::Csrf => 40_302,
            Self::SetUp => 40_303,
            Self::MustChangePassword => 40_304,
            Self::InPerson => 40_305,
            Self::NotFound => 40_400,
            Self::Method => 40_500,
            Self::Timeout => 40_800,
            Self::NameTaken => 40_900,
            Self::InUse => 40_901,
            Self::BuiltIn => 40_902,
            Self::LastAdministrator => 40_903,
            Self::Cycle => 40_904,
            Self::NotManual => 40_905,
            Self::TooMuch { .. } => 41_300,
            Self::BodyTooLarge { .. } => 41_301,
            Self::TooManySamples { .. } => 41_302,
            Self::ContentType => 41_500,
            Self::TooManyRequests { .. } => 42_900,
            Self::Locked { .. } => 42_901,
            Self::TooManyExports => 42_902,
            Self::Internal => 50_000,
            Self::DatabaseUnavailable => 50_300,
            Self::Full => 50_301,
            Self::NoStorage => 50_302,
        }
    }

    /// HTTP status: the first three digits of the code.
    pub fn status(&self) -> StatusCode {
        u16::try_from(self.code() / 100)
            .ok()
            .and_then(|status| StatusCode::from_u16(status).ok())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// When the caller may try again, in seconds.
    pub const fn retry_after_s(&self) -> Option<u64> {
        match self {
            Self::TooManyRequests { retry_after_s } | Self::Locked { retry_after_s } => Some(*retry_after_s),
            _ => None,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}
