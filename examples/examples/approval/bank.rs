//! A bank on this machine: a web server that carries out what it is asked, once for each
//! idempotency key, and then loses its first answer.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use flowstate_diesel::BoxError;
use serde_json::{Value, json};
use tiny_http::{Request, Response, Server};
use ureq::Agent;

pub(crate) struct Bank {
    http: Arc<Server>,
    address: SocketAddr,
    moved: Arc<Mutex<HashMap<String, Value>>>,
    thread: Option<JoinHandle<()>>,
}

impl Bank {
    pub(crate) fn open() -> Result<Self, BoxError> {
        let http = Server::http("127.0.0.1:0")
            .map_err(|error| format!("cannot start a web server on 127.0.0.1: {error}"))?;
        let address = http.server_addr().to_ip().ok_or("the web server has no address")?;
        let (http, moved) = (Arc::new(http), Arc::new(Mutex::new(HashMap::new())));
        let (serving, ledger) = (Arc::clone(&http), Arc::clone(&moved));
        let thread = thread::spawn(move || {
            for request in serving.incoming_requests() {
                answer(request, &ledger);
            }
        });
        Ok(Self { http, address, moved, thread: Some(thread) })
    }

    pub(crate) fn client(&self) -> Client {
        let timeout = Some(Duration::from_secs(5));
        Client {
            agent: Agent::config_builder().timeout_global(timeout).build().into(),
            url: format!("http://{}/payments", self.address),
        }
    }

    /// How often money moved.
    pub(crate) fn payments(&self) -> usize {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Drop for Bank {
    fn drop(&mut self) {
        self.http.unblock();
        self.thread.take().map(JoinHandle::join);
    }
}

fn answer(mut request: Request, moved: &Mutex<HashMap<String, Value>>) {
    let key = request
        .headers()
        .iter()
        .find(|header| header.field.equiv("Idempotency-Key"))
        .map(|header| header.value.to_string());
    let mut body = String::new();
    let read = request.as_reader().read_to_string(&mut body);
    let (Some(key), Ok(_)) = (key, read) else {
        drop(request.respond(Response::empty(400)));
        return;
    };
    let mut moved = moved.lock().unwrap_or_else(PoisonError::into_inner);
    let number = moved.len() + 1;
    let answered = if let Some(receipt) = moved.get(&key) {
        request.respond(Response::from_string(receipt.to_string()))
    } else {
        moved.insert(key, json!({ "number": format!("R-{number}") }));
        // the money has moved, and the answer is lost
        request.respond(Response::empty(504))
    };
    // the client is gone: that is its own affair
    drop(answered);
}

/// The client of the bank.
pub(crate) struct Client {
    agent: Agent,
    url: String,
}

impl Client {
    /// Pays, and returns the number of the receipt.
    pub(crate) fn pay(&self, key: &str, payee: &str, cents: i64) -> Result<String, BoxError> {
        let order = json!({ "payee": payee, "cents": cents });
        let request = self.agent.post(&self.url).header("Idempotency-Key", key);
        let receipt: Value = request.send_json(order)?.body_mut().read_json()?;
        let number = receipt["number"].as_str().ok_or("a receipt without a number")?;
        Ok(number.to_owned())
    }
}
