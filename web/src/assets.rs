//! The dashboard, built into the binary. (Debug builds read `web/ui/dist` as it is at the moment.)
//!
//! Paths without a file belong to the dashboard's own router and get its first page; a missing file is a 404. Files under
//! `assets/` carry their hash in their name and may be kept for ever; the first page is asked for anew each time.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use rust_embed::{Embed, EmbeddedFile};

const FIRST_PAGE: &str = "index.html";
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const ASK_ANEW: HeaderValue = HeaderValue::from_static("no-cache");
const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>vmscope</title>\
<p>The dashboard is not built into this server. Run <code>make ui</code> and build the server again. \
The API works: <a href=\"/api/v1/openapi.json\">/api/v1/openapi.json</a>.";

/// What every answer says about itself to browsers. Element Plus writes style attributes, hence `unsafe-inline` for styles.
const SECURITY: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];

#[derive(Embed)]
#[folder = "ui/dist"]
struct Dist;

/// A file of the dashboard, or its first page.
pub(crate) async fn serve(request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET, HEAD")]).into_response();
    }
    let path = request.uri().path().trim_start_matches('/');
    if path != FIRST_PAGE
        && let Some(file) = Dist::get(path)
    {
        let cache = if path.starts_with("assets/") {
            FOR_EVER
        } else {
            ASK_ANEW
        };
        return respond(file, cache);
    }
    let is_file = path != FIRST_PAGE && path.rsplit('/').next().is_some_and(|name| name.contains('.'));
    if is_file || path.starts_with("assets/") {
        return StatusCode::NOT_FOUND.into_response();
    }
    match Dist::get(FIRST_PAGE) {
        Some(page) => respond(page, ASK_ANEW),
        None => (StatusCode::SERVICE_UNAVAILABLE, Html(NOT_BUILT)).into_response(),
    }
}

/// Adds the security headers to any answer.
pub(crate) async fn secure(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in SECURITY {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

fn respond(file: EmbeddedFile, cache: HeaderValue) -> Response {
    let kind = HeaderValue::try_from(file.metadata.mimetype())
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    (
        [(CONTENT_TYPE, kind), (CACHE_CONTROL, cache)],
        Body::from(file.data),
    )
        .into_response()
}
