//! The JSON body of a request.

use crate::error::{ApiError, Fault, Field};
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

/// Most bytes of a body.
pub const MAX_BODY_BYTES: usize = 64 << 10;

/// The body as `T`, which refuses unknown fields. No text in it has a NUL character.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::ContentType);
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| unreadable(&rejection))?;
        parse(&bytes).map(Self)
    }
}

/// `application/json`, with any parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(kind)) = headers.get(CONTENT_TYPE).map(|kind| kind.to_str()) else {
        return false;
    };
    let essence = kind.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

fn unreadable(rejection: &BytesRejection) -> ApiError {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::BodyTooLarge {
            limit: MAX_BODY_BYTES,
        },
        _ => ApiError::BadRequest,
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let json: Json = serde_json::from_slice(bytes).map_err(|error| ApiError::BrokenJson {
        detail: error.to_string(),
    })?;
    if let Some(name) = nul(&json) {
        return Err(ApiError::field(&name, Fault::ControlCharacter));
    }
    typed(json)
}

fn typed<T: DeserializeOwned>(json: Json) -> Result<T, ApiError> {
    serde_path_to_error::deserialize(json).map_err(|error| {
        let path = error.path().to_string();
        ApiError::Fields(vec![mistake(&path, &error.inner().to_string())])
    })
}

/// The field `name` of a body as `T`, where the type depends on another field.
///
/// # Errors
/// [`ApiError::Fields`] with the path in the whole body.
pub(crate) fn part<T: DeserializeOwned>(name: &str, json: Json) -> Result<T, ApiError> {
    typed(json).map_err(|error| within(name, error))
}

/// An error of what is in the field `name`, as one of the whole body.
pub(crate) fn within(name: &str, error: ApiError) -> ApiError {
    match error {
        ApiError::Fields(mut fields) => {
            for field in &mut fields {
                let dot = if field.name.is_empty() { "" } else { "." };
                field.name = format!("{name}{dot}{}", field.name);
            }
            ApiError::Fields(fields)
        }
        error => error,
    }
}

/// Where a text with a NUL character is, if there is one: PostgreSQL has no such text.
fn nul(json: &Json) -> Option<String> {
    let within = |name: String, inner: String| {
        let dot = if inner.is_empty() { "" } else { "." };
        format!("{name}{dot}{inner}")
    };
    match json {
        Json::String(text) => text.contains('\0').then(String::new),
        Json::Array(items) => (0..)
            .zip(items)
            .find_map(|(number, item)| Some(within(i32::to_string(&number), nul(item)?))),
        Json::Object(fields) => fields.iter().find_map(|(name, value)| {
            if name.contains('\0') {
                return Some(String::new());
            }
            Some(within(name.clone(), nul(value)?))
        }),
        Json::Null | Json::Bool(_) | Json::Number(_) => None,
    }
}

/// What serde has against the value at `path`.
fn mistake(path: &str, message: &str) -> Field {
    let path = if path == "." { "" } else { path };
    let quoted = || message.split('`').nth(1).unwrap_or_default();
    let inner = |name: &str| match path {
        "" => name.to_owned(),
        // The parser's path ends with the unknown field itself.
        _ if path == name || path.ends_with(&format!(".{name}")) => path.to_owned(),
        _ => format!("{path}.{name}"),
    };
    if message.starts_with("unknown field") {
        Field::new(inner(quoted()), Fault::Unknown)
    } else if message.starts_with("missing field") {
        Field::new(inner(quoted()), Fault::Missing)
    } else if message.starts_with("unknown variant") {
        Field::new(path, Fault::UnknownValue)
    } else {
        Field::new(path, Fault::Type(message.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "read by no test")]
        inner: Inner,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "read by no test")]
        name: String,
    }

    fn wrong(body: &str) -> (String, &'static str) {
        match parse::<Outer>(body.as_bytes()) {
            Err(ApiError::Fields(fields)) => (fields[0].name.clone(), fields[0].fault.code()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_wrong_field_is_named_with_its_path() {
        let named = |name: &str, code| (name.to_owned(), code);
        assert_eq!(wrong("{}"), named("inner", "missing"));
        assert_eq!(wrong(r#"{"inner":{}}"#), named("inner.name", "missing"));
        assert_eq!(wrong(r#"{"inner":{"name":1}}"#), named("inner.name", "type"));
        assert_eq!(
            wrong(r#"{"inner":{"name":"x","more":1}}"#),
            named("inner.more", "unknown")
        );
        assert_eq!(
            wrong(r#"{"inner":{"name":"x\u0000"}}"#),
            named("inner.name", "control_character")
        );
        assert_eq!(wrong("[]"), named("", "type"));
        assert!(matches!(parse::<Outer>(b"{"), Err(ApiError::BrokenJson { .. })));
    }
}
