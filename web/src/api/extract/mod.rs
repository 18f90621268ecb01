//! Extractors whose refusals are API errors, not axum's plain text.

mod body;
mod export;

pub use body::{Body, MAX_BODY_BYTES};
pub(crate) use body::{part, within};
pub use export::ExportParams;

use crate::error::ApiError;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The query string as `T`. `T` refuses unknown fields, so that a misspelt parameter is never ignored.
#[derive(Debug)]
pub struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        refuse_nul(parts.uri.query().unwrap_or_default())?;
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(Self(params)),
            Err(rejection) => Err(ApiError::Parameter {
                detail: detail(&rejection),
            }),
        }
    }
}

/// PostgreSQL has no text with a NUL character in it.
fn refuse_nul(query: &str) -> Result<(), ApiError> {
    let nul = query
        .split('&')
        .find(|pair| pair.contains("%00") || pair.contains('\0'));
    nul.map_or(Ok(()), |pair| {
        let name = pair.split('=').next().unwrap_or_default();
        Err(ApiError::parameter(name, "must not contain a NUL character"))
    })
}

/// The `{id}` of the path as `T`, or all of them as a tuple.
#[derive(Debug)]
pub struct Id<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Self(id)),
            Err(_) => Err(ApiError::parameter("id", "not a UUID")),
        }
    }
}

/// For endpoints without parameters: refuses all.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// What is wrong, with the parameter's name (`page: invalid digit found in string`).
fn detail(rejection: &QueryRejection) -> String {
    let text = rejection.body_text();
    text.strip_prefix("Failed to deserialize query string: ")
        .map_or(text.clone(), str::to_owned)
}
