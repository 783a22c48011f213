//! Threads that meet at the write queue, and what each of them does there.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use flowstate_diesel::Result;
use flowstate_diesel::prelude::*;
use flowstate_tests::Database;
use flowstate_tests::flows::{Job, JobRecord};
use flowstate_tests::gate::Gate;
use flowstate_tests::statement_probe::{Probe, Recorded, Seen};

pub(super) type Moves = fn(&mut JobRecord, &mut SqliteConnection) -> Result<()>;

/// Threads that meet: one writes, and the others come while it does.
pub(super) struct Meeting<D: Database> {
    pub(super) database: D,
    pub(super) onlooker: SqliteConnection,
    /// What the one that writes has sent.
    pub(super) leader: Recorded,
    /// What the others have.
    pub(super) others: Recorded,
    /// What the one does when COMMIT is about to be sent, or has been answered.
    pub(super) at_commit: fn(bool),
}

/// What became of the one that writes, and of each of the others in their order.
pub(super) struct Met {
    pub(super) leader: (JobRecord, thread::Result<Result<()>>),
    pub(super) others: Vec<(JobRecord, Result<()>)>,
}

impl<D: Database<Conn = SqliteConnection>> Meeting<D> {
    pub(super) fn new() -> Self {
        let database = D::migrated();
        let onlooker = database.connect();
        let (leader, others) = (Recorded::default(), Recorded::default());
        Self { database, onlooker, leader, others, at_commit: |_| () }
    }

    /// A connection that has written, and its record.
    pub(super) fn member(&self) -> (JobRecord, SqliteConnection) {
        let mut conn = self.database.connect();
        let job = Job::new("member").create(&mut conn).expect("created");
        (job, conn)
    }

    fn probed(recorded: &Recorded, mut conn: SqliteConnection) -> SqliteConnection {
        let recorded = recorded.clone();
        let record = move |seen: Seen<'_>| {
            if !seen.answered {
                recorded.keep(seen.text);
            }
        };
        Probe::new(record).over(&mut conn);
        // with new instrumentation it has yet to show that it writes
        Job::new("probed").create(&mut conn).expect("created");
        conn
    }

    /// `lead` writes until its history row; the others come one after the other; then it goes on.
    pub(super) fn run(
        &mut self,
        lead: Moves,
        members: Vec<(JobRecord, SqliteConnection, Moves)>,
    ) -> Met {
        let (mut job, mut conn) = self.member();
        let (gate, stopped) = (Gate::new(), AtomicBool::new(false));
        let (stop, recorded, at_commit) = (Arc::clone(&gate), self.leader.clone(), self.at_commit);
        let see = move |seen: Seen<'_>| {
            if !seen.answered {
                recorded.keep(seen.text);
            }
            if seen.text.starts_with("COMMIT") {
                at_commit(seen.answered);
            }
            if seen.starts(&["INSERT INTO flowstate_transitions"])
                && !stopped.swap(true, Ordering::SeqCst)
            {
                stop.pass();
            }
        };
        Probe::new(see).over(&mut conn);
        let onlooker = &mut self.onlooker;
        let members: Vec<_> = members
            .into_iter()
            .map(|(job, conn, moves)| (job, Self::probed(&self.others, conn), moves))
            .collect();
        drop(self.others.take());
        thread::scope(|scope| {
            let leader = scope.spawn(move || {
                let moved = catch_unwind(AssertUnwindSafe(|| lead(&mut job, &mut conn)));
                (job, moved)
            });
            gate.wait_for(1);
            let mut others = Vec::new();
            for (mut job, mut conn, moves) in members {
                let before = others.len();
                others.push(scope.spawn(move || {
                    let moved = moves(&mut job, &mut conn);
                    (job, moved)
                }));
                let mut has_come = || D::waiting_writers(onlooker) > before;
                Gate::new().wait_for_one(&mut has_come);
            }
            gate.open();
            let others = others.into_iter().map(|other| other.join().expect("no panic"));
            let others = others.collect();
            Met { leader: leader.join().expect("caught"), others }
        })
    }

    pub(super) fn members(&self, count: usize) -> Vec<(JobRecord, SqliteConnection, Moves)> {
        let member = |_| {
            let (job, conn) = self.member();
            (job, conn, work as Moves)
        };
        (0..count).map(member).collect()
    }

    /// Each of the others was told that it has moved its record, and has moved it once.
    pub(super) fn each_has_moved(&mut self, others: &[(JobRecord, Result<()>)]) {
        for (job, moved) in others {
            moved.as_ref().expect("working");
            assert_eq!(self.seq(job), 1);
        }
    }

    pub(super) fn seq(&mut self, job: &JobRecord) -> i64 {
        Job::find(job.id(), &mut self.onlooker).expect("found").seq()
    }
}

pub(super) fn work(job: &mut JobRecord, conn: &mut SqliteConnection) -> Result<()> {
    job.transition(Job::WORK, conn).run()
}

pub(super) fn guarded(job: &mut JobRecord, conn: &mut SqliteConnection) -> Result<()> {
    job.transition(Job::WORK, conn).guard("yes", |_, _| true).run()
}

/// How many of these statements there are, by their first words.
pub(super) fn count(statements: &[String], words: &str) -> usize {
    statements.iter().filter(|text| text.starts_with(words)).count()
}

/// Whether nobody but the one that writes has sent anything, and that one everything at once.
pub(super) fn is_one_group(meeting: &Meeting<impl Database>, members: usize) -> bool {
    let (leader, others) = (meeting.leader.take(), meeting.others.take());
    let words = ["BEGIN IMMEDIATE", "UPDATE flowstate_flows", "COMMIT"];
    words.map(|words| count(&leader, words)) == [1, members + 1, 1]
        && words.map(|words| count(&others, words)) == [0; 3]
}

pub(super) fn fail(job: &mut JobRecord, conn: &mut SqliteConnection) -> Result<()> {
    job.transition(Job::FAIL, conn).run()
}
