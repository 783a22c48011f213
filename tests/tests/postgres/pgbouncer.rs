//! Through pgbouncer, in transaction mode: P10, and a server that stands still.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use diesel::connection::{CacheSize, SimpleConnection};
use diesel::{Connection as _, PgConnection};
use flowstate_diesel::prelude::*;
use flowstate_diesel::{Error, transaction};
use flowstate_tests::database::server::{address, fresh_name, with_database};
use flowstate_tests::flows::{Job, JobState, Note};
use flowstate_tests::own_server::{OwnServer, ServerKind, free_port, wait_until_listening};
use flowstate_tests::race::race;
use flowstate_tests::{Database as _, Postgres, check, refused};
use serde_json::json;
use tempfile::TempDir;

/// A pooler before a server.
struct Pooler {
    port: u16,
    process: Child,
    _folder: TempDir,
}

impl Pooler {
    fn start(server: &str, settings: &str) -> Self {
        let port = free_port();
        let (host, server_port) = address(server).split_once(':').expect("host and port");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pgbouncer.ini");
        let settings = format!(
            "[databases]\n* = host={host} port={server_port} user=postgres\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             pool_mode = transaction\ndefault_pool_size = 3\nmax_client_conn = 50\n\
             server_round_robin = 1\n{settings}"
        );
        fs::write(&path, settings).expect("written");
        readable_by_all(&folder);
        let program = std::env::var_os("FLOWSTATE_PGBOUNCER");
        let mut command = Command::new(program.unwrap_or_else(|| "pgbouncer".into()));
        // it refuses to run as root
        if is_root() {
            command.args(["-u", "postgres"]);
        }
        let process = command.arg(&path).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = process.expect("pgbouncer, from the package of that name");
        let pooler = Self { port, process, _folder: folder };
        // an older one ends at once where it is to keep named statements
        wait_until_listening(port, "pgbouncer 1.21 or newer listens");
        pooler
    }

    /// A connection as the documentation says: without named statements, which live in a session.
    fn connect(&self, database: &str) -> PgConnection {
        let mut conn = self.connect_with_names(database);
        conn.set_prepared_statement_cache_size(CacheSize::Disabled);
        conn
    }

    /// A connection whose statements have names, which the pooler has to know in every session.
    fn connect_with_names(&self, database: &str) -> PgConnection {
        let url = format!("postgres://postgres@127.0.0.1:{}/{database}", self.port);
        PgConnection::establish(&url).expect("through the pooler")
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.process.kill().expect("killed");
        self.process.wait().expect("ended");
    }
}

/// A database of its own: a schema is a setting of the session.
struct Own(String);

impl Own {
    fn new() -> Self {
        let database = fresh_name();
        administer(&format!("CREATE DATABASE {database}"));
        // sessions that nobody has set up speak of times in another way
        administer(&format!("ALTER DATABASE {database} SET timezone = 'Asia/Tokyo'"));
        administer(&format!("ALTER DATABASE {database} SET datestyle = 'German'"));
        Self(database)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        administer(&format!("DROP DATABASE {} WITH (FORCE)", self.0));
    }
}

fn administer(sql: &str) {
    let server = with_database(&Postgres::server(), "postgres");
    PgConnection::establish(&server).expect("the server").batch_execute(sql).expect(sql);
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}

fn readable_by_all(folder: &TempDir) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("readable");
}

pub(crate) fn every_session_serves() {
    let pooler = Pooler::start(&Postgres::server(), "");
    moves_records(|database| pooler.connect(database));
}

pub(crate) fn named_statements_are_kept() {
    let pooler = Pooler::start(&Postgres::server(), "max_prepared_statements = 200\n");
    moves_records(|database| pooler.connect_with_names(database));
}

/// More clients than sessions, so that no transaction is given the session of the one before.
fn moves_records(connect: impl Fn(&str) -> PgConnection + Sync) {
    let own = Own::new();
    let connect = || connect(&own.0);
    let migrated = flowstate_diesel::migrate(&mut connect()).expect("migrated");
    assert_eq!(migrated.len(), 1);
    race(6, |_, barrier| {
        let conn = &mut connect();
        barrier.wait();
        for _ in 0..20 {
            let mut job = Job::new("a").create(conn).expect("created");
            let age =
                (DateTime::<Utc>::from(SystemTime::now()) - job.created_at()).num_seconds().abs();
            assert!(age < 60, "{}", job.created_at());
            job.transition(Job::WORK, conn).run().expect("working");
            job.transition(Job::NOTE, conn).persist(Note(json!(1))).run().expect("noted");
            job.transition(Job::READ, conn).guard("it may", |_, _| true).run().expect("read");
            transaction(conn, |conn| {
                job.transition(Job::READ, conn).run()?;
                job.transition(Job::FINISH, conn).run()
            })
            .unwrap_or_else(|error: Error| panic!("{error:?}"));
            let found = Job::find(job.id(), conn).expect("found");
            assert_eq!((found.state(), found.updated_at()), (JobState::Done, job.updated_at()));
        }
    });
    check::clean(&mut connect());
}

/// A server that stands still answers the keepalives of TCP, and a call would wait until it goes on. The
/// pooler's `query_timeout` bounds that: what was under way is in doubt, or refused, and is resolved later.
pub(crate) fn a_frozen_server_holds_no_call() {
    let server = OwnServer::start(ServerKind::Postgres);
    flowstate_diesel::migrate(&mut Postgres::connect_to(&server.url())).expect("migrated");
    let pooler = Pooler::start(&server.url(), "query_timeout = 1\nquery_wait_timeout = 1\n");
    let conn = &mut pooler.connect("postgres");
    let mut moved = Job::new("moved").create(conn).expect("created");
    server.freeze();
    let unknown = moved.transition(Job::WORK, conn).run();
    let unknown = refused!(unknown, Error::OutcomeUnknown(unknown) => unknown);
    // nor does another one hang
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", pooler.port);
    if let Ok(mut other) = PgConnection::establish(&url) {
        other.batch_execute("SELECT 1").expect_err("nobody answers");
    }
    server.thaw();
    let conn = &mut Postgres::connect_to(&server.url());
    let told = unknown.resolve(conn).expect("told").expect("known");
    let state = Job::find(moved.id(), conn).expect("found").state();
    assert_eq!(state, if told { JobState::Working } else { JobState::Open });
    check::clean(conn);
}
