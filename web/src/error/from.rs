//! Errors of other parts, as the API says them.

use super::ApiError;

impl From<vmscope_store::Error> for ApiError {
    /// Logs what the caller is not told.
    fn from(error: vmscope_store::Error) -> Self {
        if let vmscope_store::Error::TooMuch { limit } = error {
            return Self::TooMuch { limit };
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
