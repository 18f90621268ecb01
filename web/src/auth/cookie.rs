//! The cookies of a browser's session.
//!
//! The tokens are `HttpOnly`: no script can read them, the pages' own neither. What the pages can read is the CSRF token, which they
//! send back in a header; another site's page can make the browser send the cookies, but can't read that one.

use crate::error::ApiError;
use axum::http::header::{COOKIE, HeaderName, HeaderValue, SET_COOKIE};
use axum::http::{HeaderMap, Method};
use axum::response::{AppendHeaders, IntoResponse, IntoResponseParts, Response, ResponseParts};
use subtle::ConstantTimeEq;

const ACCESS: &str = "vmscope_access";
const REFRESH: &str = "vmscope_refresh";
const CSRF: &str = "vmscope_csrf";
/// Where the refresh token is sent to.
const REFRESH_PATH: &str = "/api/v1/auth";
/// The header in which the pages return the CSRF token.
pub(crate) const CSRF_HEADER: HeaderName = HeaderName::from_static("x-csrf-token");

/// Cookies to be set.
#[derive(Debug)]
pub(crate) struct SetCookies(Vec<HeaderValue>);

/// The tokens of a session, for a browser.
#[derive(Debug)]
pub(crate) struct Tokens<'a> {
    pub(crate) access: &'a str,
    pub(crate) access_s: u64,
    pub(crate) refresh: &'a str,
    pub(crate) refresh_s: u64,
    pub(crate) csrf: &'a str,
}

impl SetCookies {
    /// Puts the tokens into the browser.
    pub(crate) fn put(tokens: &Tokens<'_>, secure: bool) -> Self {
        let csrf_s = tokens.refresh_s;
        Self::of([
            cookie(ACCESS, tokens.access, "/", tokens.access_s, true, secure),
            cookie(
                REFRESH,
                tokens.refresh,
                REFRESH_PATH,
                tokens.refresh_s,
                true,
                secure,
            ),
            cookie(CSRF, tokens.csrf, "/", csrf_s, false, secure),
        ])
    }

    /// Removes them.
    pub(crate) fn remove(secure: bool) -> Self {
        Self::of([
            cookie(ACCESS, "", "/", 0, true, secure),
            cookie(REFRESH, "", REFRESH_PATH, 0, true, secure),
            cookie(CSRF, "", "/", 0, false, secure),
        ])
    }

    fn of(cookies: [String; 3]) -> Self {
        // Tokens are made of letters, digits and a few signs: they always fit.
        Self(
            cookies
                .into_iter()
                .filter_map(|cookie| HeaderValue::try_from(cookie).ok())
                .collect(),
        )
    }
}

impl IntoResponseParts for SetCookies {
    type Error = <AppendHeaders<Vec<(HeaderName, HeaderValue)>> as IntoResponseParts>::Error;

    fn into_response_parts(self, parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        let headers: Vec<_> = self.0.into_iter().map(|cookie| (SET_COOKIE, cookie)).collect();
        AppendHeaders(headers).into_response_parts(parts)
    }
}

impl IntoResponse for SetCookies {
    fn into_response(self) -> Response {
        (self, ()).into_response()
    }
}

fn cookie(name: &str, value: &str, path: &str, age_s: u64, http_only: bool, secure: bool) -> String {
    let http_only = if http_only { "; HttpOnly" } else { "" };
    let secure = if secure { "; Secure" } else { "" };
    format!("{name}={value}; Path={path}; Max-Age={age_s}; SameSite=Strict{http_only}{secure}")
}

/// The access token in the cookies.
pub(super) fn access(headers: &HeaderMap) -> Option<&str> {
    find(headers, ACCESS)
}

/// The refresh token in the cookies.
pub(crate) fn refresh(headers: &HeaderMap) -> Option<&str> {
    find(headers, REFRESH)
}

/// The request changes nothing, or shows that it comes from a page that could read our cookies.
fn is_protected(method: &Method, headers: &HeaderMap) -> bool {
    if method.is_safe() {
        return true;
    }
    let shown = headers.get(CSRF_HEADER).map(HeaderValue::as_bytes);
    let kept = find(headers, CSRF).filter(|kept| !kept.is_empty());
    shown
        .zip(kept)
        .is_some_and(|(shown, kept)| bool::from(shown.ct_eq(kept.as_bytes())))
}

/// Refuses a request that changes something and does not show that it comes from an own page.
///
/// # Errors
/// [`ApiError::Csrf`].
pub(crate) fn require_proof(method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    if is_protected(method, headers) {
        Ok(())
    } else {
        Err(ApiError::Csrf)
    }
}

fn find<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|cookies| cookies.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find_map(|(found, value)| (found == name).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(cookies: &'static str, shown: Option<&'static str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_static(cookies));
        headers.extend(shown.map(|shown| (CSRF_HEADER, HeaderValue::from_static(shown))));
        headers
    }

    #[test]
    fn finds_cookies_among_others() {
        let headers = headers("a=1; vmscope_access=x.y; vmscope_refresh=r;vmscope_csrf=c", None);
        assert_eq!((access(&headers), refresh(&headers)), (Some("x.y"), Some("r")));
        assert_eq!(find(&headers, "access"), None);
    }

    #[test]
    fn a_change_needs_the_token_that_only_own_pages_can_read() {
        let own = headers("vmscope_csrf=abc", Some("abc"));
        assert!(is_protected(&Method::POST, &own));
        for (cookies, shown) in [
            ("vmscope_csrf=abc", None),
            ("vmscope_csrf=abc", Some("abd")),
            ("vmscope_csrf=", Some("")),
            ("x=y", Some("abc")),
        ] {
            let headers = headers(cookies, shown);
            assert!(!is_protected(&Method::DELETE, &headers), "{cookies} {shown:?}");
            assert!(is_protected(&Method::GET, &headers));
        }
    }
}
