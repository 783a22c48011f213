//! Where a commit checks constraints and a trigger can skip a row: not on MySQL.

macro_rules! late_refusals {
    ($database:ty) => {
        requirements! { $database, flowstate_tests::require::worker;
            bad_rows:
                a_claim_that_is_skipped_keeps_no_other
                a_wish_that_is_skipped_is_said
                ;
            faults:
                a_commit_that_is_refused_is_a_failed_try
                ;
        }
    };
}
