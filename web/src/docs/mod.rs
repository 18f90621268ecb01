//! A page that shows the API's description to people: `/api/docs`. It is part of the binary and needs no other site.

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;

const PAGE: &str = include_str!("page.html");
const SCRIPT: &str = include_str!("page.js");
const STYLE: &str = include_str!("style.css");

/// The page with its script and style.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route(
            "/api/docs",
            get(|| async { file("text/html; charset=utf-8", PAGE) }),
        )
        .route(
            "/api/docs/page.js",
            get(|| async { file("text/javascript; charset=utf-8", SCRIPT) }),
        )
        .route(
            "/api/docs/style.css",
            get(|| async { file("text/css; charset=utf-8", STYLE) }),
        )
}

fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache")], text)
}
