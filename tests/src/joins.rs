//! The test of joins with tables of one's own, which Diesel checks for each database apart.

/// Tests [`flowstate_diesel::tables`], with the types by which its keys and
/// its times are read.
#[macro_export]
macro_rules! joins {
    ($database:ty, $schema:ident, $key:ty, $time:ty) => {
        use diesel::connection::SimpleConnection as _;
        use diesel::prelude::*;
        use flowstate_diesel::prelude::*;
        use flowstate_tests::Database as _;
        use flowstate_tests::require::single::Upload;

        flowstate_diesel::tables!($schema);

        diesel::table! {
            orders (id) {
                id -> BigInt,
                flow_id -> BigInt,
            }
        }
        diesel::joinable!(orders -> flowstate_flows (flow_id));
        diesel::allow_tables_to_appear_in_same_query!(orders, flowstate_flows);

        /// Of the records that a table of one's own refers to those that are not completed.
        #[test]
        fn tables_of_ones_own_are_joined() {
            let database = <$database>::migrated();
            let conn = &mut database.connect();
            conn.batch_execute("CREATE TABLE orders (id BIGINT NOT NULL, flow_id BIGINT NOT NULL)")
                .expect("a table");
            let upload = |file: &str| Upload { file: file.to_owned() };
            let mut done = upload("a").create_single("one", conn).expect("new").into_record();
            done.transition(Upload::END, conn).actor("anna").run().expect("ended");
            let open = upload("b").create_once("two", conn).expect("new").into_record();
            for (id, flow_id) in [(1_i64, done.id()), (2, open.id())] {
                let values = (orders::id.eq(id), orders::flow_id.eq(flow_id));
                diesel::insert_into(orders::table).values(values).execute(conn).expect("kept");
            }
            let found: Vec<(i64, String)> = orders::table
                .inner_join(flowstate_flows::table)
                .filter(flowstate_flows::completed_at.is_null())
                .select((orders::id, flowstate_flows::state))
                .load(conn)
                .expect("joined");
            assert_eq!(found, [(2, "open".to_owned())]);

            // every column is there, and has the type that it is said to have
            let rows: Vec<((i64, String, String, i64), (Option<$key>, Option<$key>, i32))> =
                flowstate_flows::table
                    .select((
                        (
                            flowstate_flows::id,
                            flowstate_flows::flow,
                            flowstate_flows::state,
                            flowstate_flows::seq,
                        ),
                        (
                            flowstate_flows::key,
                            flowstate_flows::single_key,
                            flowstate_flows::attempts,
                        ),
                    ))
                    .order(flowstate_flows::id)
                    .load(conn)
                    .expect("the rows");
            let [one, two] = ["one", "two"].map(<$key>::from);
            assert_eq!(rows[0].0, (done.id(), "upload".to_owned(), "done".to_owned(), 1));
            assert_eq!([&rows[0].1, &rows[1].1], [&(None, Some(one), 0), &(Some(two), None, 0)]);
            let times: Vec<[bool; 6]> = flowstate_flows::table
                .select((
                    flowstate_flows::due_at,
                    flowstate_flows::leased_until,
                    flowstate_flows::leased_by,
                    flowstate_flows::deadline_at,
                    flowstate_flows::completed_at,
                    flowstate_flows::last_errored_at,
                    (flowstate_flows::created_at, flowstate_flows::updated_at),
                ))
                .order(flowstate_flows::id)
                .load::<(
                    Option<$time>,
                    Option<$time>,
                    Option<String>,
                    Option<$time>,
                    Option<$time>,
                    Option<$time>,
                    ($time, $time),
                )>(conn)
                .expect("the times")
                .into_iter()
                .map(|(due, leased, by, deadline, completed, errored, _)| {
                    [
                        due.is_some(),
                        leased.is_some(),
                        by.is_some(),
                        deadline.is_some(),
                        completed.is_some(),
                        errored.is_some(),
                    ]
                })
                .collect();
            assert_eq!(times[0], [false, false, false, false, true, false]);
            assert_eq!(times[1], [true, false, false, false, false, false]);

            let history = flowstate_transitions::table
                .inner_join(flowstate_flows::table)
                .filter(flowstate_flows::state.eq("done"))
                .order(flowstate_transitions::seq)
                .select((
                    (flowstate_transitions::seq, flowstate_transitions::transition),
                    (flowstate_transitions::from_state, flowstate_transitions::to_state),
                    (flowstate_transitions::attempt, flowstate_transitions::error),
                    (flowstate_transitions::actor, flowstate_transitions::created_at),
                ));
            let history: Vec<(
                (i64, String),
                (Option<String>, String),
                (i32, Option<String>),
                (Option<String>, $time),
            )> = history.load(conn).expect("the history");
            assert_eq!(history[0].1, (None, "open".to_owned()));
            assert_eq!((&*history[1].0.1, history[1].2.0), ("end", 1));
            assert_eq!(history[1].3.0.as_deref(), Some("anna"));

            let labels: Vec<(String, String, $key)> = flowstate_labels::table
                .inner_join(flowstate_flows::table)
                .filter(flowstate_flows::id.eq(done.id()))
                .select((flowstate_labels::name, flowstate_labels::flow, flowstate_labels::value))
                .load(conn)
                .expect("the labels");
            assert_eq!(labels, [("file".to_owned(), "upload".to_owned(), <$key>::from("a"))]);
        }
    };
}
