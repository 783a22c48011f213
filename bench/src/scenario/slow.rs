//! A transition with a guard and a `within` write, against the same statements by hand.

use flowstate::Flow as _;
use flowstate_diesel::prelude::*;

use super::Extent;
use crate::database::Database;
use crate::floor::{Floor, Step};
use crate::flow::Account;
use crate::race::{Side, Watch, race};
use crate::report::{Figure, Report, Target};

pub(crate) fn run<D: Database>(database: &D, extent: &Extent, report: &mut Report) {
    for &threads in &extent.threads {
        let ours = || ours::<D>(database.connect());
        let laps = race(extent.pace, threads, &|| floor(database.floor()), &ours);
        let speeds: Vec<_> = laps.iter().map(|lap| lap.map(|lap| lap.speed)).collect();
        let figure = Figure::new("slow path", database.name(), "transitions/s", &speeds);
        report.add(figure.threads(threads).target(Target::AtLeast(0.85)));
        let Some(guarded) = D::GUARDED else { continue };
        let by_hand = || through_diesel::<D>(database.connect(), guarded);
        let laps = race(extent.pace, threads, &by_hand, &ours);
        let speeds: Vec<_> = laps.iter().map(|lap| lap.map(|lap| lap.speed)).collect();
        let scenario = "slow path, against Diesel's query DSL";
        let figure = Figure::new(scenario, database.name(), "transitions/s", &speeds);
        report.add(figure.threads(threads));
    }
}

fn through_diesel<D: Database>(
    mut conn: D::Conn,
    guarded: fn(&mut D::Conn, i64, i64),
) -> Box<dyn Side> {
    let id = Account::new().create(&mut conn).expect("created").id();
    let mut seq = 0;
    Box::new(move |watch: &mut Watch| {
        watch.time(|| guarded(&mut conn, id, seq));
        seq += 1;
    })
}

fn ours<D: Database>(mut conn: D::Conn) -> Box<dyn Side> {
    let mut account = Account::new().create(&mut conn).expect("created");
    Box::new(move |watch: &mut Watch| {
        let paid = watch.time(|| {
            account
                .transition(Account::PAY, &mut conn)
                .guard("it is open", |_, conn| D::allows(conn))
                .within(|account, conn| Ok(D::pay(conn, account.id())?))
                .run()
        });
        paid.expect("paid");
    })
}

fn floor(mut floor: Box<dyn Floor>) -> Box<dyn Side> {
    let id = floor.create(Account::NAME, "open", r#"{"owner":"owner"}"#);
    let mut seq = 0;
    Box::new(move |watch: &mut Watch| {
        let (artefact, load) = (None, None);
        let (transition, from, to, completes) = ("pay", "open", "open", false);
        let step = Step { id, seq, transition, from, to, completes, artefact, load };
        watch.time(|| floor.guarded(&step));
        seq += 1;
    })
}
