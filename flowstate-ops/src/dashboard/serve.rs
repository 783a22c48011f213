//! `flowstate dashboard`: on this machine, to look and not to touch.

use std::io::Read as _;

use flowstate_diesel::AsStore;

use super::{Dashboard, MAX_BODY};

/// Serves a dashboard with `server`, one request after the other, until the server is unblocked.
///
/// # Errors
/// That the server can take no requests any more.
pub fn serve(
    dashboard: &Dashboard,
    server: &tiny_http::Server,
    conn: &mut impl AsStore,
) -> std::io::Result<()> {
    let conn = conn.as_store();
    for mut request in server.incoming_requests() {
        let answer = match read(&mut request) {
            Some(request) => dashboard.respond(&request, conn),
            None => super::guard::answer(
                http::StatusCode::BAD_REQUEST,
                "text/plain; charset=utf-8",
                b"this is no request\n".to_vec(),
            ),
        };
        let (head, body) = answer.into_parts();
        let mut response =
            tiny_http::Response::from_data(body).with_status_code(head.status.as_u16());
        for (name, value) in &head.headers {
            let header = tiny_http::Header::from_bytes(name.as_str(), value.as_bytes());
            // what is a header there is one here
            if let Ok(header) = header {
                response.add_header(header);
            }
        }
        // whoever has gone away needs no answer
        request.respond(response).unwrap_or_default();
    }
    Ok(())
}

/// The request as `http` has it.
fn read(request: &mut tiny_http::Request) -> Option<http::Request<Vec<u8>>> {
    let mut read = http::Request::builder().method(request.method().as_str()).uri(request.url());
    for header in request.headers() {
        read = read.header(header.field.as_str().as_str(), header.value.as_str());
    }
    let mut body = Vec::new();
    let most = u64::try_from(MAX_BODY).unwrap_or(u64::MAX) + 1;
    request.as_reader().take(most).read_to_end(&mut body).ok()?;
    read.body(body).ok()
}
