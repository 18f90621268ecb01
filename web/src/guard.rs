//! Keeps other web sites' pages away from a service that trusts whoever reaches it.
//!
//! A page of any site can make its visitor's browser send requests to loopback. The browser does not show it the answers,
//! unless the site's name points to loopback (DNS rebinding), which the `Host` header gives away, or it opens a
//! WebSocket, where the `Origin` header does.

use crate::error::ApiError;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::{HOST, HeaderName, ORIGIN};
use axum::http::uri::Authority;
use axum::middleware::Next;
use axum::response::Response;
use std::net::IpAddr;

/// Refuses requests whose `Host` is not this machine under a name that only it can have, with any port (tunnels).
///
/// # Errors
/// [`ApiError::Foreign`].
pub(crate) async fn refuse_foreign_hosts(request: Request, next: Next) -> Result<Response, ApiError> {
    if authority(request.headers(), &HOST).is_some_and(|authority| is_loopback(&authority)) {
        Ok(next.run(request).await)
    } else {
        Err(ApiError::Foreign)
    }
}

/// Whether the request comes from this server's own pages, or from no page at all.
pub(crate) fn is_own_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else {
        return true;
    };
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    origin.is_some_and(|(_, origin)| Some(origin) == host)
}

fn authority(headers: &HeaderMap, name: &HeaderName) -> Option<Authority> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

fn is_loopback(authority: &Authority) -> bool {
    let host = authority.host();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_this_machine() {
        let is_loopback = |host: &str| host.parse().is_ok_and(|authority| is_loopback(&authority));
        for host in [
            "localhost",
            "LOCALHOST:8780",
            "127.0.0.1:8780",
            "127.0.0.2",
            "[::1]:8780",
            "[::1]",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "evil.example:8780",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "192.0.2.1",
            "[::]",
            "",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

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
