//! Pages of operators, as the tables grow: what they read, and in how many statements.

use diesel::connection::SimpleConnection as _;
use flowstate_diesel::operator::{Filter, failures, lately, list, numbers, register, throughput};

use super::operator::Parcel;
use crate::statement_probe::sent;
use crate::{Database, check};

/// How many records of each of nine lanes there are.
const RECORDS: i64 = 2_048;

/// Three flows with records that are due, that gave up, and that are completed.
pub fn fill<D: Database>(conn: &mut D::Conn) {
    register::<(Parcel,)>("shop 1", conn).expect("registered");
    for flow in ["parcel", "other", "third"] {
        for (state, times) in [
            ("open", "'2026-01-01 00:00:00.000000', NULL, NULL"),
            ("lost", "NULL, NULL, '2026-01-01 00:00:00.000000'"),
            ("shipped", "NULL, '2026-01-01 00:00:00.000000', NULL"),
        ] {
            let row = format!(
                "INSERT INTO flowstate_flows (flow, state, seq, props, attempts, due_at, \
                 completed_at, last_errored_at, created_at, updated_at) \
                 VALUES ('{flow}', '{state}', 0, '{{}}', 0, {times}, '2026-01-01 00:00:00.000000', '2026-01-01 00:00:00.000000')"
            );
            conn.batch_execute(&row).expect("a row");
        }
    }
    let again = "INSERT INTO flowstate_flows (flow, state, seq, props, attempts, due_at, \
         completed_at, last_errored_at, created_at, updated_at) \
         SELECT flow, state, seq, props, attempts, due_at, completed_at, last_errored_at, \
         created_at, updated_at FROM flowstate_flows";
    for _ in 0..RECORDS.ilog2() {
        conn.batch_execute(again).expect("twice as many");
    }
}

/// How many rows of the table, or of its indexes, this connection has read one after the other. On
/// `PostgreSQL` those that no index has led to, in the transaction that is open.
fn read_so_far<D: Database>(conn: &mut D::Conn) -> i64 {
    if D::FOLDER == "mysql" {
        check::rows_read::<D>(conn)
    } else {
        D::number(
            conn,
            "SELECT seq_tup_read FROM pg_stat_xact_user_tables \
             WHERE relname = 'flowstate_flows' AND schemaname = current_schema()",
        )
    }
}

/// How many statements a page takes, but for those about the connection itself.
fn asked<D: Database>(conn: &mut D::Conn, page: impl FnOnce(&mut D::Conn)) -> usize {
    let is_asked = |text: &&String| !text.contains("pragma_");
    sent(conn, page).0.iter().filter(is_asked).count()
}

/// What a page reads, and how many statements it takes.
pub(super) fn cost<D: Database>(
    conn: &mut D::Conn,
    page: impl FnOnce(&mut D::Conn),
) -> (i64, usize) {
    if D::FOLDER == "sqlite" || D::IS_ISOLATED {
        return (0, asked::<D>(conn, page));
    }
    // the statistics of a transaction are its own
    conn.batch_execute("BEGIN").expect("begun");
    let before = read_so_far::<D>(conn);
    let statements = asked::<D>(conn, page);
    let read = read_so_far::<D>(conn) - before;
    conn.batch_execute("ROLLBACK").expect("rolled back");
    (read, statements)
}

/// However many records there are, a page of a list or of the dashboard reads some thousand entries of
/// indexes, and never the table.
pub fn pages_read_what_they_show<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    fill::<D>(conn);
    let analyze = if D::FOLDER == "mysql" { "ANALYZE TABLE flowstate_flows" } else { "ANALYZE" };
    conn.batch_execute(analyze).expect("analyzed");
    let of = |flow: Option<&str>, states: &[&str]| Filter {
        flow: flow.map(str::to_owned),
        states: states.iter().map(|&state| state.to_owned()).collect(),
        ..Filter::default()
    };
    // each with the registry: the clock, graphs, workers; MySQL goes from lane to lane by statements
    let lanes = if D::FOLDER == "mysql" { 9 + 3 + 4 } else { 1 };
    let plain = |filter: Filter| {
        move |conn: &mut D::Conn| {
            assert_eq!(list(&filter, None, 50, conn).expect("listed").records.len(), 50);
        }
    };
    let (read, statements) = cost::<D>(conn, plain(of(Some("parcel"), &["shipped"])));
    assert!(read <= 500, "{read}");
    assert!(statements <= 7, "{statements}");
    let (read, statements) = cost::<D>(conn, plain(of(None, &[])));
    assert!(read <= 500, "{read}");
    assert!(statements <= lanes + 7, "{statements}");
    let stuck = Filter { stuck: true, ..of(None, &[]) };
    let (read, statements) = cost::<D>(conn, plain(stuck));
    assert!(read <= 1_000, "{read}");
    assert!(statements <= lanes + 11, "{statements}");

    let (read, statements) = cost::<D>(conn, |conn| {
        let counted = numbers(None, 100, conn).expect("counted");
        assert!(counted.iter().all(|one| one.records == 100 && one.is_capped), "{counted:?}");
        assert_eq!(counted.len(), 9);
    });
    assert!(read <= 9 * 600, "{read}");
    assert!(statements <= lanes + 3 + 9 + 9, "{statements}");

    let (read, _) = cost::<D>(conn, |conn| drop(failures(None, conn).expect("grouped")));
    assert!(read <= 20_000, "{read} of {}", 9 * RECORDS);
    let (read, _) = cost::<D>(conn, |conn| drop(lately("parcel", conn).expect("counted")));
    assert!(read <= 3_000, "{read}");
    // by a clock that is ahead
    let of_late = "UPDATE flowstate_flows SET completed_at = '2999-01-01 00:00:00.000000' \
         WHERE state = 'shipped' AND flow <> 'third'";
    conn.batch_execute(of_late).expect("completed of late");
    let (read, statements) = cost::<D>(conn, |conn| {
        let all = throughput(&["other", "parcel", "third"], conn).expect("counted");
        assert!(all.iter().all(|one| one.completed == 1_000 && one.is_capped), "{all:?}");
        assert_eq!(all.len(), 2);
    });
    // a count on MySQL reads what it has found once more
    assert!(read <= 5_000, "{read}");
    assert_eq!(statements, 1 + 3, "of each flow what was completed");
    let rare = Filter { error: Some("nowhere".to_owned()), ..of(None, &[]) };
    let (read, statements) = cost::<D>(conn, |conn| {
        let page = list(&rare, None, 50, conn).expect("listed");
        assert!(page.records.is_empty() && page.next.is_some(), "it goes on later");
    });
    assert!(read <= 10_000, "{read}");
    assert!(statements <= lanes + 14, "{statements}");
}
