//! The lock files of the examples are current: `FLOWSTATE_LOCK=write cargo test --test locks` writes
//! them.

#![allow(dead_code, reason = "of the examples only the flows are wanted")]

#[path = "../examples/approval/flow.rs"]
mod approval;
#[path = "../examples/sync_third_party_api/flow.rs"]
mod flow;
#[path = "../examples/sync_third_party_api/my_records.rs"]
mod my_records;

#[test]
fn the_lock_of_the_approval_is_current() {
    flowstate::lock::check::<approval::Payment>();
}

#[test]
fn the_lock_of_the_synchronization_is_current() {
    flowstate::lock::check::<flow::SyncThirdPartyApi>();
}
