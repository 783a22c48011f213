//! Where every commit to the file is seen.

macro_rules! one_file {
    ($database:ty) => {
        requirements! { $database, flowstate_tests::require::worker;
            listen:
                every_commit_to_the_file_is_seen
                ;
        }
    };
}
