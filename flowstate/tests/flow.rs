//! What the derive generates, seen by a user.
#![deny(warnings)]

use flowstate::{Artefact, ArtefactSet, Flow, StartsFrom, State, Transition, UnknownState};
use serde::{Deserialize, Serialize};

/// Fetch a response from a third-party API, keep it, then save it locally.
#[derive(Flow, Serialize, Deserialize)]
#[state(Pending, Picked, Fetching, Fetched, Saving, Saved, Completed)]
#[state(FailedToFetch(error), FailedToSave(error))]
#[initial(Pending)]
#[completed(Completed)]
#[persist(ThirdPartyResponse(serde_json::Value))]
#[transition(pick: Pending => Picked)]
#[transition(start_fetch: Picked | FailedToFetch => Fetching)]
#[transition(finish_fetch: Fetching => Fetched, persist(ThirdPartyResponse))]
#[transition(fail_fetch: Fetching => FailedToFetch)]
#[transition(start_save: Fetched | FailedToSave => Saving, load(ThirdPartyResponse))]
#[transition(finish_save: Saving => Saved)]
#[transition(fail_save: Saving => FailedToSave)]
#[transition(complete: Saved => Completed)]
pub struct SyncThirdPartyApi {
    /// Ours.
    pub my_record_id: String,
    /// Theirs.
    pub third_party_id: String,
}

impl SyncThirdPartyApiRecord {
    fn ids(&self) -> (&str, &str) {
        (&self.my_record_id, &self.third_party_id)
    }
}

/// Payloads of the user's own.
mod payload {
    #[derive(serde::Serialize, serde::Deserialize)]
    pub(crate) struct Page<T>(pub(crate) T);
}

/// Every option in one flow.
#[derive(Flow, Serialize, Deserialize)]
#[flow(name = "every_option", record = Stored, state = Step)]
#[state(
    /// Nobody has looked.
    Draft(rename = "new", alias = "drafted", alias = "created"),
    Reading,
    Failed(error),
    Cancelled,
    Done,
)]
#[initial(Draft)]
#[completed(Done(destroy), Cancelled)]
#[persist(
    /// What a reader says.
    #[derive(Debug, PartialEq)]
    Note { text: String, stars: u8 },
    rename = "remark",
    alias = "comment"
)]
#[persist(payload::Page<Vec<u8>>, Receipt(String, u64))]
#[transition(
    /// Somebody begins.
    read: Draft => Reading, rename = "begin", alias = "start"
)]
#[transition(fail: Reading => Failed, persist(Note, Page))]
#[transition(finish: Reading | Failed => Done, persist(Receipt))]
#[transition(show: Failed => Failed, load(Note, Page))]
#[transition(cancel: * => Cancelled)]
struct EveryOption {}

fn starts_from<S, T: StartsFrom<S>>(_: T) -> &'static str {
    T::NAME
}

fn after<A: Transition, B: StartsFrom<A::To>>(_: A, _: B) {}

fn artefacts<T: Transition>(_: T) -> (&'static [&'static str], &'static [&'static str]) {
    (T::Persists::NAMES, T::Loads::NAMES)
}

fn edge<T: Transition>(_: T) -> (Vec<&'static str>, &'static str) {
    (T::FROM.iter().map(|state| state.as_str()).collect(), T::TO.as_str())
}

#[test]
fn states_are_an_enum_with_stored_names() {
    const NAME: &str = SyncThirdPartyApiState::FailedToFetch.as_str();
    assert_eq!(NAME, "failed_to_fetch");
    assert_eq!(SyncThirdPartyApiState::ALL.len(), 9);
    assert_eq!(SyncThirdPartyApiState::ALL, <SyncThirdPartyApiState as State>::ALL);
    assert!(SyncThirdPartyApiState::FailedToFetch.is_error());
    assert!(!SyncThirdPartyApiState::Fetched.is_error());
    assert!(SyncThirdPartyApiState::Completed.is_completed());
    assert!(!SyncThirdPartyApiState::Saved.is_completed());
    assert_eq!(format!("{:>9}", SyncThirdPartyApiState::Saved), "    saved");
    assert_eq!(Step::ALL.map_names(), ["new", "reading", "failed", "cancelled", "done"]);
}

trait MapNames {
    fn map_names(&self) -> Vec<&'static str>;
}

impl<S: State> MapNames for [S] {
    fn map_names(&self) -> Vec<&'static str> {
        self.iter().map(|state| state.as_str()).collect()
    }
}

#[test]
fn states_parse_from_stored_names_and_aliases() {
    for name in ["new", "drafted", "created"] {
        assert_eq!(name.parse(), Ok(Step::Draft));
        assert_eq!(serde_json::from_value::<Step>(name.into()).unwrap(), Step::Draft);
    }
    let unknown = UnknownState { flow: "every_option", state: "draft".to_owned() };
    assert_eq!("draft".parse::<Step>(), Err(unknown));
    assert_eq!(serde_json::to_value(Step::Draft).unwrap(), "new");
    let error = serde_json::from_str::<Step>("\"gone\"").unwrap_err();
    assert_eq!(error.to_string(), "`gone` is no state of the flow `every_option`");
}

#[test]
fn transitions_are_constants_with_types() {
    assert_eq!(starts_from(SyncThirdPartyApi::PICK), "pick");
    assert_eq!(edge(SyncThirdPartyApi::START_SAVE), (vec!["fetched", "failed_to_save"], "saving"));
    assert_eq!(edge(EveryOption::CANCEL), (vec!["new", "reading", "failed"], "cancelled"));
    after(SyncThirdPartyApi::START_FETCH, SyncThirdPartyApi::FINISH_FETCH);
    after(SyncThirdPartyApi::FAIL_FETCH, SyncThirdPartyApi::START_FETCH);
    after(EveryOption::READ, EveryOption::CANCEL);
    after(EveryOption::FAIL, EveryOption::CANCEL);
    assert_eq!(starts_from::<_, _>(EveryOption::READ), "begin");
}

#[test]
fn transitions_know_their_artefacts() {
    const NONE: &[&str] = &[];
    assert_eq!(artefacts(SyncThirdPartyApi::PICK), (NONE, NONE));
    assert_eq!(artefacts(SyncThirdPartyApi::FINISH_FETCH), (&["third_party_response"][..], NONE));
    assert_eq!(artefacts(EveryOption::SHOW), (NONE, &["remark", "page"][..]));
    assert_eq!(<Note as Artefact<EveryOption>>::ALIASES, ["comment"]);
    assert_eq!(<payload::Page<Vec<u8>> as Artefact<EveryOption>>::NAME, "page");
}

#[test]
fn artefacts_are_structs_with_serde() {
    let note = Note { text: "fine".to_owned(), stars: 5 };
    let json = serde_json::to_value(&note).unwrap();
    assert_eq!(json, serde_json::json!({ "text": "fine", "stars": 5 }));
    assert_eq!(serde_json::from_value::<Note>(json).unwrap(), note);
    let response = ThirdPartyResponse(serde_json::json!([1]));
    assert_eq!(serde_json::to_string(&response).unwrap(), "[1]");
    assert_eq!(serde_json::to_string(&Receipt("a".to_owned(), 1)).unwrap(), r#"["a",1]"#);
}

#[test]
fn the_definition_is_the_graph_as_data() {
    let definition = EveryOption::DEFINITION;
    assert_eq!((definition.name, EveryOption::NAME), ("every_option", "every_option"));
    assert_eq!((definition.doc, definition.initial), ("Every option in one flow.", "new"));

    let draft = definition.states[0];
    assert_eq!((draft.name, draft.variant, draft.doc), ("new", "Draft", "Nobody has looked."));
    assert_eq!(draft.aliases, ["drafted", "created"]);
    assert!(definition.states[2].is_error && !definition.states[2].is_completed);
    let ends = |i: usize| (definition.states[i].is_completed, definition.states[i].destroys);
    assert_eq!((ends(2), ends(3), ends(4)), ((false, false), (true, false), (true, true)));

    let read = definition.transitions[0];
    assert_eq!((read.name, read.doc, read.to), ("begin", "Somebody begins.", "reading"));
    assert_eq!((read.aliases, read.from), (&["start"][..], &["new"][..]));
    assert_eq!(definition.transitions[1].persists, ["remark", "page"]);
    assert_eq!(definition.transitions[3].loads, ["remark", "page"]);
    assert_eq!(definition.transitions[4].from, ["new", "reading", "failed"]);

    let names: Vec<_> = definition.artefacts.iter().map(|artefact| artefact.name).collect();
    assert_eq!(names, ["remark", "page", "receipt"]);
    assert_eq!(definition.artefacts[0].doc, "What a reader says.");
}

#[test]
fn a_definition_becomes_a_diagram() {
    let expected = "\
stateDiagram-v2
    [*] --> pending
    pending --> picked: pick
    picked --> fetching: start_fetch
    failed_to_fetch --> fetching: start_fetch
    fetching --> fetched: finish_fetch +third_party_response
    fetching --> failed_to_fetch: fail_fetch
    fetched --> saving: start_save -third_party_response
    failed_to_save --> saving: start_save -third_party_response
    saving --> saved: finish_save
    saving --> failed_to_save: fail_save
    saved --> completed: complete
    completed --> [*]
    classDef error stroke:#c00,stroke-width:2px
    class failed_to_fetch, failed_to_save error
";
    assert_eq!(flowstate::diagram::mermaid(SyncThirdPartyApi::DEFINITION), expected);
}

#[test]
fn records_reach_the_props() {
    let now = chrono::DateTime::UNIX_EPOCH;
    let row = flowstate::Row::<SyncThirdPartyApi> {
        id: 1,
        state: SyncThirdPartyApiState::Pending,
        seq: 0,
        props: std::sync::Arc::new(SyncThirdPartyApi {
            my_record_id: "mine".to_owned(),
            third_party_id: "theirs".to_owned(),
        }),
        key: None,
        attempts: 0,
        due_at: None,
        completed_at: None,
        last_errored_at: None,
        created_at: now,
        updated_at: now,
    };
    let record = SyncThirdPartyApiRecord::from(flowstate::Record::new(row));
    assert_eq!(record.ids(), ("mine", "theirs"));
    assert_eq!(record.clone().state(), SyncThirdPartyApiState::Pending);
    assert!(format!("{record:?}").starts_with("SyncThirdPartyApiRecord(Record"));
    let _: flowstate::Record<SyncThirdPartyApi> = record.into();
}

#[test]
fn flows_may_stand_in_a_function() {
    #[derive(Flow, Serialize, Deserialize)]
    #[state(On, Off)]
    #[initial(On)]
    #[completed(Off)]
    #[transition(complete: On => Off)]
    struct Lamp {}

    assert_eq!(edge(Lamp::COMPLETE), (vec!["on"], "off"));
    let _ = (Lamp {}, EveryOption {}, size_of::<Stored>());
}
