//! What only servers do, at the level that they have by themselves.

macro_rules! usual_servers {
    ($database:ty) => {
        requirements! { $database, flowstate_tests::require;
            purge:
                p12_a_purge_reads_what_it_deletes
                ;
        }
        mod worker {
            use super::*;

            requirements! { $database, flowstate_tests::require::worker;
                clock:
                    a18_a_worker_with_another_clock
                    ;
                distance:
                    nothing_due_is_left_however_far
                    what_is_due_is_begun_in_few_round_trips
                    ;
                server:
                    p11_a_restarted_server_costs_no_flow
                    p12_a_claim_reads_its_index
                    p12_a_look_reads_what_it_finds
                    ;
                full:
                    s08_a_full_disk_of_a_server_costs_time
                    ;
                age:
                    a_claim_reads_no_history
                    a_claim_of_a_step_without_an_end_reads_no_history
                    a_first_claim_of_an_old_record_reads_little
                    ;
                silent:
                    a_call_that_does_not_come_back_stops_no_worker
                    ;
                stall:
                    a_stalled_server_costs_no_claim
                    a_result_outlasts_a_statement_timeout
                    ;
            }
        }
    };
}
