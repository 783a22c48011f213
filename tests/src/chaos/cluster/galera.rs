//! Three nodes of `MariaDB` under Galera, all of which are written to.

use std::thread;
use std::time::Duration;

use super::options::Fault;
use super::setup::{Cluster, TakeOver};
use crate::database::server::with_database;
use crate::own_server::{OwnServer, ServerKind, free_port};

/// How long a node is away: longer than the others wait for it (`evs.inactive_timeout`, 15 s) if it
/// is frozen.
const AWAY: Duration = Duration::from_secs(25);

/// Shorter than the others wait for it.
const SHORT: Duration = Duration::from_millis(700);

const PROVIDER: &str = "/usr/lib/galera/libgalera_smm.so";

pub(super) struct Galera {
    nodes: Vec<OwnServer>,
}

impl Galera {
    /// # Panics
    /// If Debian's `mariadb-server`, `galera-4` or `rsync` are missing.
    pub(super) fn start() -> Self {
        let mut nodes: Vec<_> = (0..3).map(|_| OwnServer::prepared(ServerKind::MariaDb)).collect();
        // for the group, for its replay of what a node has missed, for whole copies
        let ports: Vec<_> = nodes.iter().map(|_| [free_port(), free_port(), free_port()]).collect();
        let members: Vec<_> =
            ports.iter().map(|[group, ..]| format!("127.0.0.1:{group}")).collect();
        let members = format!("--wsrep-cluster-address=gcomm://{}", members.join(","));
        for (number, (node, ports)) in nodes.iter_mut().zip(ports).enumerate() {
            node.make();
            let mut arguments = arguments(number, node.port(), ports);
            arguments.push(members.clone());
            let first = if number == 0 { vec!["--wsrep-new-cluster".to_owned()] } else { vec![] };
            node.set_arguments([arguments.clone(), first].concat());
            node.restart();
            // when it comes back it joins
            node.set_arguments(arguments);
        }
        Self { nodes }
    }
}

fn arguments(number: usize, port: u16, [group, replay, copies]: [u16; 3]) -> Vec<String> {
    let provider = format!(
        "base_host=127.0.0.1;base_port={group};gmcast.listen_addr=tcp://127.0.0.1:{group};\
         ist.recv_addr=127.0.0.1:{replay};gcache.size=64M"
    );
    [
        "--binlog-format=ROW",
        "--innodb-autoinc-lock-mode=2",
        "--max-connections=300",
        "--wsrep-on=ON",
        &format!("--wsrep-provider={PROVIDER}"),
        "--wsrep-cluster-name=flowstate",
        &format!("--wsrep-node-name=node{number}"),
        "--wsrep-node-address=127.0.0.1",
        &format!("--wsrep-node-incoming-address=127.0.0.1:{port}"),
        "--wsrep-sst-method=rsync",
        &format!("--wsrep-sst-receive-address=127.0.0.1:{copies}"),
        "--wsrep-slave-threads=2",
        &format!("--wsrep-provider-options={provider}"),
    ]
    .map(str::to_owned)
    .to_vec()
}

impl Cluster for Galera {
    fn urls(&self, database: &str) -> Vec<String> {
        self.nodes.iter().map(|node| with_database(&node.url(), database)).collect()
    }

    fn harm(&mut self, fault: Fault) -> Option<TakeOver> {
        let [first, .., node] = &mut self.nodes[..] else { return None };
        match fault {
            Fault::None => {}
            Fault::Kill => {
                node.crash();
                println!("a node was killed");
                thread::sleep(AWAY / 5);
                node.restart();
                println!("it is back");
            }
            Fault::Freeze => {
                node.freeze();
                println!("a node was frozen");
                thread::sleep(AWAY);
                node.thaw();
                node.wait_until_it_answers();
                println!("it is back");
            }
            Fault::Both => {
                node.freeze();
                thread::sleep(SHORT);
                first.crash();
                println!("a node was killed while another stood still");
                thread::sleep(SHORT);
                node.thaw();
                thread::sleep(AWAY / 5);
                first.restart();
                println!("it is back");
            }
        }
        // the others never left
        None
    }
}
