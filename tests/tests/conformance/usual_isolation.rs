//! What is the same at every isolation level and takes a while, or looks at what SERIALIZABLE
//! refuses to show.

macro_rules! usual_isolation {
    ($database:ty) => {
        requirements! { $database, flowstate_tests::require;
            between:
                an_outcome_is_of_one_moment
                what_is_shown_is_of_one_moment
                a_purge_deletes_no_other_flow
                ;
            calls:
                many_records_go_in_bounded_parts
                ;
        }
        mod change {
            use super::*;

            requirements! { $database, flowstate_tests::require::change;
                deploy:
                    a_version_is_rolled_out
                    a_version_is_rolled_back
                    ;
                ends:
                    a_state_becomes_an_end
                    an_end_becomes_a_state
                    ;
                flow:
                    a_flow_is_renamed
                    a_flow_is_given_back_its_name
                    records_of_a_former_name_are_found
                    a_renamed_flow_keeps_its_idempotency_keys
                    concurrency_is_kept_over_the_names
                    ;
                names:
                    a_state_and_an_artefact_are_renamed
                    a_step_is_renamed
                    ;
                payloads:
                    a_field_is_added
                    a_field_becomes_required
                    an_artefact_is_loaded_later
                    an_artefact_is_dropped
                    a_payload_changes_its_type
                    ;
                states:
                    a_state_is_added_in_between
                    a_state_is_split
                    a_state_is_removed
                    ;
                ways:
                    a_transition_is_dropped
                    an_outcome_is_changed
                    a_deadline_is_added
                    ;
            }
        }
        mod worker {
            use super::*;

            requirements! { $database, flowstate_tests::require::worker;
                crash:
                    a11_a_crash_of_a_worker_loses_nothing
                    a11_a_crash_at_a_deadline_loses_nothing
                    ;
                idle:
                    a21_two_versions_at_once
                    ;
                outage:
                    an_outage_costs_no_claim
                    an_outage_costs_no_flow
                    ;
                age:
                    a_claim_remembers_the_last_end
                    a_step_of_an_old_record_has_a_key_until_it_ends
                    ;
                ends:
                    ends_that_come_together_are_each_their_own
                    ;
                large:
                    large_ends_go_in_bounded_parts
                    ;
                stall:
                    who_was_kept_waiting_reaps_nobody
                    a_connection_that_only_reads_is_given_up
                    ;
            }
        }
    };
}
