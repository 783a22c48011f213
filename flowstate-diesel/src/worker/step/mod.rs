//! A unit of work: the transitions that start it, finish it and fail it.

pub(crate) mod backoff;
pub(crate) mod error;

use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use flowstate::{
    Definition, Flow, Follows, LoadsNothing, PersistsNothing, State, Transition, TransitionOf,
};

use self::backoff::Backoff;
use super::claim::batches::Timed;
use super::claim::settle::End;
use crate::dialect::change::{Link, Timing};
use crate::store::flow_store::stored_names;
use crate::transition::request::{link, timing};

/// A unit of work for workers: `Step::start(T).finish(T).fail(T)`, the last two in any order.
///
/// Claiming a record takes the start transition; a handler that returns `Ok` takes the finish
/// transition (and those of [`Step::then`] at once); an error, a panic or a lease that ran out takes
/// the fail transition. The compiler checks that finish and fail start where start leads to.
#[must_use = "a step does nothing until a worker has it"]
pub struct Step<Start, Finish = (), Last = Finish, Fail = ()> {
    pub(crate) spec: Arc<StepSpec>,
    types: Types<Start, Finish, Last, Fail>,
}

/// The finish transition of a step that has one.
#[diagnostic::on_unimplemented(
    message = "this step has no finish transition yet: add `.finish(…)` first",
    label = "a step without `.finish(…)`"
)]
pub trait FinishTransition: Transition {}

#[diagnostic::do_not_recommend]
impl<T: Transition> FinishTransition for T {}

/// The fail transition of a step that is complete.
#[diagnostic::on_unimplemented(
    message = "this step has no fail transition: add `.fail(…)`",
    label = "a step without `.fail(…)`",
    note = "the fail transition is taken when the handler returns an error or panics, or when the lease runs out"
)]
pub trait FailTransition: Transition {}

#[diagnostic::do_not_recommend]
impl<T: Transition> FailTransition for T {}

/// Owns none of them: a step is `Send` and `Sync` whatever its transitions are.
type Types<Start, Finish, Last, Fail> = PhantomData<fn() -> (Start, Finish, Last, Fail)>;

/// A step without types.
#[derive(Clone, Debug)]
pub(crate) struct StepSpec {
    pub(crate) flow: &'static str,
    pub(crate) start: &'static str,
    /// The state of a claimed record.
    pub(crate) running: &'static str,
    /// Its stored names: a former version of the program may have left a claim under an old one.
    pub(crate) running_names: Vec<&'static str>,
    /// The stored names, old ones too, of the states from which it starts.
    pub(crate) sources: Vec<&'static str>,
    /// The same, with what is true of a record there: a released one goes back.
    pub(crate) origins: Vec<Origin>,
    pub(crate) finish: Vec<fn() -> Link>,
    /// After the last of them.
    pub(crate) finished: Landing,
    pub(crate) fail: fn() -> Link,
    pub(crate) failed: Landing,
    pub(crate) running_deadline: Option<i64>,
    pub(crate) start_link: fn() -> Link,
    pub(crate) lease: Duration,
    pub(crate) retry: Backoff,
    pub(crate) concurrency: usize,
    pub(crate) batch: Option<usize>,
    /// Whether a record can come to this step again after it finished.
    pub(crate) repeats: bool,
    /// Whether the server of the first claim was asked if it is fit for use.
    pub(crate) asked: OnceLock<()>,
}

/// What is known of the state that a transition leads to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Landing {
    pub(crate) completes: bool,
    pub(crate) destroys: bool,
    pub(crate) timing: Timing<'static>,
}

/// What is known of a state from which a step starts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    /// As it is stored.
    pub(crate) name: &'static str,
    pub(crate) is_error: bool,
    /// Due at once.
    pub(crate) timing: Timing<'static>,
}

impl Origin {
    fn all<T: Transition>() -> impl Iterator<Item = Self> {
        T::FROM.iter().flat_map(|&state| {
            let timing = timing::<T::Flow>(state, Duration::ZERO);
            stored_names(state).map(move |name| Self { name, is_error: state.is_error(), timing })
        })
    }
}

impl Landing {
    fn of<T: Transition>() -> Self {
        Self {
            completes: T::TO.is_completed(),
            destroys: T::TO.definition().destroys,
            timing: timing::<T::Flow>(T::TO, Duration::ZERO),
        }
    }
}

/// A transition that a step may take by itself: it needs no artefact and gives none.
fn no_link() -> Link {
    Link { transition: "", to: "", to_error: false, artefacts: Vec::new() }
}

impl<Start: Transition> Step<Start> {
    /// The transition that claims a record. It persists nothing: nobody is there to hand it over.
    pub fn start(_: Start) -> Self
    where
        Start::Persists: PersistsNothing,
    {
        let landing = Landing::of::<Start>();
        let origins: Vec<_> = Origin::all::<Start>().collect();
        let spec = StepSpec {
            flow: <Start::Flow as Flow>::NAME,
            start: Start::NAME,
            running: Start::TO.as_str(),
            running_names: stored_names(Start::TO).collect(),
            sources: origins.iter().map(|origin| origin.name).collect(),
            origins,
            finish: Vec::new(),
            finished: landing,
            fail: no_link,
            failed: landing,
            running_deadline: landing.timing.deadline_in,
            start_link: link::<Start>,
            lease: Duration::from_mins(1),
            retry: Backoff::default(),
            concurrency: usize::MAX,
            batch: None,
            repeats: false,
            asked: OnceLock::new(),
        };
        Self { spec: Arc::new(spec), types: PhantomData }
    }
}

impl<Start: Transition, Last, Fail> Step<Start, (), Last, Fail> {
    /// The transition that a successful handler takes; the handler returns what it persists.
    pub fn finish<Finish>(mut self, _: Finish) -> Step<Start, Finish, Finish, Fail>
    where
        Finish: TransitionOf<Start::Flow>,
        Finish::Own: Follows<Start::To, Start::Flow>,
        Finish::Loads: LoadsNothing,
    {
        self.edit().finish_with::<Finish>();
        Step { spec: self.spec, types: PhantomData }
    }
}

impl<Start: Transition, Finish, Last, Fail> Step<Start, Finish, Last, Fail> {
    /// A further transition that a successful handler takes at once, in the same transaction.
    pub fn then<Then>(mut self, _: Then) -> Step<Start, Finish, Then, Fail>
    where
        Last: Transition,
        Then: TransitionOf<Start::Flow>,
        Then::Own: Follows<Last::To, Start::Flow>,
        Then::Persists: PersistsNothing,
        Then::Loads: LoadsNothing,
    {
        self.edit().finish_with::<Then>();
        Step { spec: self.spec, types: PhantomData }
    }
}

impl<Start: Transition, Finish, Last> Step<Start, Finish, Last> {
    /// The transition that a failed try takes.
    pub fn fail<Fail>(mut self, _: Fail) -> Step<Start, Finish, Last, Fail>
    where
        Fail: TransitionOf<Start::Flow>,
        Fail::Own: Follows<Start::To, Start::Flow>,
        Fail::Persists: PersistsNothing,
        Fail::Loads: LoadsNothing,
    {
        let spec = self.edit();
        spec.fail = link::<Fail>;
        spec.failed = Landing::of::<Fail>();
        Step { spec: self.spec, types: PhantomData }
    }
}

impl<Start, Finish, Last, Fail> Step<Start, Finish, Last, Fail> {
    fn edit(&mut self) -> &mut StepSpec {
        Arc::make_mut(&mut self.spec)
    }

    /// How long a claim holds: 60 seconds by default. A worker extends it while the handler runs,
    /// so it says how soon a step whose process died is failed over. After an outage of the
    /// database that takes half a minute more, which leaves the living the time to extend theirs.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.edit().lease = lease.max(Duration::from_millis(10));
        self
    }

    /// How often it is tried and how long it waits in between: see [`Backoff::default`].
    pub fn retry(mut self, retry: Backoff) -> Self {
        self.edit().retry = retry;
        self
    }

    /// At most so many at once in one worker: as many as it has threads by default.
    pub fn concurrency(mut self, most: usize) -> Self {
        self.edit().concurrency = most.max(1);
        self
    }

    /// Claims up to so many at once. By default as many as there are free threads, so that no
    /// record is claimed before it can be worked on; a larger batch pays where handlers take
    /// milliseconds. The next batch is fetched before the last is through, so that a worker may hold
    /// up to two.
    pub fn batch(mut self, most: usize) -> Self {
        self.edit().batch = Some(most.max(1));
        self
    }
}

impl StepSpec {
    /// Takes `T` as the last transition of the finish.
    fn finish_with<T: Transition>(&mut self) {
        self.finish.push(link::<T>);
        self.finished = Landing::of::<T>();
        self.repeats = reaches(T::Flow::DEFINITION, T::TO.as_str(), self.running);
    }

    /// The finish, with the artefacts of its first transition.
    pub(crate) fn finish(&self, artefacts: Vec<(&'static str, String)>) -> End {
        let mut links: Vec<_> = self.finish.iter().map(|link| link()).collect();
        if let Some(first) = links.first_mut() {
            first.artefacts = artefacts;
        }
        End::Finish { links, landing: self.finished }
    }
}

/// Whether transitions lead from one state to another.
fn reaches(flow: &Definition, from: &'static str, to: &str) -> bool {
    let mut reached = vec![from];
    let mut at = 0;
    while let Some(&state) = reached.get(at) {
        if state == to {
            return true;
        }
        for next in flow.transitions.iter().filter(|next| next.from.contains(&state)) {
            if !reached.contains(&next.to) {
                reached.push(next.to);
            }
        }
        at += 1;
    }
    false
}

/// The timed transitions of a flow, one for each stored name of a state that has one.
pub(crate) fn timed<F: Flow>() -> Vec<Timed> {
    let states = F::State::ALL.iter().copied();
    states.flat_map(|state| timed_of::<F>(state).into_iter().flatten()).collect()
}

fn timed_of<F: Flow>(state: F::State) -> Option<impl Iterator<Item = Timed>> {
    let (transition, _) = F::DEFINITION.timed(state.as_str())?;
    let to: F::State = transition.to.parse().ok()?;
    Some(stored_names(state).map(move |state| Timed {
        flow: F::NAME,
        state,
        transition,
        to_error: to.is_error(),
        completes: to.is_completed(),
        destroys: to.definition().destroys,
        timing: timing::<F>(to, Duration::ZERO),
    }))
}
