//! Where others can change a row that one of them has locked, and wait for it: not on `SQLite`,
//! which locks the file, nor at PostgreSQL's other levels, which refuse the second change.

macro_rules! waits {
    ($database:ty) => {
        requirements! { $database, flowstate_tests::require::worker;
            bad_rows:
                a_result_outlasts_a_lock
                ;
            within:
                a_part_that_waits_keeps_no_other
                ;
            waiting:
                a_trigger_that_waits_keeps_no_other
                a_claim_by_hand_passes_over_what_waits
                a_lease_that_waits_keeps_no_other
                ;
            shutdown_late:
                a29_a_record_that_others_have_locked
                ;
        }
    };
}
