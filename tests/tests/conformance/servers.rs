//! What only servers do: they are reached over a network, and lock rows.

macro_rules! servers {
    ($database:ty) => {
        requirements! { $database, flowstate_tests::require;
            cut:
                a12_unknown_outcome_is_said_and_resolved
                a12_a_destroyed_record_is_resolved
                a12_a_finish_is_resolved
                a12_a_keyed_start_is_resolved
                a12_moves_in_savepoints_are_resolved
                ;
            cut_create:
                a12_what_is_new_or_gone_is_resolved
                ;
            session:
                another_character_set_is_refused
                ;
            purge:
                a24_what_others_refer_to_is_passed_over
                a24_a_purge_waits_for_nobody_for_long
                ;
        }
        mod worker {
            use super::*;

            requirements! { $database, flowstate_tests::require::worker;
                bad_rows:
                    a_timed_transition_waits_for_no_reference
                    ;
                cut:
                    a12_a_worker_finds_out
                    ;
                deadlines:
                    one_that_is_locked_gets_no_deadline_now
                    ;
                fence:
                    a_locked_record_does_not_stop_the_heartbeat
                    ;
            }
        }
    };
}
