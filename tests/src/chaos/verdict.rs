//! What must hold in the end.

use flowstate_diesel::{AsStore, Page, prelude::*};

use super::errand::{Errand, ErrandState, LEASE, Temper};
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
    pub(super) fn read<D: Database>(conn: &mut D::Conn) -> Self {
        let mut count = |filter: &str| {
            D::number(conn, &format!("SELECT COUNT(*) FROM flowstate_flows WHERE {filter}"))
        };
        let failed = "state IN ('call_failed', 'book_failed') AND due_at IS NULL";
        let (completed, given_up) = (count("state = 'booked'"), count(failed));
        Self { completed, given_up, open: count("1 = 1") - completed - given_up }
    }
}

/// Everything that is wrong.
pub(super) fn findings<D: Database>(flows: usize, seen: &Told, conn: &mut D::Conn) -> Vec<String> {
    let mut findings = Vec::new();
    let audit = flowstate_diesel::audit(conn.as_store()).expect("the audit ran");
    if !audit.is_clean() {
        findings.push(format!("audit: {audit}"));
    }
    if audit.flows != i64::try_from(flows).unwrap_or(i64::MAX) {
        findings.push(format!("{} of {flows} flows are there", audit.flows));
    }
    for (what, sql) in checks::<D>() {
        let number = D::number(conn, &format!("SELECT COUNT(*) FROM ({sql}) AS found"));
        if number > 0 {
            findings.push(format!("{number} {what}"));
        }
    }
    let expired = "SELECT COUNT(*) FROM flowstate_transitions WHERE error = 'lease expired'";
    if D::number(conn, expired) == 0 {
        findings.push("no lease ran out: it shows nothing".to_owned());
    }
    findings.extend(misjudged::<D>(conn));
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

/// The hopeless are given up, and nobody else is.
fn misjudged<D: Database>(conn: &mut D::Conn) -> Vec<String> {
    let (mut found, mut page) = (Vec::new(), Page::first(500));
    loop {
        let states = ErrandState::ALL.iter().copied();
        let errands = Errand::list(states, page, conn).expect("listed");
        let Some(last) = errands.last() else { return found };
        page = Page::after(last.id(), 500);
        for errand in errands {
            let is_given_up = errand.state() != ErrandState::Booked;
            if is_given_up != (errand.temper == Temper::Hopeless) {
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
                 NULL OR state NOT IN ('booked', 'call_failed', 'book_failed')",
            ),
        ),
        (
            "transitions were committed twice",
            text(
                "SELECT flow_id FROM flowstate_transitions WHERE transition IN ('flow.create', \
                 'finish_call', 'finish_book') GROUP BY flow_id, transition HAVING COUNT(*) > 1",
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
                 WHERE s.transition IN ('call', 'book') AND e.transition NOT IN \
                 ('finish_call', 'fail_call', 'finish_book', 'fail_book', 'claim.release')",
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
