//! The body of every error.

use super::{ApiError, field};
use crate::language::Language;
use axum::Json;
use axum::extract::Request;
use axum::http::header::{CONTENT_LANGUAGE, CONTENT_LENGTH, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// The body of every error.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Application code, never 0: its first three digits are the status.
    #[schema(example = 40001, minimum = 40000, maximum = 59999)]
    code: u32,
    /// What is wrong, in the caller's language.
    message: String,
    /// What is wrong with which field, for code 40003; otherwise null.
    #[schema(required)]
    data: Option<ProblemData>,
}

/// What code 40003 says more.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemData {
    /// The wrong fields of the body.
    fields: Vec<FieldProblem>,
}

/// A wrong field of the body.
#[derive(Debug, Serialize, ToSchema)]
pub struct FieldProblem {
    /// Its path in the body (`scope.id`); empty for the body itself.
    #[schema(example = "name")]
    field: String,
    /// What is wrong, for programs: `unknown`, `missing`, `type`, `control_character`, `too_short`, `too_long`, `format`, `unknown_value`,
    /// `not_found`, `past`, `too_far`, `range`, `not_multiple`, `conflict`, `order`, `needs_samples`, `wrong`, `rule`, `password_contains_name`, `password_common`, `password_simple`,
    /// `password_repetitive`, `password_same`.
    #[schema(example = "too_short")]
    code: &'static str,
    /// What is wrong, in the caller's language.
    message: String,
    /// Where in the text, in characters from 0; null when it is about all of it.
    #[schema(required)]
    position: Option<usize>,
}

impl Problem {
    fn new(error: &ApiError, language: Language) -> Self {
        let data = match error {
            ApiError::Fields(fields) => Some(ProblemData {
                fields: fields
                    .iter()
                    .map(|field| FieldProblem::new(field, language))
                    .collect(),
            }),
            _ => None,
        };
        Self {
            code: error.code(),
            message: error.message(language),
            data,
        }
    }
}

impl FieldProblem {
    fn new(field: &field::Field, language: Language) -> Self {
        Self {
            field: field.name.clone(),
            code: field.fault.code(),
            message: field.fault.message(language),
            position: field.fault.position(),
        }
    }
}

/// Writes the body of a response that carries an [`ApiError`], in the language of the request. Its headers stay.
pub async fn localise(request: Request, next: Next) -> Response {
    let language = Language::of(request.headers());
    let response = next.run(request).await;
    let Some(error) = response.extensions().get::<ApiError>() else {
        return response;
    };
    let body = Json(Problem::new(error, language)).into_response();
    let headers = hints(error, language);
    let (mut parts, _) = response.into_parts();
    parts.headers.extend(body.headers().clone());
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.extend(headers);
    Response::from_parts(parts, body.into_body())
}

/// What the headers say beside the body.
fn hints(error: &ApiError, language: Language) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
    if let Some(seconds) = error.retry_after_s() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if error.status() == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    headers
}
