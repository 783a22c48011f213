//! A dashboard as one function, from a request to an answer, on a connection: whatever server there
//! is can mount it.
//!
//! ```
//! # use flowstate_diesel::prelude::*;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mut conn = SqliteConnection::establish(":memory:")?;
//! # flowstate_diesel::migrate(&mut conn)?;
//! use flowstate_ops::dashboard::{Access, Dashboard};
//!
//! // closed until told otherwise: who is it, and what may they do?
//! let dashboard = Dashboard::new(|head| match head.headers.get("x-user") {
//!     Some(user) if user == "anna" => Access::Operate("anna".to_owned()),
//!     _ => Access::None,
//! });
//! let request = http::Request::get("/").header("x-user", "anna").body(Vec::new())?;
//! let answer = dashboard.respond(&request, &mut conn);
//! assert_eq!(answer.status(), 200);
//! # Ok(())
//! # }
//! ```
//!
//! It waits for the database: call it where that may be, such as in `spawn_blocking`.

mod change;
mod form;
mod graph;
mod guard;
mod page;
mod pages;
mod record;
mod serve;

use std::hash::{BuildHasher as _, RandomState};

use flowstate_diesel::{AsStore, Store};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use maud::{Markup, html};

use self::form::Form;
use self::guard::{answer, is_from_here, is_same};
use self::page::Page;
use crate::operator;

pub use guard::{Access, loopback};
pub use serve::serve;

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// The longest body of a request, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// The dashboard: see [the module](self).
pub struct Dashboard {
    access: Box<dyn Fn(&Parts) -> Access + Send + Sync>,
    /// Where it is mounted, without a slash at the end.
    root: String,
    /// Makes the tokens by which a POST shows that it comes from a page of this dashboard.
    key: RandomState,
}

/// Why a page is not shown.
enum Refused {
    NoSuchPage,
    Operator(operator::Error),
    Status(StatusCode, &'static str),
}

impl From<operator::Error> for Refused {
    fn from(error: operator::Error) -> Self {
        Self::Operator(error)
    }
}

/// What is known of a request once it is let in.
struct Visit<'a> {
    page: Page<'a>,
    form: Form,
    /// Who may move records.
    operator: Option<&'a str>,
    token: String,
}

impl Dashboard {
    /// A dashboard for whom `access` lets in: it is asked at each request, and told its head.
    pub fn new(access: impl Fn(&Parts) -> Access + Send + Sync + 'static) -> Self {
        Self { access: Box::new(access), root: String::new(), key: RandomState::new() }
    }

    /// The dashboard under a path, such as `/ops`: `/` by default.
    #[must_use]
    pub fn mounted_at(mut self, path: &str) -> Self {
        path.trim_end_matches('/').clone_into(&mut self.root);
        self
    }

    /// Answers a request. Whatever goes wrong is an answer, too.
    pub fn respond(
        &self,
        request: &Request<Vec<u8>>,
        conn: &mut impl AsStore,
    ) -> Response<Vec<u8>> {
        let (head, ()) = request_head(request).into_parts();
        let (who, operator) = match (self.access)(&head) {
            Access::None => {
                let body = b"closed: nobody has let you in\n".to_vec();
                return answer(StatusCode::FORBIDDEN, "text/plain; charset=utf-8", body);
            }
            Access::Read(who) => (who, false),
            Access::Operate(who) => (who, true),
        };
        let path = head.uri.path().strip_prefix(&*self.root).unwrap_or("\0");
        match path {
            "/style.css" => return answer(StatusCode::OK, "text/css", STYLE.into()),
            "/script.js" => return answer(StatusCode::OK, "text/javascript", SCRIPT.into()),
            _ => {}
        }
        let page = Page { root: &self.root, path, who: &who };
        let token = self.token(&who);
        let mut visit =
            Visit { page, form: Form::default(), operator: operator.then_some(&*who), token };
        let shown = show(&head, request.body(), &mut visit, conn.as_store());
        let (status, title, body) = match shown {
            Ok((title, body)) => (StatusCode::OK, title, body),
            Err(refused) => explain(&refused),
        };
        answer(status, HTML, visit.page.html(&title, &body).into_string().into())
    }

    /// Different for everybody, and anew when the program starts.
    fn token(&self, who: &str) -> String {
        let half = |part: u8| self.key.hash_one((part, who));
        format!("{:016x}{:016x}", half(0), half(1))
    }
}

/// The page that a request asks for, or what it does.
fn show<C: Store>(
    head: &Parts,
    body: &[u8],
    visit: &mut Visit<'_>,
    conn: &mut C,
) -> Result<(String, Markup), Refused> {
    visit.form = Form::parse(head.uri.query().unwrap_or_default())?;
    match (&head.method, visit.page.path) {
        (&Method::GET | &Method::HEAD, path) => get(path, visit, conn),
        (&Method::POST, "/act") => {
            let Some(actor) = visit.operator else {
                let why = "you may look and not touch";
                return Err(Refused::Status(StatusCode::FORBIDDEN, why));
            };
            if !is_from_here(head) {
                let why = "this request does not come from a page of this dashboard";
                return Err(Refused::Status(StatusCode::FORBIDDEN, why));
            }
            if body.len() > MAX_BODY {
                let why = "this request is too long";
                return Err(Refused::Status(StatusCode::PAYLOAD_TOO_LARGE, why));
            }
            let sent = Form::parse(&String::from_utf8_lossy(body))?;
            if !is_same(sent.get("token"), &visit.token) {
                let why = "this page is too old, or not one of this dashboard: open it again";
                return Err(Refused::Status(StatusCode::FORBIDDEN, why));
            }
            let actor = actor.to_owned();
            visit.form = sent;
            change::done(visit, &actor, conn)
        }
        _ => Err(Refused::Status(StatusCode::METHOD_NOT_ALLOWED, "this cannot be done here")),
    }
}

fn get<C: Store>(path: &str, visit: &Visit<'_>, conn: &mut C) -> Result<(String, Markup), Refused> {
    match path {
        "" | "/" => pages::overview(visit, conn),
        "/flow" => pages::flow(visit, conn),
        "/records" => pages::records(visit, conn),
        "/failures" => pages::failures(visit, conn),
        "/workers" => pages::workers(conn),
        "/record" => record::record(visit, conn),
        "/plan" => change::planned(visit, conn),
        _ => Err(Refused::NoSuchPage),
    }
}

/// The head of a request as the function for access is told it.
fn request_head(request: &Request<Vec<u8>>) -> Request<()> {
    let mut head = Request::new(());
    head.method_mut().clone_from(request.method());
    head.uri_mut().clone_from(request.uri());
    head.headers_mut().clone_from(request.headers());
    *head.version_mut() = request.version();
    head
}

fn explain(refused: &Refused) -> (StatusCode, String, Markup) {
    let (status, title, why) = match refused {
        Refused::NoSuchPage => {
            (StatusCode::NOT_FOUND, "No such page", "there is nothing here".to_owned())
        }
        Refused::Status(status, why) => (*status, "Refused", (*why).to_owned()),
        Refused::Operator(error) => {
            let (status, title) = match error {
                operator::Error::NotFound { .. } => (StatusCode::NOT_FOUND, "No such record"),
                operator::Error::Refused { .. } => (StatusCode::CONFLICT, "Refused"),
                operator::Error::Input { .. } => (StatusCode::BAD_REQUEST, "Not understood"),
                _ => (StatusCode::SERVICE_UNAVAILABLE, "The database failed"),
            };
            (status, title, error.to_string())
        }
    };
    (status, title.to_owned(), html! { p.note.bad role="alert" { (why) } })
}
