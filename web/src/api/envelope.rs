//! The shape of every JSON answer.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// A successful answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct Envelope<T> {
    /// Application code; 0 is success.
    #[schema(example = 0)]
    pub code: u32,
    /// `ok`.
    #[schema(example = "ok")]
    pub message: &'static str,
    /// What was asked for.
    pub data: T,
}

impl<T> Envelope<T> {
    /// Wraps `data` as a success.
    pub const fn ok(data: T) -> Self {
        Self {
            code: 0,
            message: "ok",
            data,
        }
    }
}

impl<T: Serialize> IntoResponse for Envelope<T> {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// Nothing: `data` is null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Empty;

impl Serialize for Empty {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl PartialSchema for Empty {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Null).build().into()
    }
}

impl ToSchema for Empty {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Empty")
    }
}
