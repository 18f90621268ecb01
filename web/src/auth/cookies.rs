//! The cookies of a browser's session.
//!
//! The two tokens are out of every script's reach (`HttpOnly`) and are sent to this site only (`SameSite=Strict`). The third cookie is for
//! the page to read: with it a request that changes something proves that it comes from this site's own page.

use axum::http::HeaderMap;
use axum::http::header::{COOKIE, HeaderValue, SET_COOKIE};
use ring::constant_time::verify_slices_are_equal;

/// The access token.
pub(crate) const ACCESS: &str = "vmscope_access";
/// The refresh token.
pub(crate) const REFRESH: &str = "vmscope_refresh";
/// What a page sends back in a header.
const CSRF: &str = "vmscope_csrf";
/// The header that carries it.
pub(crate) const CSRF_HEADER: &str = "x-csrf-token";
/// The refresh token goes to where it is used, and nowhere else.
const REFRESH_PATH: &str = "/api/v1/auth";

/// What a browser gets at a login and at each refresh.
#[derive(Debug)]
pub(crate) struct Tokens<'a> {
    pub(crate) access: &'a str,
    pub(crate) refresh: &'a str,
    pub(crate) csrf: &'a str,
    /// How long the session lasts unless it is refreshed, in seconds.
    pub(crate) lifetime_s: u64,
}

/// The value of a cookie.
pub(crate) fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
        .filter(|value| !value.is_empty())
}

/// Whether the request has the page's proof: the cookie and the header say the same.
pub(crate) fn is_proven(headers: &HeaderMap) -> bool {
    let header = headers.get(CSRF_HEADER).map(HeaderValue::as_bytes);
    value(headers, CSRF)
        .zip(header)
        .is_some_and(|(cookie, header)| verify_slices_are_equal(cookie.as_bytes(), header).is_ok())
}

/// Gives the browser its tokens; with `secure` it sends them over TLS only.
pub(crate) fn give(headers: &mut HeaderMap, tokens: &Tokens<'_>, secure: bool) {
    let life = format!("Max-Age={}", tokens.lifetime_s);
    set(headers, ACCESS, tokens.access, "/", &life, true, secure);
    set(headers, REFRESH, tokens.refresh, REFRESH_PATH, &life, true, secure);
    set(headers, CSRF, tokens.csrf, "/", &life, false, secure);
}

/// Takes them away again.
pub(crate) fn take(headers: &mut HeaderMap, secure: bool) {
    for (name, path, hidden) in [(ACCESS, "/", true), (REFRESH, REFRESH_PATH, true), (CSRF, "/", false)] {
        set(headers, name, "", path, "Max-Age=0", hidden, secure);
    }
}

fn set(headers: &mut HeaderMap, name: &str, value: &str, path: &str, life: &str, hidden: bool, secure: bool) {
    let hidden = if hidden { "; HttpOnly" } else { "" };
    let secure = if secure { "; Secure" } else { "" };
    let line = format!("{name}={value}; Path={path}; {life}; SameSite=Strict{hidden}{secure}");
    // Tokens are base64url and points: always a header's text.
    if let Ok(line) = HeaderValue::try_from(line) {
        headers.append(SET_COOKIE, line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let headers = headers(&[("cookie", "not_vmscope_access=1; vmscope_access=2;vmscope_csrf=3")]);
        assert_eq!(value(&headers, ACCESS), Some("2"));
        assert_eq!(value(&headers, REFRESH), None);
    }

    #[test]
    fn a_proof_is_the_same_in_cookie_and_header() {
        assert!(is_proven(&headers(&[("cookie", "vmscope_csrf=abc"), (CSRF_HEADER, "abc")])));
        assert!(!is_proven(&headers(&[("cookie", "vmscope_csrf=abc"), (CSRF_HEADER, "abd")])));
        assert!(!is_proven(&headers(&[("cookie", "vmscope_csrf=abc")])));
        assert!(!is_proven(&headers(&[("cookie", "vmscope_csrf="), (CSRF_HEADER, "")])));
    }

    #[test]
    fn scripts_see_only_what_is_for_them() {
        let tokens = Tokens {
            access: "a",
            refresh: "r",
            csrf: "c",
            lifetime_s: 60,
        };
        let mut headers = HeaderMap::new();
        give(&mut headers, &tokens, true);
        let lines: Vec<&str> = headers.get_all(SET_COOKIE).iter().map(|line| line.to_str().unwrap()).collect();
        assert_eq!(lines.iter().filter(|line| line.contains("HttpOnly")).count(), 2);
        assert!(lines.iter().all(|line| line.contains("; Secure") && line.contains("SameSite=Strict")));
        assert!(lines.iter().any(|line| line.starts_with("vmscope_csrf=c; Path=/;") && !line.contains("HttpOnly")));
    }
}
