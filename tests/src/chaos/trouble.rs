//! What goes wrong with the database while workers die: each passes by itself after a while, and costs
//! its time.

use std::collections::BTreeMap;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use diesel::connection::SimpleConnection as _;

use super::errand::LEASE;
use crate::Database;

/// What may go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    /// A record of which the database refuses every change.
    Poison,
    /// A record that somebody has locked.
    Lock,
    /// A table that somebody has locked for longer than a lease, so that nobody is answered.
    Stall,
    /// A server that takes no writes from those who connect meanwhile, and drops some of those who did
    /// before: what a pool sees of a failover.
    ReadOnly,
}

impl Trouble {
    /// What a database can meet: SQLite has no server, and nobody connects anew to its file.
    fn of<D: Database>() -> &'static [Self] {
        match D::FOLDER {
            "sqlite" => &[Self::Poison, Self::Lock, Self::Stall],
            _ => &[Self::Poison, Self::Lock, Self::Stall, Self::ReadOnly],
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Poison => "poisoned records",
            Self::Lock => "locked records",
            Self::Stall => "stalls",
            Self::ReadOnly => "failovers to read-only",
        }
    }
}

/// The troubles of a run.
pub(super) struct Troubles {
    url: String,
    under_way: Vec<JoinHandle<()>>,
    /// The next ones, each kind once before any comes again.
    next: Vec<Trouble>,
    passed: BTreeMap<Trouble, u32>,
}

impl Troubles {
    /// Prepares the database for them, before anything works on it.
    pub(super) fn new<D: Database>(url: &str) -> Self {
        let conn = &mut D::connect_to(url);
        conn.batch_execute("CREATE TABLE poisoned (flow_id BIGINT NOT NULL)").expect("a table");
        let trigger = match D::FOLDER {
            "sqlite" => {
                "CREATE TRIGGER poison BEFORE UPDATE ON flowstate_flows \
                 WHEN NEW.id IN (SELECT flow_id FROM poisoned) \
                 BEGIN SELECT RAISE(ABORT, 'poisoned'); END"
            }
            "mysql" => {
                "CREATE TRIGGER poison BEFORE UPDATE ON flowstate_flows FOR EACH ROW \
                 IF EXISTS (SELECT 1 FROM poisoned WHERE flow_id = NEW.id) \
                 THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'poisoned'; END IF"
            }
            _ => {
                "CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 IF EXISTS (SELECT 1 FROM poisoned WHERE flow_id = NEW.id) \
                 THEN RAISE EXCEPTION 'poisoned'; END IF; RETURN NEW; END $$; \
                 CREATE TRIGGER poison BEFORE UPDATE ON flowstate_flows FOR EACH ROW \
                 EXECUTE FUNCTION poison()"
            }
        };
        conn.batch_execute(trigger).expect("a trigger");
        let (under_way, next) = (Vec::new(), Vec::new());
        Self { url: url.to_owned(), under_way, next, passed: BTreeMap::new() }
    }

    /// Makes some, now and then: one at a time, so that each can be seen through.
    pub(super) fn make_some<D: Database>(&mut self) {
        self.under_way.retain(|trouble| !trouble.is_finished());
        if !self.under_way.is_empty() || !fastrand::u8(..).is_multiple_of(2) {
            return;
        }
        if self.next.is_empty() {
            self.next = Trouble::of::<D>().to_vec();
            fastrand::shuffle(&mut self.next);
        }
        let Some(trouble) = self.next.pop() else { return };
        *self.passed.entry(trouble).or_default() += 1;
        let url = self.url.clone();
        self.under_way.push(thread::spawn(move || make::<D>(trouble, &url)));
    }

    /// Waits until all is as it was before.
    pub(super) fn see_through(&mut self) {
        for trouble in self.under_way.drain(..) {
            let _ = trouble.join();
        }
    }

    /// How often there was each, in words.
    pub(super) fn told(&self) -> String {
        let told = self.passed.iter().map(|(trouble, times)| format!("{times} {}", trouble.name()));
        told.collect::<Vec<_>>().join(", ")
    }

    /// The kinds that there were not.
    pub(super) fn missing<D: Database>(&self) -> impl Iterator<Item = String> {
        let missing =
            Trouble::of::<D>().iter().filter(|trouble| !self.passed.contains_key(trouble));
        missing.map(|trouble| format!("no {}: it shows nothing of them", trouble.name()))
    }
}

fn make<D: Database>(trouble: Trouble, url: &str) {
    let conn = &mut D::connect_to(url);
    let open =
        "SELECT COALESCE(MIN(id), 0) + 0 FROM flowstate_flows WHERE completed_at IS NULL AND id > ";
    let newest = D::number(conn, "SELECT COALESCE(MAX(id), 1) FROM flowstate_flows");
    let id = D::number(conn, &format!("{open}{}", fastrand::i64(0..newest.max(1))));
    match trouble {
        Trouble::Poison => {
            // whoever holds the file longer is met before
            insist(conn, &format!("INSERT INTO poisoned VALUES ({id})"));
            thread::sleep(LEASE * 2);
            insist(conn, "DELETE FROM poisoned");
        }
        Trouble::Lock => {
            let begin = if D::FOLDER == "sqlite" { "BEGIN IMMEDIATE" } else { "BEGIN" };
            let sql = format!("UPDATE flowstate_flows SET flow = flow WHERE id = {id}");
            let locked = conn.batch_execute(&format!("{begin}; {sql}"));
            thread::sleep(if locked.is_ok() { LEASE / 2 } else { Duration::ZERO });
            let _ = conn.batch_execute("ROLLBACK");
        }
        Trouble::Stall => {
            let (stall, go_on) = match D::FOLDER {
                "sqlite" => ("BEGIN EXCLUSIVE", "ROLLBACK"),
                "mysql" => ("LOCK TABLES flowstate_flows WRITE", "UNLOCK TABLES"),
                _ => ("BEGIN; LOCK TABLE flowstate_flows IN ACCESS EXCLUSIVE MODE", "ROLLBACK"),
            };
            let stalled = conn.batch_execute(stall);
            thread::sleep(if stalled.is_ok() { LEASE * 3 / 2 } else { Duration::ZERO });
            let _ = conn.batch_execute(go_on);
        }
        Trouble::ReadOnly => fail_over::<D>(conn),
    }
}

/// New sessions only read, whatever becomes of the server later: those of before do not.
fn fail_over<D: Database>(conn: &mut D::Conn) {
    let (demote, promote) = match D::FOLDER {
        "mysql" => ("SET GLOBAL tx_read_only = 1", "SET GLOBAL tx_read_only = 0"),
        _ => (
            "ALTER DATABASE postgres SET default_transaction_read_only = on",
            "ALTER DATABASE postgres RESET default_transaction_read_only",
        ),
    };
    insist(conn, demote);
    for _ in 0..3 {
        match D::FOLDER {
            "mysql" => {
                let others = "SELECT COALESCE(MAX(id), 0) FROM information_schema.processlist \
                              WHERE id <> CONNECTION_ID() AND db = DATABASE()";
                let other = D::number(conn, others);
                let _ = conn.batch_execute(&format!("KILL {other}"));
            }
            _ => {
                let _ = conn.batch_execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                     WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() \
                     ORDER BY random() LIMIT 1",
                );
            }
        }
        thread::sleep(LEASE / 3);
    }
    insist(conn, promote);
}

/// Others may be in the way: again, until it is done.
fn insist(conn: &mut impl diesel::connection::SimpleConnection, sql: &str) {
    for _ in 0..100 {
        if conn.batch_execute(sql).is_ok() {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("`{sql}` was refused for ten seconds");
}
