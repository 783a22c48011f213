//! A flow from end to end, without closures.

use flowstate::Flow as _;
use flowstate_diesel::{Store, prelude::*};

use super::Extent;
use crate::database::Database;
use crate::floor::{Floor, Step};
use crate::flow::{Response, Sync, response};
use crate::race::{Lap, Side, Watch, race};
use crate::report::{Figure, Report, Spread, Target};

pub(crate) fn run<D: Database>(database: &D, extent: &Extent, report: &mut Report) {
    let mut all = Vec::new();
    for &threads in &extent.threads {
        let laps =
            race(extent.pace, threads, &|| floor(database.floor()), &|| ours(database.connect()));
        let speeds: Vec<_> = laps.iter().map(|lap| lap.map(|lap| lap.speed)).collect();
        let worst = |side: usize| laps.iter().map(|lap| lap[side].longest).fold(0.0, f64::max);
        let target = match database.name() {
            name if name.starts_with("Post") => Target::AtLeast(0.95),
            name if name.starts_with("Maria") => Target::AtLeast(0.92),
            _ => Target::None,
        };
        let figure = Figure::new("fast path", database.name(), "transitions/s", &speeds)
            .threads(threads)
            .target(target)
            .note(format!("worst: floor {:.0} ms, measured {:.0} ms", worst(0), worst(1)));
        report.add(figure);
        all.push((threads, laps));
        database.settle();
    }
    let least = match database.name() {
        name if name.ends_with("NORMAL") => 1.5,
        name if name.ends_with("FULL") => 3.0,
        _ => return,
    };
    against_best(database, least, &all, report);
}

/// Our most threads against the floor with as many as are best for it: more threads do not make
/// SQLite faster.
fn against_best<D: Database>(
    database: &D,
    least: f64,
    all: &[(usize, Vec<[Lap; 2]>)],
    report: &mut Report,
) {
    let speeds = |laps: &[[Lap; 2]], side: usize| -> Vec<f64> {
        laps.iter().map(|lap| lap[side].speed).collect()
    };
    let median = |laps: &[[Lap; 2]]| Spread::of(speeds(laps, 0)).median;
    let best = all.iter().max_by(|(_, one), (_, other)| median(one).total_cmp(&median(other)));
    let (Some((fewest, best)), Some((threads, laps))) = (best, all.last()) else { return };
    let pairs: Vec<_> = speeds(best, 0).into_iter().zip(speeds(laps, 1)).collect();
    let pairs: Vec<_> = pairs.into_iter().map(|(floor, ours)| [floor, ours]).collect();
    let name = "fast path, against the floor at its best";
    let figure = Figure::new(name, database.name(), "transitions/s", &pairs);
    let figure = figure.threads(*threads).target(Target::AtLeast(least));
    report.add(figure.note(format!("floor: {fewest} threads")));
}

/// The flow, each transition through flowstate.
pub(crate) fn ours<C: Store + 'static>(mut conn: C) -> Box<dyn Side> {
    let response = response();
    Box::new(move |watch: &mut Watch| {
        let conn = &mut conn;
        let mut flow = watch.time(|| Sync::new().create(conn)).expect("created");
        watch.time(|| flow.transition(Sync::PICK, conn).run()).expect("picked");
        watch.time(|| flow.transition(Sync::START_FETCH, conn).run()).expect("fetching");
        let fetched = Response(response.0.clone());
        watch
            .time(|| flow.transition(Sync::FINISH_FETCH, conn).persist(fetched).run())
            .expect("fetched");
        let loaded = watch.time(|| flow.transition(Sync::START_SAVE, conn).run()).expect("saving");
        assert_eq!(loaded.0, response.0);
        watch.time(|| flow.transition(Sync::FINISH_SAVE, conn).run()).expect("saved");
        watch.time(|| flow.transition(Sync::COMPLETE, conn).run()).expect("completed");
    })
}

/// The flow by hand, from props and artefact to JSON and back.
pub(crate) fn floor(mut floor: Box<dyn Floor>) -> Box<dyn Side> {
    let response = response();
    Box::new(move |watch: &mut Watch| {
        let id = watch.time(|| {
            let props = serde_json::to_string(&Sync::new()).expect("JSON");
            floor.create(Sync::NAME, "pending", &props)
        });
        let plain = |seq: i64, transition, from, to| Step {
            id,
            seq,
            transition,
            from,
            to,
            completes: to == "completed",
            artefact: None,
            load: None,
        };
        watch.time(|| floor.step(&plain(0, "pick", "pending", "picked")));
        watch.time(|| floor.step(&plain(1, "start_fetch", "picked", "fetching")));
        let fetched = Response(response.0.clone());
        watch.time(|| {
            let text = serde_json::to_string(&fetched).expect("JSON");
            let step = plain(2, "finish_fetch", "fetching", "fetched");
            floor.step(&Step { artefact: Some(("response", &text)), ..step })
        });
        let loaded: Response = watch.time(|| {
            let step = plain(3, "start_save", "fetched", "saving");
            let text = floor.step(&Step { load: Some("response"), ..step });
            serde_json::from_str(&text.expect("loaded")).expect("JSON")
        });
        assert_eq!(loaded.0, response.0);
        watch.time(|| floor.step(&plain(4, "finish_save", "saving", "saved")));
        watch.time(|| floor.step(&plain(5, "complete", "saved", "completed")));
    })
}
