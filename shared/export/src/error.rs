//! Why there is no file.

/// Why a file can't be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing of what is asked for may be seen by whoever asks.
    #[error("the permission {permission} is missing")]
    Forbidden {
        /// Which.
        permission: &'static str,
    },
    /// There is no such thing, or it may not be seen.
    #[error("there is no {0} that may be seen")]
    NotFound(String),
    /// A name that this build does not know.
    #[error("{0:?} is no metric of its kind")]
    UnknownMetric(String),
    /// Rows can't be read.
    #[error("rows can't be read")]
    Store(#[from] vmscope_store::Error),
    /// A row can't be written as CSV.
    #[error("a row can't be written as CSV")]
    Csv(#[from] csv::Error),
    /// A row can't be written as JSON.
    #[error("a row can't be written as JSON")]
    Json(#[from] serde_json::Error),
    /// Rows can't be written as Parquet.
    #[error("rows can't be written as Parquet")]
    Parquet(#[from] parquet::errors::ParquetError),
}
