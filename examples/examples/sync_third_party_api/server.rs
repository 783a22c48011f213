//! The third party: a real web server on this machine that fails the first tries of everything.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use flowstate_diesel::BoxError;
use serde_json::{Value, json};
use tiny_http::{Request, Response};

pub(crate) struct Server {
    http: Arc<tiny_http::Server>,
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start() -> Result<Self, BoxError> {
        let http = tiny_http::Server::http("127.0.0.1:0")
            .map_err(|error| format!("cannot start a web server on 127.0.0.1: {error}"))?;
        let address = http.server_addr().to_ip().ok_or("the web server has no address")?;
        let http = Arc::new(http);
        let serving = Arc::clone(&http);
        let thread = thread::spawn(move || serve(&serving));
        Ok(Self { http, address, thread: Some(thread) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.http.unblock();
        self.thread.take().map(JoinHandle::join);
    }
}

/// As many as the program has threads at most.
const MOST_SILENT: usize = 64;

fn serve(http: &tiny_http::Server) {
    let mut tries: HashMap<String, u32> = HashMap::new();
    // requests that nobody answers while their client waits; each keeps a connection open
    let mut silent: VecDeque<Request> = VecDeque::new();
    for request in http.incoming_requests() {
        let id = request.url().trim_start_matches('/').to_owned();
        let count = tries.entry(id.clone()).or_default();
        *count += 1;
        let answered = match trouble(&id, *count) {
            Some(Trouble::Silence) => {
                silent.push_back(request);
                if silent.len() > MOST_SILENT {
                    silent.pop_front();
                }
                continue;
            }
            Some(Trouble::Status(code)) => request.respond(Response::empty(code)),
            None => request.respond(Response::from_string(answer(&id).to_string())),
        };
        // the client is gone: that is its own affair
        drop(answered);
    }
}

enum Trouble {
    Status(u16),
    Silence,
}

/// The first one to three tries of everything fail; one item in twenty gets no answer at first.
fn trouble(id: &str, tried: u32) -> Option<Trouble> {
    let number = number(id);
    match tried {
        1 if number % 20 == 7 => Some(Trouble::Silence),
        1 => Some(Trouble::Status(500)),
        tried if tried <= failing_tries(id) => Some(Trouble::Status(503)),
        _ => None,
    }
}

/// How many tries fail at least.
pub(crate) fn failing_tries(id: &str) -> u32 {
    1 + number(id) % 3
}

/// What the third party knows of this item, some kB.
pub(crate) fn answer(id: &str) -> Value {
    let order = |line: u32| json!({"order": line, "article": format!("article-{}", line * 7 % 10), "cents": line * 125});
    json!({"id": id, "name": format!("Customer №{}", number(id)), "orders": (1..=60).map(order).collect::<Vec<_>>()})
}

fn number(id: &str) -> u32 {
    id.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}
