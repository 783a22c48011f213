//! The peak memory of a worker, in a process of its own.

use std::process::Command;

use super::Extent;
use super::grown::grow;
use crate::database::Database;
use crate::report::{Figure, Report, Target};

pub(crate) fn run<D: Database>(database: &D, extent: &Extent, report: &mut Report) {
    grow(database, "waiting", true, 1_000);
    let small = peak(database);
    grow(database, "waiting", true, extent.backlog);
    let large = peak(database);
    let scenario = format!("peak memory, backlog 1,000 → {}", extent.backlog);
    let figure = Figure::new(scenario, database.name(), "MB", &[[small, large]]);
    report.add(figure.threads(4).target(Target::AtMost(1.2)));
}

/// In megabytes.
fn peak<D: Database>(database: &D) -> f64 {
    let program = std::env::current_exe().expect("this program");
    let output = Command::new(program)
        .args(["child", "work", &database.url(), "4"])
        .output()
        .expect("a child");
    let text = String::from_utf8(output.stdout).expect("text");
    text.trim().parse::<f64>().expect("kilobytes") / 1e3
}
