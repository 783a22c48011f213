//! Holds every answer against what the cluster holds.

use std::collections::{BTreeMap, HashMap};

use flowstate_diesel::{AsStore as _, Page, prelude::*};

use super::caller::{Answer, Call};
use super::tally::{Tally, TallyState};
use crate::Database;

/// So many findings of a kind are told.
const TOLD: usize = 5;

/// How often each kind of answer was given, and the longest calls.
pub(super) fn tell(calls: &[Call]) {
    let mut answers = BTreeMap::<String, usize>::new();
    for call in calls {
        let answer = match &call.answer {
            Answer::Done => "done".to_owned(),
            Answer::Refused(words) => words.clone(),
            Answer::InDoubt(told) => format!("in doubt, then {told:?}"),
        };
        *answers.entry(answer).or_default() += 1;
    }
    println!("{} calls:", calls.len());
    for (answer, count) in answers {
        println!("{count:8} {answer}");
    }
    let mut done: Vec<_> =
        calls.iter().filter(|call| call.answer == Answer::Done).map(|call| call.ended).collect();
    done.sort_unstable();
    let pause = done.windows(2).map(|two| two[1] - two[0]).max().unwrap_or_default();
    let slowest = calls.iter().map(|call| call.took).max().unwrap_or_default();
    println!(
        "the longest time in which no call succeeded: {pause:.1?}; the longest call: {slowest:.1?}"
    );
}

/// So many milliseconds after another server took over each worker works again.
const RESUMED: u64 = 2000;

/// Says how soon each worker worked again, and what is wrong with those that did so late, or never.
pub(super) fn resumed(resumed: &[Option<u64>]) -> Option<String> {
    let mut pauses: Vec<_> = resumed.iter().flatten().collect();
    pauses.sort_unstable();
    println!(
        "workers worked again so many milliseconds after another server took over: {pauses:?}"
    );
    let stuck = resumed.len() - pauses.len();
    let late = pauses.iter().filter(|pause| ***pause > RESUMED).count();
    (stuck + late > 0).then(|| {
        format!("{stuck} workers never worked again, and {late} later than after {RESUMED} ms")
    })
}

/// Everything that is wrong.
pub(super) fn findings<D: Database>(
    calls: &[Call],
    keeps_all: bool,
    conn: &mut D::Conn,
) -> Vec<String> {
    let audit = flowstate_diesel::audit(conn.as_store()).expect("the audit ran");
    let mut findings = Vec::new();
    if !audit.is_clean() {
        findings.push(format!("audit: {audit}"));
    }
    let held = held(conn);
    let mut wrong = BTreeMap::<&str, Vec<&Call>>::new();
    for call in calls {
        let times = held.get(&call.name).copied().unwrap_or(0);
        if let Some(what) = judge(call, times, keeps_all) {
            wrong.entry(what).or_default().push(call);
        }
    }
    for (what, calls) in wrong {
        findings.push(format!(
            "{} {what}, such as {:?}",
            calls.len(),
            &calls[..calls.len().min(TOLD)]
        ));
    }
    for (what, sql) in EFFECTS {
        let number = D::number(conn, &format!("SELECT COUNT(*) FROM ({sql}) AS found"));
        if number > 0 {
            findings.push(format!("{number} {what}"));
        }
    }
    findings
}

/// What is wrong with an answer, if what the call wrote is there so many times.
fn judge(call: &Call, times: usize, keeps_all: bool) -> Option<&'static str> {
    let whole = call.kind.records();
    match &call.answer {
        _ if times > whole => Some("were done twice"),
        _ if times != 0 && times != whole => Some("were done by half"),
        Answer::Done if times == 0 && keeps_all => Some("are lost"),
        Answer::Refused(_) if times > 0 => Some("were refused and are there"),
        Answer::InDoubt(None) => Some("stayed in doubt"),
        Answer::InDoubt(Some(told)) if *told != (times > 0) => Some("were resolved wrongly"),
        _ => None,
    }
}

/// How often each name is there: as the actor of a transition, or the name of a record.
fn held<C: flowstate_diesel::AsStore>(conn: &mut C) -> HashMap<String, usize> {
    let mut held = HashMap::<String, usize>::new();
    let mut page = Page::first(500);
    loop {
        let tallies = Tally::list(TallyState::ALL.iter().copied(), page, conn).expect("listed");
        let Some(last) = tallies.last() else { return held };
        page = Page::after(last.id(), 500);
        for tally in tallies {
            *held.entry(tally.name.clone()).or_default() += 1;
            // the others were only made
            if tally.seq() > 0 {
                let actors = tally.history(conn).expect("its history");
                for actor in actors.into_iter().filter_map(|entry| entry.actor) {
                    *held.entry(actor).or_default() += 1;
                }
            }
        }
    }
}

/// What must not be found among the rows that callers wrote beside their transitions.
const EFFECTS: [(&str, &str); 3] = [
    ("rows of callers are doubled", "SELECT name FROM effects GROUP BY name HAVING COUNT(*) > 1"),
    (
        "rows of callers are there without their transition",
        "SELECT name FROM effects WHERE name NOT IN \
         (SELECT actor FROM flowstate_transitions WHERE actor IS NOT NULL)",
    ),
    (
        "transitions are there without the rows of their callers",
        "SELECT actor FROM flowstate_transitions WHERE (actor LIKE 'Guarded-%' OR actor LIKE 'Two-%') \
         AND actor NOT IN (SELECT name FROM effects)",
    ),
];

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::tally::Kind;
    use super::{Answer, Call, judge, resumed};

    #[test]
    fn a_worker_that_comes_late_or_never_is_found() {
        assert_eq!(resumed(&[]), None);
        assert_eq!(resumed(&[Some(0), Some(2000)]), None);
        assert!(resumed(&[Some(0), Some(2001)]).is_some());
        assert!(resumed(&[Some(0), None]).is_some());
    }

    #[test]
    fn judges_an_answer_by_what_is_there() {
        let refused = || Answer::Refused("busy".to_owned());
        for (kind, answer, times, wrong) in [
            (Kind::Move, Answer::Done, 1, None),
            (Kind::Move, Answer::Done, 0, Some("are lost")),
            (Kind::Move, Answer::Done, 2, Some("were done twice")),
            (Kind::Two, Answer::Done, 2, None),
            (Kind::Two, Answer::Done, 1, Some("were done by half")),
            (Kind::Create, refused(), 0, None),
            (Kind::Create, refused(), 1, Some("were refused and are there")),
            (Kind::Move, Answer::InDoubt(Some(true)), 1, None),
            (Kind::Move, Answer::InDoubt(Some(false)), 1, Some("were resolved wrongly")),
            (Kind::Move, Answer::InDoubt(None), 0, Some("stayed in doubt")),
        ] {
            let (ended, took) = (Instant::now(), Duration::ZERO);
            let call = Call { name: String::new(), kind, answer, ended, took };
            assert_eq!(judge(&call, times, true), wrong, "{call:?}");
            let wrong = wrong.filter(|wrong| *wrong != "are lost");
            assert_eq!(judge(&call, times, false), wrong, "{call:?}");
        }
    }
}
