//! Errors of other parts, as the API says them.

use super::{ApiError, Fault};
use vmscope_store::access::{Failure, Refusal};
use vmscope_store::lockout;

impl From<vmscope_store::Error> for ApiError {
    /// Logs what the caller is not told.
    fn from(error: vmscope_store::Error) -> Self {
        match error {
            vmscope_store::Error::TooMuch { limit } => return Self::TooMuch { limit },
            vmscope_store::Error::TooManySamples { limit } => return Self::TooManySamples { limit },
            vmscope_store::Error::SamplesGone { since } => {
                return Self::field("function", Fault::NeedsSamples(since.to_string()));
            }
            vmscope_store::Error::Misaligned { step_s } => {
                return Self::field("compare.shift_s", Fault::NotMultiple(step_s));
            }
            _ => {}
        }
        let (transient, unprepared) = (error.is_transient(), error.is_unprepared());
        let chain = format!("{:#}", anyhow::Error::from(error));
        if unprepared {
            tracing::warn!(
                error = chain,
                "database lacks tables of this version, which a collector makes"
            );
            Self::DatabaseUnavailable
        } else if transient {
            tracing::warn!(error = chain, "database can't answer");
            Self::DatabaseUnavailable
        } else {
            tracing::error!(error = chain, "database query failed");
            Self::Internal
        }
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => refusal.into(),
            Failure::Database(error) => error.into(),
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            // What the path names is not there; handlers that name things in a body say which field.
            Refusal::Unknown(_) => Self::NotFound,
            Refusal::NameTaken | Refusal::EmailTaken | Refusal::AlreadyGranted => Self::NameTaken,
            Refusal::InUse => Self::InUse,
            Refusal::NotManual => Self::NotManual,
            Refusal::BuiltIn => Self::BuiltIn,
            Refusal::LastAdministrator => Self::LastAdministrator,
            Refusal::Cycle => Self::Cycle,
            Refusal::Locked => Self::Locked {
                retry_after_s: u64::try_from(lockout::LOCKED_S).unwrap_or_default(),
            },
            Refusal::Escalation(permission) => Self::forbidden(permission.as_str()),
            Refusal::UnknownPermission(permission) => {
                Self::parameter("permission", format_args!("there is no {permission}"))
            }
            Refusal::Malformed(constraint) => {
                Self::parameter("body", format_args!("a value breaks {constraint}"))
            }
        }
    }
}

impl From<vmscope_vault::Error> for ApiError {
    /// Logs what the caller is not told.
    fn from(error: vmscope_vault::Error) -> Self {
        match error {
            vmscope_vault::Error::Store(error) => error.into(),
            error => {
                let chain = format!("{:#}", anyhow::Error::from(error));
                tracing::error!(error = chain, "a secret can't be used");
                Self::Internal
            }
        }
    }
}

impl From<vmscope_export::Error> for ApiError {
    /// Logs what the caller is not told.
    fn from(error: vmscope_export::Error) -> Self {
        match error {
            vmscope_export::Error::Store(error) => error.into(),
            vmscope_export::Error::Forbidden { permission } => Self::forbidden(permission),
            vmscope_export::Error::NotFound(_) => Self::NotFound,
            error => {
                let chain = format!("{:#}", anyhow::Error::from(error));
                tracing::error!(error = chain, "an export can't be made");
                Self::Internal
            }
        }
    }
}

impl From<vmscope_storage::Error> for ApiError {
    /// Logs what the caller is not told.
    fn from(error: vmscope_storage::Error) -> Self {
        let chain = format!("{:#}", anyhow::Error::from(error));
        tracing::error!(error = chain, "a file can't be used");
        Self::Internal
    }
}
