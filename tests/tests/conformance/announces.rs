//! Where announcements are heard.

macro_rules! announces {
    ($database:ty) => {
        requirements! { $database, flowstate_tests::require::worker;
            listen:
                what_another_process_announces_is_claimed_at_once
                a_listener_that_was_cut_off_listens_again
                a_deaf_listener_is_told
                echoes_that_cannot_be_sent_are_rare
                ;
        }
    };
}
