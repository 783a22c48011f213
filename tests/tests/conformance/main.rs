//! One list of requirements, a test a line, for every database; and the sections of it that hold
//! where a database has what they are about.

#[cfg(feature = "mysql")]
use flowstate_tests::Mysql;
#[cfg(feature = "postgres")]
use flowstate_tests::Postgres;
use flowstate_tests::Sqlite;
#[cfg(feature = "postgres")]
use flowstate_tests::database::isolated::RepeatableRead;
#[cfg(any(feature = "mysql", feature = "postgres"))]
use flowstate_tests::database::isolated::{Isolated, Serializable};
#[cfg(feature = "mysql")]
use flowstate_tests::database::isolated::{ReadCommitted, ReadUncommitted, StrictSnapshot};

/// `requirements!(module: a b c)` makes the tests `sqlite::module::a` and so on.
macro_rules! requirements {
    ($database:ty, $($room:ident)::+; $($module:ident: $($test:ident)*;)*) => {
        use $($room)::+ as required;
        $(mod $module {
            use super::*;
            $(#[test] fn $test() { required::$module::$test::<$database>(); })*
        })*
    };
}

/// What holds on every database, at every isolation level.
macro_rules! everywhere {
    ($database:ty) => {
        requirements! { $database, flowstate_tests::require;
            by_hand:
                a_transaction_begun_by_hand_is_refused
                a_transaction_begun_before_is_refused
                ;
            calls:
                list_gives_pages
                an_unreadable_row_is_listed_by_itself
                aliases_are_read
                artefacts_are_kept_with_their_transition
                notes_are_kept_in_the_history
                a_delay_moves_the_due_time
                a_time_is_just_that_time
                updates_change_the_props
                what_is_gone_is_not_found
                ;
            change:
                an_update_keeps_what_it_does_not_know
                aliases_count_for_the_state
                ;
            crash:
                a11_a25_crash_keeps_all_or_nothing
                ;
            crowd:
                one_of_32_threads_wins
                one_of_32_threads_with_a_guard_wins
                eight_threads_lose_nothing
                ;
            hooks:
                a07_failing_hook_leaves_it_committed
                a08_hook_moves_the_same_record
                hooks_wait_for_the_commit_and_run_in_order
                hooks_within_wait_for_the_outermost_commit
                a_refused_request_within_may_be_handled
                a_record_cannot_move_within_its_own_move
                hooks_are_refused_in_a_foreign_transaction
                no_hook_runs_after_a_rollback
                ;
            identity:
                an_id_of_another_flow_is_not_found
                an_id_that_was_given_again_is_not_found
                what_others_rolled_back_does_not_exist
                what_others_committed_exists
                ;
            json:
                every_float_comes_back
                every_json_value_comes_back
                ;
            keys:
                a30_same_key_makes_one_record
                a_key_is_known_after_the_props_changed
                a_keyed_start_joins_a_transaction
                a_key_without_its_beginning_is_a_conflict
                equal_props_are_the_same_start
                a_start_is_known_after_a_deploy
                a_key_that_comes_and_goes_is_new_or_found
                an_index_of_ones_own_is_no_key
                ;
            messages:
                a_refused_transition_names_its_record
                what_cannot_be_read_names_its_record
                what_is_in_the_way_names_the_record
                ;
            migrations:
                missing_tables_are_named
                a26_one_of_three_processes_migrates
                a26_a_killed_migration_can_be_run_again
                a_migration_commits_nothing_of_its_callers
                a27_host_migrations_stay_apart
                a27_copied_migrations_record_themselves
                ;
            odd:
                an_undone_hook_is_dropped_at_the_end
                a_panic_after_the_commit_changes_nothing
                an_error_without_an_end_is_cut
                the_destructor_of_a_thread_local_gets_an_answer
                ;
            operator:
                graphs_are_registered_once
                a_retry_begins_anew
                only_what_is_declared_is_taken
                force_records_what_it_skips
                a_claim_is_released_when_its_holder_is_gone
                a_wish_is_fenced
                lists_find_what_is_asked_for
                secrets_are_not_shown
                a_plan_does_what_it_said
                numbers_are_bounded
                an_unknown_state_is_stuck
                ;
            labels:
                labels_follow_the_props
                records_of_before_are_labelled
                without_labels_nothing_is_paid
                ;
            pages:
                pages_read_what_they_show
                ;
            operators:
                operators_and_workers_do_not_tear_anything
                a_worker_is_seen_while_it_runs
                ;
            outcome:
                an_outcome_is_that_of_the_row
                an_outcome_is_awaited_without_a_connection
                the_outcome_of_another_program_is_seen
                what_has_given_up_is_not_awaited
                ;
            panics:
                a09_panic_on_a_pooled_connection
                a09_panic_ends_the_thread
                a10_panic_on_a_bare_connection
                ;
            pools:
                a28_guard_with_its_own_connection_is_an_error
                a31_one_connection_serves_all
                ;
            purge:
                a24_only_what_is_finished_is_purged
                a24_what_is_resumed_stays
                a24_a_purge_takes_what_it_is_told
                a24_a_record_that_must_stay_keeps_nothing_else
                ;
            retries:
                a_transaction_is_retried_as_a_whole
                an_ignored_conflict_is_retried_all_the_same
                a_conflict_in_a_part_retries_the_whole
                tries_are_bounded
                ;
            seed:
                a_flow_runs_from_end_to_end
                an_artefact_is_stored_before_the_hook_runs
                a_guard_decides
                completion_keeps_or_destroys
                an_error_is_remembered_while_it_lasts
                history_tells_from_to_and_when
                props_of_a_wrong_shape_are_refused
                a_created_record_is_as_its_row
                ;
            spans:
                a_transition_has_a_span
                a_creation_and_a_deletion_have_spans
                ;
            stale:
                a01_stale_copy_loses
                a_stale_copy_goes_on_from_the_row
                a02_guard_waits_for_the_lock
                a03_one_of_many_threads_wins
                a03_one_of_two_processes_wins
                a19_order_is_by_seq
                a20_unknown_state_is_left_alone
                a_copy_from_a_rolled_back_transaction_is_not_trusted
                a_copy_from_a_rolled_back_savepoint_is_not_trusted
                ;
            stored:
                a22_older_artefact_is_an_error_with_its_path
                a23_payloads_round_trip
                a23_payloads_are_refused
                a23_json_of_others_is_kept_or_refused
                a23_keys_are_bytes
                a23_names_are_bytes
                a23_errors_are_kept
                ;
            stress:
                threads_lose_and_double_nothing
                s05_processes_lose_and_double_nothing
                ;
            table:
                a23_one_answer_everywhere
                ;
            undone:
                a04_ignored_failure_commits_nothing
                a_failure_in_a_savepoint_may_be_ignored
                a05_error_undoes_the_whole_transaction
                a06_ignored_inner_transaction_leaves_the_second
                a25_destroy_is_undone_with_its_transaction
                a_record_of_a_rolled_back_transaction_is_gone
                unbalanced_transactions_are_refused
                ;
        }

        mod worker {
            use super::*;

            requirements! { $database, flowstate_tests::require::worker;
                bad_rows:
                    a_claim_that_is_refused_keeps_no_other
                    a_timed_transition_that_is_refused_keeps_no_other
                    a_claim_that_cannot_be_failed_over_keeps_no_other
                    a_lease_that_cannot_be_extended_keeps_no_other
                    a_claim_that_cannot_be_given_back_keeps_no_other
                    a_claim_that_was_lost_while_it_waited_never_begins
                    a_finish_that_is_refused_keeps_no_other
                    ;
                steps:
                    steps_run_to_the_end
                    failures_are_retried_and_end
                    a_permanent_error_ends_the_tries
                    a13_a_late_worker_changes_nothing
                    a29_a_shutdown_gives_back_what_is_left
                    a_timed_transition_is_taken_in_time
                    ;
                claims:
                    each_record_is_claimed_once
                    the_oldest_due_comes_first
                    a_retry_waits_behind_no_stream
                    two_processes_never_overlap
                    a_long_queue_starves_nobody
                    concurrency_is_kept
                    a_batch_is_claimed_at_once
                    a15_a_former_life_is_somebody_else
                    a_late_extend_leaves_the_next_claim_alone
                    ;
                clock:
                    a18_no_time_of_the_client_is_sent
                    a18_a_clock_that_jumps_back
                    ;
                events:
                    what_workers_tell_is_documented
                    ;
                faults:
                    a_panic_keeps_the_thread
                    a09_a_handler_that_panics_after_writing
                    what_cannot_be_read_is_left_to_others
                    a_handler_that_ignores_a_failure_has_failed
                    ;
                fence:
                    a14_a_finish_behind_the_reaper_is_late
                    a14_the_reaper_lets_a_finish_pass
                    a16_a_lease_counts_from_the_claim
                    a16_the_lease_of_a_claim_that_waited
                    a_claim_under_an_old_name_is_failed_over
                    a_claim_is_ended_only_by_its_holder
                    ;
                idle:
                    an_idle_worker_costs_two_statements_a_look
                    a20_an_unknown_state_is_no_work
                    a21_the_older_program_leaves_new_states_alone
                    a_transition_wakes_the_worker
                    a_handler_holds_nothing
                    ;
                outage:
                    a_worker_does_not_reap_its_own
                    a_lost_answer_to_a_claim_costs_no_attempt
                    a_lost_answer_to_a_claim_is_given_back_at_the_end
                    ;
                outcomes:
                    what_is_not_yet_due_counts_no_try
                    the_last_failed_try_gives_up
                    each_outcome_takes_its_transition
                    ;
                panics:
                    an_error_without_a_text_fails_the_step
                    a_panic_outside_a_handler_costs_no_thread
                    ;
                refused:
                    a_finish_that_is_refused_again_and_again_has_failed
                    a_transactional_finish_that_is_refused_has_failed
                    ;
                release:
                    a_released_record_is_where_it_was
                    a_released_record_is_not_destroyed
                    a_shutdown_puts_records_back_where_they_were
                    ;
                run:
                    a31_several_threads_share_one_connection
                    a31_the_heartbeat_shares_the_connection
                    what_is_due_later_is_left
                    the_longest_poll_is_a_long_one
                    batches_are_worked_off
                    what_lies_far_back_is_found_before_idle
                    a_step_served_twice_is_refused
                    stats_say_what_was_done
                    stats_say_what_waits
                    a_worker_has_all_its_threads_or_none
                    reaping_by_hand
                    reapers_share_the_dead
                    ;
                shutdown:
                    a29_an_idle_worker_stops
                    a29_queued_claims_are_given_back
                    a29_a_transactional_handler_outlives_the_grace
                    a29_a_finish_under_way_is_whole
                    a29_a_claim_under_way_is_given_back
                    a29_a_dropped_worker_gives_back
                    ;
                shutdown_late:
                    a29_a_database_that_is_down
                    a29_a_claim_under_way_beside_a_long_handler
                    ;
                tries:
                    retry_after_sets_the_pause
                    attempts_restart_after_a_finish
                    the_idempotency_key_is_that_of_the_step
                    a17_a_deadly_handler_is_tried_three_times
                    a_time_limit_of_the_running_state_counts
                    ;
                triple:
                    records_of_the_old_triple_go_on
                    ;
                within:
                    every_end_of_a_try_is_booked
                    a_good_end_that_is_refused_is_a_failed_try
                    a_timed_transition_is_booked
                    a_handler_learns_that_its_claim_is_lost
                    a_handler_learns_of_a_shutdown
                    ;
            }
        }
    };
}

/// What is the same at every isolation level and takes a while, or looks at what SERIALIZABLE
/// refuses to show.
macro_rules! usual_isolation {
    ($database:ty) => {
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
        }
    };
}

/// What only servers do: they are reached over a network, and lock rows.
#[cfg(any(feature = "mysql", feature = "postgres"))]
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
            purge:
                a24_what_others_refer_to_is_passed_over
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
                fence:
                    a_locked_record_does_not_stop_the_heartbeat
                    ;
            }
        }
    };
}

/// What only servers do, at the level that they have by themselves.
#[cfg(any(feature = "mysql", feature = "postgres"))]
macro_rules! usual_servers {
    ($database:ty) => {
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
        }
    };
}

/// Where others can change a row that one of them has locked, and wait for it: not on `SQLite`,
/// which locks the file, nor at PostgreSQL's other levels, which refuse the second change.
#[cfg(any(feature = "mysql", feature = "postgres"))]
macro_rules! waits {
    ($database:ty) => {
        requirements! { $database, flowstate_tests::require::worker;
            bad_rows:
                a_result_outlasts_a_lock
                ;
            shutdown_late:
                a29_a_record_that_others_have_locked
                ;
        }
    };
}

/// Where a commit checks constraints and a trigger can skip a row: not on MySQL.
macro_rules! late_refusals {
    ($database:ty) => {
        requirements! { $database, flowstate_tests::require::worker;
            bad_rows:
                a_claim_that_is_skipped_keeps_no_other
                ;
            faults:
                a_commit_that_is_refused_is_a_failed_try
                ;
        }
    };
}

/// `exercise!(name, database; a b)`: what holds everywhere, and the sections `a` and `b`.
macro_rules! exercise {
    ($name:ident, $database:ty; $($section:ident)*) => {
        mod $name {
            use super::*;

            #[test]
            fn child_process() {
                flowstate_tests::require::child_process::<$database>();
            }

            everywhere! { $database }
            $(mod $section {
                use super::*;

                $section! { $database }
            })*
        }
    };
}

exercise!(sqlite, Sqlite; usual_isolation late_refusals);
#[cfg(feature = "postgres")]
exercise!(postgres, Postgres; usual_isolation servers usual_servers waits late_refusals);
#[cfg(feature = "postgres")]
exercise!(
    postgres_repeatable_read, Isolated<Postgres, RepeatableRead>; servers late_refusals
);
#[cfg(feature = "postgres")]
exercise!(postgres_serializable, Isolated<Postgres, Serializable>; servers late_refusals);
#[cfg(feature = "mysql")]
exercise!(mysql, Mysql; usual_isolation servers usual_servers waits);
#[cfg(feature = "mysql")]
exercise!(mysql_read_committed, Isolated<Mysql, ReadCommitted>; servers waits);
#[cfg(feature = "mysql")]
exercise!(mysql_strict_snapshot, Isolated<Mysql, StrictSnapshot>; servers waits);
#[cfg(feature = "mysql")]
exercise!(mysql_serializable, Isolated<Mysql, Serializable>; servers waits);

/// What a level could break that shows what is not committed.
#[cfg(feature = "mysql")]
mod mysql_read_uncommitted {
    use super::*;

    requirements! { Isolated<Mysql, ReadUncommitted>, flowstate_tests::require;
        crowd:
            one_of_32_threads_wins
            one_of_32_threads_with_a_guard_wins
            eight_threads_lose_nothing
            ;
    }
    mod servers {
        use super::*;

        servers! { Isolated<Mysql, ReadUncommitted> }
    }
}
