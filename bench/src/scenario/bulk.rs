//! Many records at once.

use flowstate::Flow as _;
use flowstate_diesel::prelude::*;

use super::Extent;
use crate::database::Database;
use crate::flow::Sync;
use crate::race::{Side, Watch, race};
use crate::report::{Figure, Report};

const MANY: usize = 1_000;

pub(crate) fn run<D: Database>(database: &D, extent: &Extent, report: &mut Report) {
    let laps = race(extent.pace, 1, &|| floor(database), &|| ours(database));
    let speeds: Vec<_> = laps.iter().map(|lap| lap.map(|lap| lap.speed * 1e3)).collect();
    let figure = Figure::new("create_many", database.name(), "records/s", &speeds);
    report.add(figure.note(format!("{MANY} at once")));
}

fn ours<'a, D: Database>(database: &'a D) -> Box<dyn Side + 'a> {
    let mut conn = database.connect();
    Box::new(move |watch: &mut Watch| {
        let flows = std::iter::repeat_with(Sync::new).take(MANY);
        watch.time(|| Sync::create_many(flows, &mut conn)).expect("created");
    })
}

fn floor<'a, D: Database>(database: &'a D) -> Box<dyn Side + 'a> {
    let mut floor = database.floor();
    Box::new(move |watch: &mut Watch| {
        watch.time(|| {
            let props = || serde_json::to_string(&Sync::new()).expect("JSON");
            let props: Vec<_> = std::iter::repeat_with(props).take(MANY).collect();
            floor.create_many(Sync::NAME, "pending", &props);
        });
    })
}
