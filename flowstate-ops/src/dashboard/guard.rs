//! Who may see and do what, and what every answer says to the browser.

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};

/// What somebody may do on a [`Dashboard`](super::Dashboard).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Nothing, not even to know that it is there.
    #[default]
    None,
    /// Look. The name is shown.
    Read(String),
    /// Look, and move records. The name is kept in their histories.
    Operate(String),
}

/// Lets everybody on this machine look, and nobody do anything: for a server that listens on
/// loopback. A page of another site that has its name point to this machine is refused by the name.
#[must_use]
pub fn loopback(head: &Parts) -> Access {
    match host(head).map(name_of) {
        Some("localhost" | "127.0.0.1" | "[::1]") => Access::Read("loopback".to_owned()),
        _ => Access::None,
    }
}

/// The host for which a request is: HTTP/2 has it in the address, and no header.
fn host(head: &Parts) -> Option<&str> {
    match head.headers.get(HOST) {
        Some(host) => host.to_str().ok(),
        None => head.uri.authority().map(http::uri::Authority::as_str),
    }
}

/// The name of a host without its port.
fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Whether a request that changes something comes from a page of this dashboard: browsers say so.
pub(super) fn is_from_here(head: &Parts) -> bool {
    let site = head.headers.get("sec-fetch-site");
    if site.is_some_and(|site| site != "same-origin") {
        return false;
    }
    match head.headers.get(ORIGIN).map(HeaderValue::to_str) {
        Some(Ok(origin)) => {
            let authority =
                origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            authority.is_some() && authority == host(head)
        }
        Some(Err(_)) => false,
        // a browser says one of the two with every POST
        None => site.is_some(),
    }
}

/// Whether two texts are one, in a time that does not tell where they differ.
pub(super) fn is_same(left: &str, right: &str) -> bool {
    let differ =
        left.bytes().zip(right.bytes()).fold(0, |differ, (left, right)| differ | (left ^ right));
    left.len() == right.len() && differ == 0
}

/// An answer with the headers that each has: nothing is loaded from elsewhere, run inline, framed,
/// guessed or kept.
pub(super) fn answer(status: StatusCode, kind: &'static str, body: Vec<u8>) -> Response<Vec<u8>> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                  form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    for (name, value) in [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, policy),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "same-origin"),
        (CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
