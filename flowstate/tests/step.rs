//! Steps: what the derive makes of `#[step(…)]`, and what a backend is told of them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::DateTime;
use flowstate::{
    Artefact, ArtefactReader, ArtefactWriter, Claim, EndHandler, ExpireHandler, Flow, FlowOutcome,
    Handler, Handles, Hold, Policy, Record, Row, Signals, Step, StepEnd, StepError, StepKind,
    StepRegistry, TransactionalHandler, Transition,
};
use serde::{Deserialize, Serialize};

/// The flow of the documentation.
#[derive(Flow, Serialize, Deserialize)]
#[state(
    Pending,
    Fetching,
    Fetched,
    Saving,
    Saved,
    Completed,
    Vanished(alias = "lost"),
    Unreachable
)]
#[state(FailedToFetch(error), FailedToSave(error))]
#[initial(Pending)]
#[completed(Completed, Vanished, Unreachable)]
#[group(Open = Pending | Fetched | Saved)]
#[persist(ThirdPartyResponse(u32))]
#[step(
    /// Asks the third party.
    fetch: Pending | FailedToFetch => Fetching => Fetched(persist(ThirdPartyResponse)) | Vanished,
    fail(FailedToFetch), give_up(Unreachable), alias = "ask"
)]
#[step(save: Fetched | FailedToSave => Saving => Saved(then(complete)), load(ThirdPartyResponse),
       fail(FailedToSave), transactional)]
#[transition(complete: Saved => Completed)]
#[transition(cancel: * => Vanished)]
#[transition(expire: Open => Vanished, after("3 days"), within)]
struct Job {
    my_record_id: String,
}

/// A flow with a step that has a second method, and no props.
#[derive(Flow, Serialize, Deserialize)]
#[state(New, Booking, Booked, NotBooked(error))]
#[initial(New)]
#[completed(Booked)]
#[step(book: New | NotBooked => Booking => Booked, fail(NotBooked), within)]
struct Import;

struct Handlers;

impl JobSteps<String> for Handlers {
    fn fetch(&self, flow: &Claim<JobFetch>) -> Result<JobFetchOutcome, StepError> {
        match flow.my_record_id.len() {
            0 => Err(StepError::permanent("no id")),
            1 => Ok(JobFetchOutcome::Vanished),
            more => Ok(JobFetchOutcome::Fetched(ThirdPartyResponse(u32::try_from(more)?))),
        }
    }

    fn fetch_policy(&self) -> Policy {
        Policy::default().lease(Duration::from_secs(5))
    }

    fn save(
        &self,
        flow: &Claim<JobSave>,
        third_party_response: ThirdPartyResponse,
        conn: &mut String,
    ) -> Result<(), StepError> {
        *conn = format!("{} {}", flow.my_record_id, third_party_response.0);
        Ok(())
    }

    fn expire_within(&self, flow: &Record<Job>, conn: &mut String) -> Result<(), StepError> {
        conn.push_str(&flow.my_record_id);
        Ok(())
    }
}

impl<C> ImportSteps<C> for Handlers {
    fn book(&self, _: &Claim<ImportBook>) -> Result<(), StepError> {
        Ok(())
    }

    fn book_within(
        &self,
        _: &Record<Import>,
        _: &StepEnd<'_, ImportBook>,
        _: &mut C,
    ) -> Result<(), StepError> {
        Ok(())
    }
}

/// A registry that writes down what it is told.
#[derive(Default)]
struct Told(Vec<String>);

impl StepRegistry<Handlers, String> for Told {
    fn plain<S: Step>(&mut self, policy: fn(&Handlers) -> Policy, _: Handler<Handlers, S>) {
        self.0.push(format!("plain {} {:?}", S::NAME, policy(&Handlers).lease_time()));
    }

    fn transactional<S: Step>(
        &mut self,
        _: fn(&Handlers) -> Policy,
        _: TransactionalHandler<Handlers, S, String>,
    ) {
        self.0.push(format!("transactional {}", S::NAME));
    }

    fn within<S: Step>(
        &mut self,
        _: fn(&Handlers) -> Policy,
        _: Handler<Handlers, S>,
        _: EndHandler<Handlers, S, String>,
    ) {
        self.0.push(format!("within {}", S::NAME));
    }

    fn timed<T: Transition>(&mut self, _: ExpireHandler<Handlers, T, String>) {
        self.0.push(format!("timed {}", T::NAME));
    }

    fn flow<F: Flow>(&mut self) {
        self.0.push(format!("flow {}", F::NAME));
    }
}

fn served<F: Flow>() -> Vec<String>
where
    Handlers: Handles<F, String>,
{
    let mut told = Told::default();
    Handlers::register(&mut told);
    told.0
}

#[test]
fn every_step_is_registered_with_its_handlers() {
    assert_eq!(
        served::<Job>(),
        ["plain fetch 5s", "transactional save", "timed expire", "flow job"]
    );
    assert_eq!(served::<Import>(), ["within book", "flow import"]);
}

fn claim<S: Step<Flow = Job>>(id: &str, state: JobState, visit: Option<i64>) -> Claim<S> {
    let row = Row {
        id: 7,
        state,
        seq: 3,
        props: Arc::new(Job { my_record_id: id.to_owned() }),
        key: None,
        attempts: 1,
        due_at: None,
        completed_at: None,
        last_errored_at: None,
        created_at: DateTime::UNIX_EPOCH,
        updated_at: DateTime::UNIX_EPOCH,
    };
    let hold = Hold {
        flow: "task",
        worker: "w".into(),
        policy: Arc::new(Policy::default()),
        identity: "db".into(),
        visit,
        signals: Signals::default(),
    };
    Claim::new(Record::new(row), hold)
}

#[test]
fn a_claim_is_its_record_and_what_a_worker_tells() {
    let claim = claim::<JobFetch>("ab", JobState::Fetching, None);
    assert_eq!((claim.id(), claim.attempt(), &*claim.my_record_id), (7, 2, "ab"));
    assert_eq!(claim.idempotency_key(), "db-task-7-start_fetch");
    assert!(!claim.is_lost() && !claim.is_stopping());
    claim.hold().signals.lost.store(true, Ordering::Release);
    claim.hold().signals.stopping.store(true, Ordering::Release);
    assert!(claim.is_lost() && claim.is_stopping());
    let again = self::claim::<JobFetch>("ab", JobState::Fetching, Some(4));
    assert_eq!(again.idempotency_key(), "db-task-7-start_fetch-4");
}

/// Where artefacts are written to and read from, as text.
#[derive(Default)]
struct Shelf(Vec<(&'static str, String)>);

impl<F: Flow> ArtefactWriter<F> for Shelf {
    type Error = serde_json::Error;

    fn write<A: Artefact<F>>(&mut self, artefact: &A) -> Result<(), Self::Error> {
        self.0.push((A::NAME, serde_json::to_string(artefact)?));
        Ok(())
    }
}

impl<F: Flow> ArtefactReader<F> for Shelf {
    type Error = serde_json::Error;

    fn read<A: Artefact<F>>(&mut self) -> Result<A, Self::Error> {
        let found = self.0.iter().find(|(name, _)| *name == A::NAME);
        serde_json::from_str(found.map_or("missing", |(_, text)| text))
    }

    fn read_optional<A: Artefact<F>>(&mut self) -> Result<Option<A>, Self::Error> {
        let found = self.0.iter().find(|(name, _)| *name == A::NAME);
        found.map(|(_, text)| serde_json::from_str(text)).transpose()
    }
}

#[test]
fn an_outcome_says_which_it_is_and_what_it_keeps() {
    let mut shelf = Shelf::default();
    let fetch = claim::<JobFetch>("abc", JobState::Fetching, None);
    let outcome = JobSteps::<String>::fetch(&Handlers, &fetch).unwrap();
    assert_eq!(outcome, JobFetchOutcome::Fetched(ThirdPartyResponse(3)));
    assert_eq!(JobFetch::write_outcome(&outcome, &mut shelf).unwrap(), 0);
    assert_eq!(shelf.0, [("third_party_response", "3".to_owned())]);
    let vanished = JobFetchOutcome::Vanished;
    assert_eq!(JobFetch::write_outcome(&vanished, &mut Shelf::default()).unwrap(), 1);
    assert_eq!(JobSave::write_outcome(&(), &mut Shelf::default()).unwrap(), 0);
}

impl PartialEq for ThirdPartyResponse {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl std::fmt::Debug for ThirdPartyResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ThirdPartyResponse({})", self.0)
    }
}

#[test]
fn a_result_has_the_artefacts_of_every_path() {
    let mut shelf = Shelf(vec![("third_party_response", "5".to_owned())]);
    let read = JobOutcome::read(JobState::Completed, &mut shelf).unwrap();
    assert_eq!(read, Some(JobOutcome::Completed(ThirdPartyResponse(5))));
    let empty = &mut Shelf::default();
    assert_eq!(JobOutcome::read(JobState::Vanished, empty).unwrap(), Some(JobOutcome::Vanished));
    assert_eq!(
        JobOutcome::read(JobState::Unreachable, empty).unwrap(),
        Some(JobOutcome::Unreachable)
    );
    assert_eq!(JobOutcome::read(JobState::Fetching, empty).unwrap(), None);
    assert!(JobOutcome::read(JobState::Completed, empty).is_err());
}

#[test]
fn the_transitions_of_a_step_are_constants_with_its_names() {
    fn shown<T: Transition<Flow = Job>>(_: T) -> String {
        let from: Vec<_> = T::FROM.iter().map(|state| state.as_str()).collect();
        format!("{}: {} => {}", T::NAME, from.join(" | "), T::TO)
    }
    assert_eq!(
        [
            shown(Job::START_FETCH),
            shown(Job::FINISH_FETCH),
            shown(Job::FINISH_FETCH_VANISHED),
            shown(Job::FAIL_FETCH),
            shown(Job::GIVE_UP_FETCH),
            shown(Job::START_SAVE),
            shown(Job::FINISH_SAVE),
        ],
        [
            "start_fetch: pending | failed_to_fetch => fetching",
            "finish_fetch: fetching => fetched",
            "finish_fetch_vanished: fetching => vanished",
            "fail_fetch: fetching => failed_to_fetch",
            "give_up_fetch: fetching => unreachable",
            "start_save: fetched | failed_to_save => saving",
            "finish_save: saving => saved",
        ]
    );
    let aliases = |name: &str| {
        let mut all = Job::DEFINITION.transitions.iter();
        all.find(|transition| transition.name == name).map(|transition| transition.aliases)
    };
    assert_eq!(aliases("start_fetch"), Some(&["start_ask"][..]));
    let vanished = ["finish_fetch_lost", "finish_ask_vanished", "finish_ask_lost"];
    assert_eq!(aliases("finish_fetch_vanished"), Some(&vanished[..]));
}

#[test]
fn the_definition_has_the_steps_and_groups() {
    let [fetch, save] = Job::DEFINITION.steps else { panic!("two steps") };
    assert_eq!(
        (fetch.name, fetch.running, fetch.doc),
        ("fetch", "fetching", "Asks the third party.")
    );
    assert_eq!(fetch.give_up, Some("give_up_fetch"));
    let outcomes: Vec<_> = fetch.outcomes.iter().map(|one| (one.transition, one.to)).collect();
    assert_eq!(outcomes, [("finish_fetch", "fetched"), ("finish_fetch_vanished", "vanished")]);
    assert_eq!(fetch.outcomes[0].persists, ["third_party_response"]);
    assert_eq!((save.kind, save.loads), (StepKind::Transactional, &["third_party_response"][..]));
    assert_eq!(save.outcomes[0].then, ["complete"]);
    assert_eq!(Import::DEFINITION.steps[0].kind, StepKind::Within);
    assert_eq!(Job::OPEN, [JobState::Pending, JobState::Fetched, JobState::Saved]);
    let [open] = Job::DEFINITION.groups else { panic!("one group") };
    assert_eq!((open.name, open.states), ("Open", &["pending", "fetched", "saved"][..]));
    let within: Vec<_> =
        Job::DEFINITION.transitions.iter().filter(|one| one.within).map(|one| one.name).collect();
    assert_eq!(within, ["expire"]);
}

#[test]
fn diagrams_show_where_steps_run() {
    let mermaid = flowstate::diagram::mermaid(Import::DEFINITION);
    let expected = "stateDiagram-v2
    [*] --> new
    new --> booking: start_book
    not_booked --> booking: start_book
    booking --> booked: finish_book
    booking --> not_booked: fail_book
    booked --> [*]
    classDef running stroke-dasharray:4
    class booking running
    classDef error stroke:#c00,stroke-width:2px
    class not_booked error
";
    assert_eq!(mermaid, expected);
    let dot = flowstate::diagram::dot(Import::DEFINITION);
    assert!(dot.contains("\"booking\" [style=\"rounded,dotted\"];"), "{dot}");
}

#[test]
fn a_flow_without_props_is_a_unit_struct() {
    let text = serde_json::to_string(&Import).unwrap();
    assert!(serde_json::from_str::<Import>(&text).is_ok(), "{text}");
    assert_eq!(ImportState::ALL.len(), 4);
}
