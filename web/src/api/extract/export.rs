//! The query string of an export.

use super::{detail, refuse_nul};
use crate::api::export::ExportFormat;
use crate::error::ApiError;
use axum::extract::{FromRequestParts, Query};
use axum::http::Uri;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use std::str::FromStr;

/// The parameters of a list as `T`, which refuses unknown ones, and `format` beside them.
#[derive(Debug)]
pub struct ExportParams<T> {
    /// The kind of file.
    pub format: ExportFormat,
    /// What the list takes.
    pub list: T,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for ExportParams<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        refuse_nul(query)?;
        let (format, list) = split(query)?;
        let uri = Uri::from_str(&format!("/?{list}")).map_err(|_| ApiError::BadRequest)?;
        match Query::<T>::try_from_uri(&uri) {
            Ok(Query(list)) => Ok(Self { format, list }),
            Err(rejection) => Err(ApiError::Parameter {
                detail: detail(&rejection),
            }),
        }
    }
}

/// The format, and what is left without it.
fn split(query: &str) -> Result<(ExportFormat, String), ApiError> {
    let mut format = None;
    let mut list = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let Some(name) = pair.strip_prefix("format=") else {
            list.push(pair);
            continue;
        };
        let known = ExportFormat::ALL
            .into_iter()
            .find(|format| format.name() == name)
            .filter(|_| format.is_none());
        format =
            Some(known.ok_or_else(|| ApiError::parameter("format", "must be csv, jsonl or parquet, once"))?);
    }
    Ok((format.unwrap_or_default(), list.join("&")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_taken_out_of_what_the_list_takes() {
        let taken = |query| split(query).expect("a query");
        assert_eq!(taken(""), (ExportFormat::Csv, String::new()));
        assert_eq!(
            taken("state=running&format=parquet&q=a%26b"),
            (ExportFormat::Parquet, "state=running&q=a%26b".to_owned())
        );
        for wrong in ["format=", "format=xml", "format=csv&format=csv"] {
            assert!(split(wrong).is_err(), "{wrong}");
        }
    }
}
