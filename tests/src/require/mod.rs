//! The requirements, one function each, generic over the database. `tests/tests/conformance/`
//! lists them; the failure matrix gives those with a number their names.

pub mod between;
pub mod by_hand;
pub mod calls;
pub mod change;
pub mod checked;
pub mod crash;
pub mod crowd;
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub mod cut;
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub mod cut_create;
pub mod hooks;
pub mod identity;
pub mod json;
pub mod keys;
pub mod labels;
pub mod messages;
pub mod migrations;
pub mod odd;
pub mod operator;
pub mod operators;
pub mod other_version;
pub mod outcome;
pub mod pages;
pub mod panics;
pub mod payloads;
pub mod pools;
pub mod purge;
pub mod query;
pub mod retries;
pub mod seed;
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub mod session;
pub mod single;
pub mod spans;
pub mod stale;
pub mod stored;
pub mod stress;
pub mod table;
pub mod trace;
pub mod undone;
pub mod worker;

use std::num::ParseIntError;
use std::str::FromStr;

use crate::{Database, child};

fn number<N: FromStr<Err = ParseIntError>>(text: &str) -> N {
    text.parse().expect("a number")
}

/// The hidden test that is the body of child processes. Otherwise it does nothing.
pub fn child_process<D: Database>() {
    let Some(child::Job { words, url }) = child::job::<D>() else { return };
    let words: Vec<_> = words.iter().map(String::as_str).collect();

    match *words {
        ["crash", scene, event] => crash::crash_in_child::<D>(scene, number(event), &url),
        ["crash_worker", scene, event] => {
            worker::crash::crash_in_child::<D>(scene, number(event), &url);
        }
        ["deadly"] => worker::tries::deadly_in_child::<D>(&url),
        ["die"] => worker::claims::die_in_child::<D>(&url),
        ["trace"] => trace::trace_in_child::<D>(&url),
        ["metrics"] => worker::metrics::metrics_in_child::<D>(&url),
        ["events"] => worker::events::events_in_child::<D>(&url),
        ["leased"] => worker::by_hand::leased_in_child::<D>(&url),
        ["greedy"] => worker::run::greedy_in_child::<D>(&url),
        ["idle", scene] => worker::idle::idle_in_child::<D>(scene, &url),
        ["listen", scene] => worker::listen::listen_in_child::<D>(scene, &url),
        ["migrate", event] => migrations::migrate_in_child::<D>(number(event), &url),
        ["other_clock"] => worker::clock::other_clock_in_child::<D>(&url),
        ["overlap"] => worker::claims::overlap_in_child::<D>(&url),
        ["race", id] => stale::race_in_child::<D>(number(id), &url),
        #[cfg(any(feature = "mysql", feature = "postgres"))]
        ["silent", stage, direct] => worker::silent::silent_in_child::<D>(stage, direct, &url),
        ["stress"] => stress::stress_in_child::<D>(&url),
        _ => panic!("not a job: {words:?}"),
    }
}
