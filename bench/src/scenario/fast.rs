//! A flow from end to end, without closures.

use flowstate::Flow as _;
use flowstate_diesel::{Store, prelude::*};

use super::Extent;
use crate::database::Database;
use crate::floor::{Floor, Step};
use crate::flow::{Response, Sync, response};
use crate::race::{Lap, Side, Watch, race};
use crate::report::{Figure, Report, Target};

pub(crate) fn run<D: Database>(database: &D, extent: &Extent, report: &mut Report) {
    let mut alone = Vec::new();
    for &threads in &extent.threads {
        let laps =
            race(extent.pace, threads, &|| floor(database.floor()), &|| ours(database.connect()));
        let speeds: Vec<_> = laps.iter().map(|lap| lap.map(|lap| lap.speed)).collect();
        let worst = |side: usize| laps.iter().map(|lap| lap[side].longest).fold(0.0, f64::max);
        let least = if database.name().starts_with("Post") { 0.95 } else { 0.9 };
        let figure = Figure::new("fast path", database.name(), "transitions/s", &speeds)
            .threads(threads)
            .target(Target::AtLeast(least))
            .note(format!("worst: floor {:.0} ms, measured {:.0} ms", worst(0), worst(1)));
        report.add(figure);
        if threads == 1 {
            alone.clone_from(&laps);
        } else {
            scaling(database, threads, &alone, &laps, report);
        }
        database.settle();
    }
}

/// Many threads against one, of our side alone.
fn scaling<D: Database>(
    database: &D,
    threads: usize,
    alone: &[[Lap; 2]],
    laps: &[[Lap; 2]],
    report: &mut Report,
) {
    let pairs: Vec<_> =
        alone.iter().zip(laps).map(|(one, many)| [one[1].speed, many[1].speed]).collect();
    if !pairs.is_empty() {
        let figure =
            Figure::new("fast path, against 1 thread", database.name(), "transitions/s", &pairs);
        report.add(figure.threads(threads).target(Target::AtLeast(1.0)));
    }
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

/// The same by hand, from props and artefact to JSON and back.
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
