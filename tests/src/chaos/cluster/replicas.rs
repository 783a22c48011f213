//! A primary of `PostgreSQL`, two standbys, and an operator who promotes one of them.

use std::process::Command;
use std::thread;
use std::time::{Duration, SystemTime};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};

use super::options::Fault;
use super::setup::{Cluster, TakeOver};
use crate::own_server::{OwnServer, ServerKind};
use crate::{Database as _, Postgres};

/// How long the operator takes to promote a standby.
const NOTICED: Duration = Duration::from_secs(2);

/// How far behind its primary an asynchronous standby is.
const BEHIND: Duration = Duration::from_millis(500);

/// How long a frozen primary stands, before it is killed for good.
const FROZEN: Duration = Duration::from_secs(8);

pub(super) struct Replicas {
    servers: Vec<OwnServer>,
    synchronous: bool,
}

impl Replicas {
    /// # Panics
    /// If PostgreSQL's programs are not installed.
    pub(super) fn start(synchronous: bool) -> Self {
        let mut servers: Vec<_> =
            (0..3).map(|_| OwnServer::prepared(ServerKind::Postgres)).collect();
        for number in 0..3 {
            match servers.split_at_mut(number) {
                ([primary, ..], [standby, ..]) => standby.copy(primary),
                (_, [primary, ..]) => primary.make(),
                _ => {}
            }
            // standbys present themselves by this name
            let name = format!("cluster_name=s{number}");
            let all = ["-c", &name, "-c", "max_connections=200", "-c", "fsync=on"];
            servers[number].set_arguments(all.map(str::to_owned).to_vec());
            servers[number].restart();
        }
        if synchronous {
            // any of the three may be the primary one day
            administer(
                &servers[0],
                "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (s0, s1, s2)'",
            );
            for standby in &servers[1..] {
                administer(
                    standby,
                    "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (s0, s1, s2)'",
                );
            }
        }
        Self { servers, synchronous }
    }

    /// Has the standbys receive nothing more, so that something is lost where nobody waits for them.
    fn send_nothing_more(&self) {
        let sql = "SELECT string_agg(pid::text, ' ') FROM pg_stat_replication";
        let senders = Postgres::text(&mut connect(&self.servers[0]), sql).expect("standbys");
        let told = Command::new("kill").arg("-STOP").args(senders.split_whitespace()).status();
        assert!(told.is_ok_and(|status| status.success()), "no signal could be sent");
    }

    /// Promotes the standby that has received most; the other one follows it. Returns when it took
    /// writes.
    fn promote(&self) -> SystemTime {
        let received = |server: &OwnServer| {
            let sql = "SELECT pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0')::bigint";
            Postgres::number(&mut connect(server), sql)
        };
        let (mut new, mut other) = (&self.servers[1], &self.servers[2]);
        if received(other) > received(new) {
            (new, other) = (other, new);
        }
        // it waits until that is done
        administer(new, "SELECT pg_promote()");
        let promoted = SystemTime::now();
        let port = new.port();
        let primary = format!(
            "ALTER SYSTEM SET primary_conninfo = 'user=postgres host=127.0.0.1 port={port}'"
        );
        administer(other, &primary);
        println!("a standby was promoted");
        promoted
    }
}

fn connect(server: &OwnServer) -> PgConnection {
    PgConnection::establish(&server.url()).expect("a server under way")
}

fn administer(server: &OwnServer, sql: &str) {
    let mut conn = connect(server);
    conn.batch_execute(sql).expect(sql);
    conn.batch_execute("SELECT pg_reload_conf()").expect("read again");
}

impl Cluster for Replicas {
    fn urls(&self, database: &str) -> Vec<String> {
        let hosts: Vec<_> =
            self.servers.iter().map(|server| format!("127.0.0.1:{}", server.port())).collect();
        let hosts = hosts.join(",");
        vec![format!(
            "postgres://postgres@{hosts}/{database}?target_session_attrs=read-write&connect_timeout=2"
        )]
    }

    fn harm(&mut self, fault: Fault) -> Option<TakeOver> {
        if !self.synchronous && fault != Fault::None {
            self.send_nothing_more();
            thread::sleep(BEHIND);
        }
        let left = SystemTime::now();
        match fault {
            Fault::None | Fault::Both => None,
            Fault::Kill => {
                self.servers[0].cut_off();
                println!("the primary was killed");
                thread::sleep(NOTICED);
                Some(TakeOver { left, led: self.promote() })
            }
            Fault::Freeze => {
                self.servers[0].freeze();
                println!("the primary was frozen");
                thread::sleep(NOTICED);
                self.promote();
                thread::sleep(FROZEN);
                // before it could answer again
                self.servers[0].cut_off();
                println!("the frozen primary was killed");
                Some(TakeOver { left, led: SystemTime::now() })
            }
        }
    }

    fn keeps_all(&self) -> bool {
        self.synchronous
    }
}
