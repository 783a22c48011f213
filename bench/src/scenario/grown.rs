//! What must not grow with the tables.

use std::time::{Duration, Instant};

use flowstate::Flow as _;
use flowstate_diesel::{claim_next, prelude::*};

use super::Extent;
use super::latency::micros;
use crate::database::Database;
use crate::flow::{Account, Chore, Receipt};
use crate::report::{Figure, Report, Target};

/// The newest artefact of a record with a longer and longer history.
pub(crate) fn artefact<D: Database>(database: &D, extent: &Extent, report: &mut Report) {
    let conn = &mut database.connect();
    let mut records = [10, 1_000, 10_000].map(|length| {
        let mut account = Account::new().create(conn).expect("created");
        // in parts: PostgreSQL keeps every version of a row until the transaction ends
        for part in 0..length / 10 {
            flowstate_diesel::transaction(conn, |conn| {
                (0..10).try_for_each(|at| {
                    let receipt = Receipt(format!("receipt {part}{at}"));
                    account.transition(Account::FILE, conn).persist(receipt).run()
                })
            })
            .expect("filed");
        }
        account
    });
    database.settle();
    let mut times = Vec::new();
    for _ in 0..=extent.pace.rounds {
        times.push(records.each_mut().map(|record| {
            let slice = extent.pace.length / 5;
            mean(slice, || {
                record.artefact::<Receipt>(conn).expect("read").expect("there");
            })
        }));
    }
    for (at, label) in [(1, "1,000"), (2, "10,000")] {
        let pairs: Vec<_> = times[1..].iter().map(|times| [times[0], times[at]]).collect();
        let scenario = format!("artefact load, 10 → {label} history rows");
        let figure = Figure::new(scenario, database.name(), "µs", &pairs);
        report.add(figure.target(Target::AtMost(1.2)));
    }
}

/// A claim and its finish, as finished and waiting records pile up.
pub(crate) fn claim<D: Database>(database: &D, extent: &Extent, report: &mut Report) {
    let conn = &mut database.connect();
    let mut serve = |rounds: usize, slice: Duration| {
        let step = Chore::WORK;
        let mut round = |slice| {
            let (mut spent, mut claims) = (Duration::ZERO, 0_u32);
            while spent < slice {
                let start = Instant::now();
                let claim = claim_next(step, conn).expect("asked").expect("one is due");
                spent += start.elapsed();
                claim.finish((), conn).expect("finished");
                Chore::new().create(conn).expect("created");
                claims += 1;
            }
            micros(spent) / f64::from(claims)
        };
        round(slice);
        (0..rounds).map(|_| round(slice)).collect::<Vec<_>>()
    };
    let (rounds, slice) = (extent.pace.rounds, extent.pace.length / 5);
    Chore::create_many(std::iter::repeat_with(Chore::new).take(64), &mut database.connect())
        .expect("created");
    let empty = serve(rounds, slice);
    let count = extent.backlog;
    grow(database, "done", false, count);
    let finished = serve(rounds, slice);
    grow(database, "waiting", true, count);
    let both = serve(rounds, slice);
    for (label, grown) in [("finished", finished), ("finished and as many waiting", both)] {
        let pairs: Vec<_> =
            empty.iter().zip(&grown).map(|(empty, grown)| [*empty, *grown]).collect();
        let scenario = format!("claim, 0 → {count} {label}");
        let figure = Figure::new(scenario, database.name(), "µs", &pairs);
        report.add(figure.target(Target::AtMost(1.5)));
    }
}

fn mean(slice: Duration, mut work: impl FnMut()) -> f64 {
    let (start, mut times) = (Instant::now(), 0_u32);
    while start.elapsed() < slice {
        work();
        times += 1;
    }
    micros(start.elapsed()) / f64::from(times)
}

/// Inserts at least so many records with one history row each, without going through flowstate.
pub(crate) fn grow<D: Database>(database: &D, state: &str, due: bool, count: usize) {
    let flow = Chore::NAME;
    let seed = Chore::new().create(&mut database.connect()).expect("created").id();
    let due = if due { "updated_at" } else { "NULL" };
    let columns = "flow, state, seq, props, attempts, due_at, created_at, updated_at";
    let copy = |from: &str| {
        database.run(&format!(
            "INSERT INTO flowstate_flows ({columns}) \
             SELECT flow, '{state}', seq, props, attempts, {due}, created_at, updated_at \
             FROM flowstate_flows WHERE flow = '{flow}' AND {from}"
        ));
    };
    copy(&format!("id = {seed}"));
    let mut made = 1;
    while made < count {
        copy(&format!("id > {seed} AND state = '{state}'"));
        made *= 2;
    }
    database.run(&format!(
        "INSERT INTO flowstate_transitions \
         (flow_id, seq, transition, to_state, attempt, token, created_at) \
         SELECT id, 0, 'flow.create', state, 1, 'none', created_at FROM flowstate_flows \
         WHERE flow = '{flow}' AND id > {seed}"
    ));
    database.settle();
}
