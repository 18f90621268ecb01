//! Keeps other web sites' pages away from a service whose cookies the browser sends by itself.
//!
//! Pages of other sites can send requests with our cookies only where `SameSite=Strict` is not obeyed, and open a WebSocket; the
//! `Origin` header gives them away.

use axum::http::HeaderMap;
use axum::http::header::{HOST, ORIGIN};

/// Whether the request comes from this server's own pages, or from no page at all.
pub(crate) fn is_own_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else {
        return true;
    };
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    origin.is_some_and(|(_, origin)| Some(origin) == host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_pages_have_the_own_origin() {
        let own = |origin: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, "localhost:8780".parse().expect("a host"));
            headers.insert(ORIGIN, origin.parse().expect("an origin"));
            is_own_origin(&headers)
        };
        assert!(own("http://localhost:8780"));
        assert!(is_own_origin(&HeaderMap::new()));
        for origin in ["http://localhost:9999", "http://evil.example", "null", ""] {
            assert!(!own(origin), "{origin}");
        }
    }
}
