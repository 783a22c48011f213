//! The client of the third party.

use std::net::SocketAddr;
use std::time::Duration;

use ureq::Agent;

#[derive(Clone)]
pub(crate) struct Client {
    agent: Agent,
    address: SocketAddr,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let timeout = Some(Duration::from_millis(250));
        let agent = Agent::config_builder().timeout_global(timeout).build().into();
        Self { agent, address }
    }

    pub(crate) fn get(&self, third_party_id: &str) -> Result<serde_json::Value, ureq::Error> {
        let url = format!("http://{}/{third_party_id}", self.address);
        self.agent.get(url).call()?.body_mut().read_json()
    }
}
