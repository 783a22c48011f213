//! Through `HAProxy`: a server that stands still, and connections that were idle for too long.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use diesel::MysqlConnection;
use diesel::r2d2::{ConnectionManager, Pool};
use flowstate_diesel::prelude::*;
use flowstate_diesel::{Error, Unconfirmed};
use flowstate_tests::database::server::with_port;
use flowstate_tests::flows::{Job, JobState};
use flowstate_tests::own_server::{OwnServer, ServerKind, free_port, wait_until_listening};
use flowstate_tests::statement_probe::Probe;
use flowstate_tests::{Database as _, Mysql, check, refused};
use tempfile::TempDir;

/// A balancer before a server, which ends connections on which nothing comes back for 5 seconds.
struct Balancer {
    port: u16,
    url: String,
    process: Child,
    _folder: TempDir,
}

impl Balancer {
    fn start(server: &OwnServer) -> Self {
        let (port, server_port) = (free_port(), server.port());
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("haproxy.cfg");
        let settings = format!(
            "defaults\n mode tcp\n timeout connect 5s\n timeout client 1m\n timeout server 5s\n\
             listen database\n bind 127.0.0.1:{port}\n server one 127.0.0.1:{server_port}\n"
        );
        fs::write(&path, settings).expect("written");
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(&path);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = process.expect("haproxy, from the package of that name");
        let balancer = Self { port, url: with_port(&server.url(), port), process, _folder: folder };
        wait_until_listening(port, "haproxy listens");
        balancer
    }

    /// Whether it has ended a connection that its client has not closed yet.
    fn has_ended_one(&self) -> bool {
        let (port, close_wait) = (format!(":{:04X}", self.port), "08");
        let connections = fs::read_to_string("/proc/net/tcp").expect("the connections");
        connections.lines().any(|line| {
            let mut words = line.split_whitespace().skip(2);
            words.next().is_some_and(|to| to.ends_with(&port)) && words.next() == Some(close_wait)
        })
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.process.kill().expect("killed");
        self.process.wait().expect("ended");
    }
}

fn migrated() -> OwnServer {
    let server = OwnServer::start(ServerKind::MariaDb);
    flowstate_diesel::migrate(&mut Mysql::connect_to(&server.url())).expect("migrated");
    server
}

/// A server that stands still answers the keepalives of TCP, and a call would wait until it goes on. The
/// balancer's `timeout server` bounds that: a call is refused, or in doubt where it was about to commit,
/// and is resolved later.
pub(crate) fn a_frozen_server_holds_no_call() {
    let server = Arc::new(migrated());
    let balancer = Balancer::start(&server);
    let conn = &mut Mysql::connect_to(&balancer.url);
    let mut refused = Job::new("refused").create(conn).expect("created");
    server.freeze();
    refused!(refused.transition(Job::WORK, conn).run(), Error::Database { .. } => ());
    server.thaw();
    assert_eq!(state(&server, refused.id()), JobState::Open);

    let unknown = in_doubt(&server, &balancer);
    server.thaw();
    let conn = &mut Mysql::connect_to(&server.url());
    let told = unknown.resolve(conn).expect("told").expect("known");
    let id = unknown.record().and_then(|record| record.id).expect("its record");
    assert_eq!(state(&server, id), if told { JobState::Working } else { JobState::Open });
    check::clean(conn);
}

/// A move of a server that stands still from its commit on.
fn in_doubt(server: &Arc<OwnServer>, balancer: &Balancer) -> Unconfirmed {
    let frozen = Arc::clone(server);
    let probe = Probe::new(move |seen| {
        if !seen.answered && seen.commits() {
            frozen.freeze();
        }
    });
    let mut moved =
        Job::new("moved").create(&mut Mysql::connect_to(&server.url())).expect("created");
    let pool = Mysql::probed_pool(&balancer.url, 1, probe);
    let conn = &mut pool.get().expect("through the balancer");
    refused!(moved.transition(Job::WORK, conn).run(), Error::OutcomeUnknown(unknown) => *unknown)
}

fn state(server: &OwnServer, id: i64) -> JobState {
    Job::find(id, &mut Mysql::connect_to(&server.url())).expect("found").state()
}

/// What the balancer ends while a pool keeps it is replaced: the pool tests what it gives.
pub(crate) fn an_idle_connection_is_replaced() {
    let server = migrated();
    let balancer = Balancer::start(&server);
    let pool =
        Pool::builder().max_size(1).build(ConnectionManager::<MysqlConnection>::new(&balancer.url));
    let pool = pool.expect("through the balancer");
    let session = |conn: &mut MysqlConnection| Mysql::number(conn, "SELECT CONNECTION_ID()");
    let (before, mut job) = {
        let conn = &mut pool.get().expect("a connection");
        (session(conn), Job::new("a").create(conn).expect("created"))
    };
    let began = Instant::now();
    while !balancer.has_ended_one() {
        assert!(began.elapsed() < Duration::from_mins(1), "it is ended");
        thread::sleep(Duration::from_millis(50));
    }
    let conn = &mut pool.get().expect("another one");
    assert_ne!(session(conn), before);
    job.transition(Job::WORK, conn).run().expect("working");
}
