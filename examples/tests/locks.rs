//! The lock files of the examples are current, and so are the samples beside them:
//! `FLOWSTATE_LOCK=write cargo test --test locks` writes them.

#![allow(dead_code, reason = "of the examples only the flows are wanted")]

#[path = "../examples/approval/flow.rs"]
mod approval;
#[path = "../examples/sync_third_party_api/flow.rs"]
mod flow;
#[path = "../examples/sync_third_party_api/my_records.rs"]
mod my_records;

#[test]
fn the_lock_of_the_approval_is_current() {
    use approval::{Payment, Receipt};
    flowstate::lock::sample_props(&Payment { payee: "Ann".to_owned(), cents: 5_000 });
    flowstate::lock::sample::<Payment, _>(&Receipt { number: "R1".to_owned() });
    flowstate::lock::check::<Payment>();
}

#[test]
fn the_lock_of_the_synchronization_is_current() {
    use flow::{SyncThirdPartyApi, ThirdPartyResponse};
    flowstate::lock::sample_props(&SyncThirdPartyApi {
        my_record_id: "17".to_owned(),
        third_party_id: "tp-17".to_owned(),
    });
    let response = ThirdPartyResponse(serde_json::json!({ "id": "tp-17" }));
    flowstate::lock::sample::<SyncThirdPartyApi, _>(&response);
    flowstate::lock::check::<SyncThirdPartyApi>();
}
