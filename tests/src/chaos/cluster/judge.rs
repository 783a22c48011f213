//! Holds every answer against what the cluster holds.

use std::collections::{BTreeMap, HashMap};
use std::time::{Instant, SystemTime};

use flowstate_diesel::{AsStore as _, Page, prelude::*};

use super::caller::{Answer, Call};
use super::setup::TakeOver;
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
    let slowest = calls.iter().map(Call::took).max().unwrap_or_default();
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

/// Which of the calls that were done must be there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kept {
    All,
    /// But the last ones before the server failed.
    ButTheLast {
        /// What was done by then, the server did that failed.
        left: Instant,
        /// What began later, the one did that took over.
        led: Instant,
    },
}

impl Kept {
    pub(super) fn but_the_last(take_over: TakeOver) -> Self {
        let instant = |at: SystemTime| {
            let ago = at.elapsed().expect("in the past");
            Instant::now().checked_sub(ago).expect("since the machine started")
        };
        Self::ButTheLast { left: instant(take_over.left), led: instant(take_over.led) }
    }

    /// What must be there and is not, and what need not. Of what one server did, each call that began
    /// after the end of another, nothing is there without what came before it.
    fn lost(self, calls: &[Call], is_there: impl Fn(&Call) -> bool) -> [Vec<&Call>; 2] {
        let done = calls.iter().filter(|call| call.answer == Answer::Done);
        let (there, gone): (Vec<_>, Vec<_>) = done.partition(|call| is_there(call));
        let Self::ButTheLast { left, led } = self else { return [gone, Vec::new()] };
        let kept = there.iter().filter(|call| call.ended < left).map(|call| call.began).max();
        let is_wrong =
            |call: &&Call| call.began > led || kept.is_some_and(|kept| call.ended < kept);
        let (wrong, last) = gone.into_iter().partition(is_wrong);
        [wrong, last]
    }
}

/// Everything that is wrong.
pub(super) fn findings<D: Database>(calls: &[Call], kept: Kept, conn: &mut D::Conn) -> Vec<String> {
    let audit = flowstate_diesel::audit(conn.as_store()).expect("the audit ran");
    let mut findings = Vec::new();
    if !audit.is_clean() {
        findings.push(format!("audit: {audit}"));
    }
    let held = held(conn);
    let mut wrong = BTreeMap::<&str, Vec<&Call>>::new();
    for call in calls {
        let times = held.get(&call.name).copied().unwrap_or(0);
        if let Some(what) = judge(call, times) {
            wrong.entry(what).or_default().push(call);
        }
    }
    let [missing, last] = kept.lost(calls, |call| held.contains_key(&call.name));
    if !missing.is_empty() {
        wrong.insert("are lost", missing);
    }
    let ends = || last.iter().map(|call| call.ended);
    if let (Some(first), Some(end)) = (ends().min(), ends().max()) {
        println!(
            "the last {} calls are lost, which were done within {:.1?}",
            last.len(),
            end - first
        );
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
fn judge(call: &Call, times: usize) -> Option<&'static str> {
    let whole = call.kind.records();
    match &call.answer {
        _ if times > whole => Some("were done twice"),
        _ if times != 0 && times != whole => Some("were done by half"),
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
    use super::{Answer, Call, Kept, judge, resumed};

    #[test]
    fn nothing_but_the_last_may_be_lost() {
        let begun = Instant::now();
        let at = |millis| begun + Duration::from_millis(millis);
        // each a name, when it began and when it was done
        let calls = [("a", 0, 10), ("b", 11, 20), ("c", 12, 30), ("d", 31, 40), ("e", 95, 101)];
        let calls = calls.map(|(name, began, ended)| Call {
            name: name.to_owned(),
            kind: Kind::Move,
            answer: Answer::Done,
            began: at(began),
            ended: at(ended),
        });
        let lost = |there: &str, kept: Kept| {
            let lost = kept.lost(&calls, |call| there.contains(&call.name));
            lost.map(|calls| calls.into_iter().map(|call| &*call.name).collect::<String>())
        };
        assert_eq!(lost("abd", Kept::All), ["ce", ""]);
        let kept = Kept::ButTheLast { left: at(50), led: at(90) };
        assert_eq!(lost("abcde", kept), ["", ""]);
        assert_eq!(lost("abe", kept), ["", "cd"]);
        // at the same time as a call that is there
        assert_eq!(lost("ace", kept), ["", "bd"]);
        // before one that is there
        assert_eq!(lost("abde", kept), ["c", ""]);
        assert_eq!(lost("bcde", kept), ["a", ""]);
        // of the server that took over
        assert_eq!(lost("abcd", kept), ["e", ""]);
    }

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
            (Kind::Move, Answer::Done, 2, Some("were done twice")),
            (Kind::Two, Answer::Done, 2, None),
            (Kind::Two, Answer::Done, 1, Some("were done by half")),
            (Kind::Create, refused(), 0, None),
            (Kind::Create, refused(), 1, Some("were refused and are there")),
            (Kind::Move, Answer::InDoubt(Some(true)), 1, None),
            (Kind::Move, Answer::InDoubt(Some(false)), 1, Some("were resolved wrongly")),
            (Kind::Move, Answer::InDoubt(None), 0, Some("stayed in doubt")),
        ] {
            let (name, now) = (String::new(), Instant::now());
            let call = Call { name, kind, answer, began: now, ended: now };
            assert_eq!(judge(&call, times), wrong, "{call:?}");
        }
    }
}
