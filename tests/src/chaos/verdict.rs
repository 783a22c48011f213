//! What must hold in the end.

use flowstate_diesel::{AsStore, Page, prelude::*};

use super::errand::{Errand, ErrandState, LEASE};
use super::visits::Told;
use crate::Database;

/// Where the flows are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Count {
    pub(super) completed: i64,
    pub(super) given_up: i64,
    pub(super) open: i64,
}

impl Count {
    #[cfg(all(feature = "postgres", feature = "mysql"))]
    pub(super) fn all(self) -> i64 {
        self.completed + self.given_up + self.open
    }

    pub(super) fn read<D: Database>(conn: &mut D::Conn) -> Self {
        let mut count = |filter: &str| {
            D::number(conn, &format!("SELECT COUNT(*) FROM flowstate_flows WHERE {filter}"))
        };
        let failed = "state = 'book_failed' AND due_at IS NULL OR state = 'unreachable'";
        let (completed, given_up) = (count("state IN ('booked', 'declined')"), count(failed));
        Self { completed, given_up, open: count("1 = 1") - completed - given_up }
    }
}

/// Everything that is wrong where nothing may be lost.
pub(super) fn findings<D: Database>(flows: usize, seen: &Told, conn: &mut D::Conn) -> Vec<String> {
    let mut findings = findings_of_what_is_left::<D>(seen, conn);
    let there = D::number(conn, "SELECT COUNT(*) FROM flowstate_flows");
    if there != i64::try_from(flows).unwrap_or(i64::MAX) {
        findings.push(format!("{there} of {flows} flows are there"));
    }
    let expired = "SELECT COUNT(*) FROM flowstate_transitions WHERE error = 'lease expired'";
    if D::number(conn, expired) == 0 {
        findings.push("no lease ran out: it shows nothing".to_owned());
    }
    for (flow, seq) in &seen.shared {
        findings.push(format!("two processes ran the claim {seq} of #{flow}"));
    }
    for (flow, seq) in &seen.overtaken {
        // its process died, or it lost its claim: in any case the next began after its lease
        let ended = format!(
            "SELECT COUNT(*) FROM flowstate_transitions WHERE flow_id = {flow} \
             AND seq = {seq} + 1 AND (error = 'lease expired' OR transition = 'claim.release')"
        );
        if D::number(conn, &ended) == 0 {
            findings.push(format!("a handler of #{flow} began beside that of the claim {seq}"));
        }
    }
    findings
}

/// Everything that is wrong with the flows that are there, though the last moments of others, and of
/// theirs, may be lost: what a handler has seen may be gone, and its claim given anew.
pub(super) fn findings_of_what_is_left<D: Database>(
    seen: &Told,
    conn: &mut D::Conn,
) -> Vec<String> {
    let mut findings = Vec::new();
    let audit = flowstate_diesel::audit(conn.as_store()).expect("the audit ran");
    if !audit.is_clean() {
        findings.push(format!("audit: {audit}"));
    }
    for (what, sql) in checks::<D>() {
        let number = D::number(conn, &format!("SELECT COUNT(*) FROM ({sql}) AS found"));
        if number > 0 {
            findings.push(format!("{number} {what}"));
        }
    }
    findings.extend(misjudged::<D>(conn));
    for flow in &seen.keyed_twice {
        findings.push(format!("tries of one step of #{flow} had different idempotency keys"));
    }
    findings
}

/// Each ends where its temper leads: the hopeless are given up, and nobody else is.
fn misjudged<D: Database>(conn: &mut D::Conn) -> Vec<String> {
    let (mut found, mut page) = (Vec::new(), Page::first(500));
    loop {
        let states = ErrandState::ALL.iter().copied();
        let errands = Errand::list(states, page, conn).expect("listed");
        let Some(last) = errands.last() else { return found };
        page = Page::after(last.id(), 500);
        for errand in errands {
            if errand.state() != errand.temper.end() {
                found.push(format!("{:?} #{} is {}", errand.temper, errand.id(), errand.state()));
            }
        }
    }
}

/// What must not be found, and how to find it.
fn checks<D: Database>() -> Vec<(&'static str, String)> {
    // where each statement reads the clock, a busy machine may stand still between two of them
    let lease = LEASE.as_millis();
    let held = match D::FOLDER {
        "sqlite" => "(julianday(e.created_at) - julianday(s.created_at)) * 86400000",
        "mysql" => "TIMESTAMPDIFF(MICROSECOND, s.created_at, e.created_at) / 1000",
        _ => "extract(epoch FROM e.created_at - s.created_at) * 1000",
    };
    let text = |sql: &str| sql.to_owned();
    vec![
        (
            "flows neither completed nor in their error state",
            text(
                "SELECT id FROM flowstate_flows WHERE leased_until IS NOT NULL OR due_at IS NOT \
                 NULL OR (state <> 'book_failed') = (completed_at IS NULL)",
            ),
        ),
        (
            "transitions were committed twice",
            text(
                "SELECT flow_id FROM flowstate_transitions WHERE transition IN ('flow.create', \
                 'finish_call', 'finish_call_declined', 'give_up_call', 'finish_book') GROUP BY flow_id, transition HAVING COUNT(*) > 1",
            ),
        ),
        (
            "calls have two outcomes",
            text(
                "SELECT flow_id FROM flowstate_transitions WHERE transition IN ('finish_call', \
                 'finish_call_declined', 'give_up_call') GROUP BY flow_id HAVING COUNT(*) > 1",
            ),
        ),
        (
            "bookings are doubled",
            text("SELECT flow_id FROM bookings GROUP BY flow_id HAVING COUNT(*) > 1"),
        ),
        (
            "bookings are missing",
            text(
                "SELECT id FROM flowstate_flows WHERE state = 'booked' \
                 AND id NOT IN (SELECT flow_id FROM bookings)",
            ),
        ),
        (
            "bookings were kept of what was rolled back",
            text(
                "SELECT flow_id FROM bookings WHERE flow_id NOT IN \
                 (SELECT id FROM flowstate_flows WHERE state = 'booked')",
            ),
        ),
        (
            "claims overlap: one began before the other had ended",
            text(
                "SELECT s.flow_id FROM flowstate_transitions s JOIN flowstate_transitions e \
                 ON e.flow_id = s.flow_id AND e.seq = s.seq + 1 \
                 WHERE s.transition IN ('start_call', 'start_book') AND e.transition NOT IN \
                 ('finish_call', 'finish_call_declined', 'fail_call', 'give_up_call', \
                 'finish_book', 'fail_book', 'claim.release')",
            ),
        ),
        (
            "claims were failed over before their lease had run out",
            format!(
                "SELECT s.flow_id FROM flowstate_transitions s JOIN flowstate_transitions e \
                 ON e.flow_id = s.flow_id AND e.seq = s.seq + 1 \
                 WHERE e.error = 'lease expired' AND {held} < {lease} - 250"
            ),
        ),
    ]
}
